"""What the checks of AWS ask, and how they read the answers."""

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
def test_a_file_without_aws_steps_asks_nothing(check: str, why: str) -> None:
    """Its owner may have no account."""
    assert asked(check, loaded(step=SHELL)) == Result("skipped", why)


def test_credentials_are_named_and_an_error_comes_with_its_fix() -> None:
    """If AWS is unreachable, the credentials may still be valid."""
    file = loaded(step=STACK)
    assert asked("aws-credentials", file, identity()) == Result("fine", f"AWS knows these credentials: {OWN}")
    away = error("EndpointConnectionError", transient=True)
    assert asked("aws-credentials", file, away) == Result("unknown", "EndpointConnectionError", UNREACHABLE)
    bad = error("InvalidClientTokenId")
    assert asked("aws-credentials", file, bad) == Result("wrong", "InvalidClientTokenId", None)


def test_a_role_is_assumed() -> None:
    """A refusal by AWS is wrong; no answer is unknown."""
    file = loaded(step=STACK, **UNDER_A_ROLE)
    assert asked("aws-role", file, identity()) == Result("fine", f"the roles can be assumed: {OTHER}")
    refused = asked("aws-role", file, error("AccessDenied"))
    assert refused == Result("wrong", f"{OTHER} cannot be assumed (AccessDenied)")
    assert asked("aws-role", file, error("Throttling", transient=True)).state == "unknown"
    assert asked("aws-role", loaded(step=STACK)).state == "skipped"


@pytest.mark.parametrize(
    ("lines", "whose"), [({}, "closeout's credentials"), (UNDER_A_ROLE, OTHER)], ids=["own", "role"]
)
def test_credentials_of_another_account_are_reported(lines: dict[str, str], whose: str) -> None:
    """With the role if there is one, since the mistake is then in the file."""
    file = loaded(step=STACK, **lines)
    assert asked("aws-account", file, identity()) == Result("fine", f"the account is {ACCOUNT}")
    other = asked("aws-account", file, identity(account="999999999999"))
    text = f"the file says account {ACCOUNT}, and {whose} belong to 999999999999"
    assert other == Result("wrong", text)


def test_iam_simulates_what_each_role_needs_except_conditional_permissions() -> None:
    """GitHub's permissions are not IAM's, and a simulation without a condition's values would deny it."""
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


def test_permissions_that_iam_denies_or_omits_are_missing() -> None:
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
def test_a_role_that_may_not_simulate_gets_no_finding(problem: Exception, state: str, says: str) -> None:
    """A narrow role is not a fault; another error of IAM's is reported."""
    found = asked(
        "aws-permissions", loaded(step=STACK), identity(), simulate_principal_policy=raises(problem)
    )
    assert (found.state, says in found.what) == (state, True)


def test_a_file_without_a_policy_has_no_permissions_to_check() -> None:
    """Its first name that is too wide says why."""
    wide = STACK_ALONE.replace("preview-$", "$")
    found = asked("aws-permissions", loaded(step=wide), identity())
    assert found.state == "skipped"
    assert found.what.startswith("no policy can be made from the file (clean/delete-stack-1: `stack-name: ")


def test_each_target_is_checked_under_its_own_role() -> None:
    """Credentials are checked without one, each account and region once."""
    targets: list[AwsTarget] = []

    def ask(target: AwsTarget) -> dict[str, str]:
        targets.append(target)
        return identity()

    world = SimpleNamespace(loaded=loaded(step=STACK, **UNDER_A_ROLE), identity=ask)
    for check in ("aws-credentials", "aws-role"):
        ASK[check](cast("World", world))
    assert [target.assume_role for target in targets] == [None, OTHER]
