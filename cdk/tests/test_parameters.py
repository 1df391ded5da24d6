"""Parameters: each is read from the file and from the command line, and a mistake is one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout_cdk import parameters
from closeout_cdk.parameters import DEFAULTS, ParameterError
from support import COMMITTED, FLAGS


def refused(**context: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        parameters.read({**COMMITTED, **context})
    return str(caught.value)


def test_the_committed_file_holds_every_parameter_with_its_default() -> None:
    """The file shows everything that can be set."""
    assert COMMITTED == DEFAULTS


def test_feature_flags_and_remembered_lookups_are_not_parameters() -> None:
    """The CDK's own context is in the same place."""
    read = parameters.read({**FLAGS, **COMMITTED, "availability-zones:account=1:region=eu-central-1": ["a"]})
    assert read.region == "eu-central-1"


def test_an_unknown_key_is_refused_with_the_one_that_was_meant() -> None:
    """If a misspelt key were ignored, the wrong thing would be deployed."""
    message = refused(secretReader=["arn:aws:iam::123456789012:role/Ops"], nothingLikeIt=1)
    assert "secretReader: there is no such parameter; did you mean `secretReaders`?" in message
    assert "nothingLikeIt: there is no such parameter; known: stackName, region" in message


def test_every_mistake_is_said_at_once() -> None:
    """One round is enough."""
    message = refused(region="Frankfurt", architecture="arm", logRetentionDays=31, alarmEmail="nobody")
    assert "`Frankfurt` is not an AWS region" in message
    assert "architecture: `arm` is none of arm64, x86_64; did you mean `arm64`?" in message
    assert "logRetentionDays: `31`" in message
    assert "alarmEmail: `nobody` is not a mail address" in message


@pytest.mark.parametrize(
    ("key", "text", "attribute", "value"),
    [
        ("logRetentionDays", "90", "log_retention_days", 90),
        ("keepOnDestroy", "ledger,logs", "keep", frozenset(("ledger", "logs"))),
        ("keepOnDestroy", "true", "keep", frozenset(("ledger", "logs", "secrets"))),
        ("secretReaders", "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:role/b", "secret_readers",
         ("arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b")),
        ("secretReaders", '["arn:aws:iam::123456789012:root"]', "secret_readers", ("arn:aws:iam::123456789012:root",)),
        ("environment", '{"API": "https://x"}', "environment", {"API": "https://x"}),
        ("githubAddresses", "false", "github_addresses", ()),
        ("githubTokenSecret", "create", "github_token_secret", None),
        ("githubTokenSecret", "team/github", "github_token_secret", "team/github"),
        ("codePath", "", "code_path", None),
        ("receiverConcurrency", "20", "receiver_concurrency", 20),
        ("workerConcurrency", "off", "worker_concurrency", None),
    ],
)  # fmt: skip
def test_the_command_line_gives_texts(key: str, text: str, attribute: str, value: object) -> None:
    """`-c key=value` cannot give a list, a number or a truth value, so a text that says it is read as it."""
    assert getattr(parameters.read({**COMMITTED, key: text}), attribute) == value


@pytest.mark.parametrize(
    ("arn", "why"),
    [
        ("arn:aws:sts::123456789012:assumed-role/Ops/me", "is a session; give the role that it assumed"),
        ("arn:aws:iam::123456789012:role/*", "is everybody in that account"),
        ("*", "is not the ARN of a role"),
        ("Ops", "is not the ARN of a role"),
    ],
)
def test_a_reader_of_secrets_is_somebody(arn: str, why: str) -> None:
    """A policy that names everybody, or a session that is gone tomorrow, protects nothing."""
    assert why in refused(secretReaders=[arn])


@pytest.mark.parametrize("arn", ["arn:aws:iam::aws:policy/AdministratorAccess", "AdministratorAccess", "*"])
def test_only_policies_of_ones_own_are_attached_to_the_worker(arn: str) -> None:
    """AWS's own are for everything, and closeout's Deny would be all that is left."""
    assert "is not the ARN of a policy of your own account" in refused(workerPolicies=[arn])


@pytest.mark.parametrize(("days", "works"), [(6, False), (7, True)])
def test_the_ledger_remembers_a_delivery_as_long_as_it_can_be_sent_again(days: int, works: bool) -> None:
    """GitHub keeps a delivery for three days, GHES for seven: one that is forgotten would run again."""
    if works:
        assert parameters.read({**COMMITTED, "retentionDays": days}).retention_days == days
    else:
        with pytest.raises(ParameterError, match=r"retentionDays: .*7 to 3650"):
            parameters.read({**COMMITTED, "retentionDays": days})


@pytest.mark.parametrize("key", ["receiverConcurrency", "workerConcurrency"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", "²", 10_001])
def test_concurrency_is_off_or_a_number_that_lets_the_function_run(key: str, value: object) -> None:
    """Lambda takes 0, and then never invokes the function."""
    assert f"{key}: `{value}` is neither off nor a number of invocations at once" in refused(**{key: value})


@pytest.mark.parametrize("name", ["AWS_PROFILE", "CLOSEOUT_TABLE", "_HANDLER", "LAMBDA_X", "1x"])
def test_variables_of_lambda_and_of_closeout_cannot_be_set(name: str) -> None:
    """They decide what the worker works on."""
    assert f"`{name}` cannot be set" in refused(environment={name: "x"})


def test_a_file_that_is_not_there_is_named() -> None:
    """The path is shown with where it was looked for."""
    assert "configFile: there is no file `nowhere.yaml` (looked for it from cdk/)" in refused(
        configFile="nowhere.yaml"
    )


def test_addresses_come_from_a_file_and_nowhere_else(tmp_path: Path) -> None:
    """Synthesis reads no network: the ranges are what was committed."""
    read = parameters.read({**COMMITTED, "githubAddresses": "github-addresses.json"})
    assert "192.30.252.0/22" in read.github_addresses
    everybody = tmp_path / "all.json"
    everybody.write_text('{"hooks": ["0.0.0.0/0"]}')
    assert "`0.0.0.0/0` is too wide" in refused(githubAddresses=str(everybody))
    everybody.write_text('{"hooks": []}')
    assert "must be a list of address ranges that is not empty" in refused(githubAddresses=str(everybody))


def test_the_write_ups_parameters_are_read_and_noted() -> None:
    """A user of the 2021 stack keeps the file, and learns the present names of its keys."""
    read = parameters.read(
        {
            **COMMITTED,
            "pWebhookSecretName": "hook",
            "pGitHubAcessTokenSecretName": "token",
            "pPrToBranch": "develop",
        }
    )
    assert (read.webhook_secret_name, read.github_token_secret, read.branch) == ("hook", "token", "develop")
    assert [note.split()[0] for note in read.notes] == [
        "pWebhookSecretName",
        "pGitHubAcessTokenSecretName",
        "pPrToBranch",
    ]


def test_an_old_and_a_new_key_that_disagree_are_refused() -> None:
    """closeout does not guess which of the two was meant."""
    message = refused(pGitHubAcessTokenSecretName="a", githubTokenSecret="b")
    assert "pGitHubAcessTokenSecretName: `githubTokenSecret` says something else" in message
