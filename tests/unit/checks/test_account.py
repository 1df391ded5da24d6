"""What the checks of AWS ask, and what they make of its answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.checks.account import UNREACHABLE
from closeout.checks.check import Result
from closeout.checks.world import World
from closeout.config.load import Loaded
from closeout.ports import AwsTarget
from tests.unit.checks.scene import ACCOUNT
from tests.unit.checks.test_answers import ASK, SHELL, STACK, error, loaded, raises, returns

OWN = f"arn:aws:iam::{ACCOUNT}:role/closeout"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/other"
UNDER_A_ROLE = {"aws": f"aws: {{ account: '{ACCOUNT}', region: eu-central-1, assume-role: '{OTHER}' }}"}
STACK_ALONE = STACK.partition(", role-arn")[0] + " }"
NOT_IN_AWS = "no step acts in AWS"


def asked(check: str, file: Loaded, identity: Any = None, **iam: Any) -> Result:
    """Ask one check, with `GetCallerIdentity`'s answer or error, and IAM's operations."""
    world = SimpleNamespace(
        loaded=file,
        identity=raises(identity) if isinstance(identity, Exception) else returns(identity),
        iam=returns(SimpleNamespace(**iam)),
    )
    return ASK[check](cast("World", world))


def identity(arn: str = OWN, account: str = ACCOUNT) -> dict[str, str]:
    """Return AWS's answer to whose credentials these are."""
    return {"Arn": arn, "Account": account}


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("aws-credentials", NOT_IN_AWS),
        ("aws-role", "no step names a role to assume"),
        ("aws-account", NOT_IN_AWS),
        ("aws-permissions", NOT_IN_AWS),
        ("aws-cloudformation-role", "no step names a role for CloudFormation"),
    ],
)
def test_a_file_that_does_not_act_in_aws_asks_nothing(check: str, why: str) -> None:
    """Its owner may have no account."""
    assert asked(check, loaded(step=SHELL)) == Result("skipped", why)


def test_credentials_are_named_and_an_error_is_told_with_what_mends_it() -> None:
    """Where AWS cannot be reached, the credentials may be sound."""
    file = loaded(step=STACK)
    assert asked("aws-credentials", file, identity()) == Result("fine", f"AWS knows these credentials: {OWN}")
    away = error("EndpointConnectionError", transient=True)
    assert asked("aws-credentials", file, away) == Result("unknown", "EndpointConnectionError", UNREACHABLE)
    bad = error("InvalidClientTokenId")
    assert asked("aws-credentials", file, bad) == Result("wrong", "InvalidClientTokenId", None)


def test_a_role_is_tried() -> None:
    """What AWS refuses stays so; no answer says nothing."""
    file = loaded(step=STACK, **UNDER_A_ROLE)
    assert asked("aws-role", file, identity()) == Result("fine", f"the roles can be assumed: {OTHER}")
    refused = asked("aws-role", file, error("AccessDenied"))
    assert refused == Result("wrong", f"{OTHER} cannot be assumed (AccessDenied)")
    assert asked("aws-role", file, error("Throttling", transient=True)).state == "unknown"
    assert asked("aws-role", loaded(step=STACK)).state == "skipped"


@pytest.mark.parametrize(
    ("lines", "whose"), [({}, "closeout's credentials"), (UNDER_A_ROLE, OTHER)], ids=["own", "role"]
)
def test_credentials_of_another_account_are_named(lines: dict[str, str], whose: str) -> None:
    """By the role where there is one, for the file is the place to look at."""
    file = loaded(step=STACK, **lines)
    assert asked("aws-account", file, identity()) == Result("fine", f"the account is {ACCOUNT}")
    other = asked("aws-account", file, identity(account="999999999999"))
    text = f"the file says account {ACCOUNT}, and {whose} belong to 999999999999"
    assert other == Result("wrong", text)


def test_iam_is_asked_for_what_each_role_needs_and_for_no_right_under_a_condition() -> None:
    """A right of GitHub's is none of IAM's, and a simulation without the condition's values would deny it."""
    elsewhere = STACK_ALONE.replace("with: {", f"with: {{ region: us-east-1, assume-role: '{OTHER}',")
    steps = (
        f"{STACK_ALONE} }}, {{ uses: {elsewhere} }},"
        " { uses: http/request, destructive: false, with: { url: 'https://example.com/', method: GET,"
        " secret-headers: { A: 'aws-secretsmanager:token' } }"
    )
    actions: dict[str, set[str]] = {}

    def simulate(**named: Any) -> Any:
        actions.setdefault(named["PolicySourceArn"], set()).update(named["ActionNames"])
        return {
            "EvaluationResults": [
                {"EvalActionName": name, "EvalDecision": "allowed"} for name in named["ActionNames"]
            ]
        }

    found = asked("aws-permissions", loaded(step=steps), identity(), simulate_principal_policy=simulate)
    assert found == Result("fine", "IAM's simulation allows what the steps need")
    assert "sts:AssumeRole" in actions[OWN]
    assert "sts:AssumeRole" not in actions[OTHER]
    assert all("cloudformation:DeleteStack" in one for one in actions.values())
    assert actions[OWN].isdisjoint(("kms:Decrypt", "statuses:write", "pull_requests:read"))


def test_rights_that_iam_denies_or_does_not_speak_of_are_missing() -> None:
    """In order, with the step that needs them."""

    def simulate(**named: Any) -> Any:
        denied = {"cloudformation:GetTemplate", "cloudformation:DeleteStack"}
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": name,
                    "EvalDecision": "implicitDeny" if name in denied else "allowed",
                }
                for name in named["ActionNames"]
                if name != "cloudformation:DescribeStacks"
            ]
        }

    found = asked("aws-permissions", loaded(step=STACK_ALONE), identity(), simulate_principal_policy=simulate)
    missing = "cloudformation:DeleteStack, cloudformation:DescribeStacks, cloudformation:GetTemplate"
    assert found == Result("wrong", f"{OWN} lacks {missing} (for clean/delete-stack-1)")


@pytest.mark.parametrize(
    ("problem", "state", "says"),
    [
        (error("AccessDenied"), "skipped", "closeout may not ask IAM"),
        (error("Throttling", transient=True), "unknown", "Throttling"),
        (error("ValidationError"), "wrong", "ValidationError"),
    ],
)
def test_who_may_not_simulate_gets_no_finding(problem: Exception, state: str, says: str) -> None:
    """A narrow role is no fault; another error of IAM's is told."""
    found = asked(
        "aws-permissions", loaded(step=STACK), identity(), simulate_principal_policy=raises(problem)
    )
    assert (found.state, says in found.what) == (state, True)


def test_a_file_of_which_no_policy_is_made_has_no_rights_to_ask_for() -> None:
    """Its first name that is too wide says why."""
    wide = STACK_ALONE.replace("preview-$", "$")
    found = asked("aws-permissions", loaded(step=wide), identity())
    assert found.state == "skipped"
    assert found.what.startswith("no policy can be made from the file (clean/delete-stack-1: `stack-name: ")


def test_each_target_is_asked_under_its_own_role() -> None:
    """Credentials are asked about without one, each account and region once."""
    targets: list[AwsTarget] = []

    def ask(target: AwsTarget) -> dict[str, str]:
        targets.append(target)
        return identity()

    world = SimpleNamespace(loaded=loaded(step=STACK, **UNDER_A_ROLE), identity=ask)
    for check in ("aws-credentials", "aws-role"):
        ASK[check](cast("World", world))
    assert [target.assume_role for target in targets] == [None, OTHER]
