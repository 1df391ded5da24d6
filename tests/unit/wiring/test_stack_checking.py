"""What a drill of a stack may say of roles that its steps assume, and of whom it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.adapters.boto import boto_client
from closeout.checks.registry import CHECKS, ask
from closeout.config.load import load_text
from closeout.core.errors import CloseoutError, NotifierFailed, NotifierUnknown, SecretError
from closeout.stack.problems import CHECK
from closeout.wiring.stack import Stack
from closeout.wiring.stack_checking import StackOutside, StackWorld
from tests.stack_aws import StackAws

CONFIG = """\
version: 1
aws: { account: '222222222222', region: eu-central-1, assume-role: 'arn:aws:iam::222222222222:role/previews' }
automations:
  clean:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
"""


class Deployed:
    """A stack in one account, whose steps act in another."""

    def output(self, key: str) -> str:
        """Return a name."""
        return key

    def client(self, service: str) -> Any:
        """Return Lambda; nobody asks for IAM."""
        assert service == "lambda"
        return self

    def get_function_configuration(self, **_given: str) -> dict[str, Any]:
        """Return the worker's role."""
        return {"Role": "arn:aws:iam::111111111111:role/worker", "ResponseMetadata": {}}


def test_a_role_of_another_account_is_no_finding() -> None:
    """Its ARN names the account in the file, and the stack's account cannot simulate it."""
    world = StackWorld(
        lambda: load_text(CONFIG, builtin()),
        lambda _loaded: cast("Any", None),
        cast("Any", None),
        file=Path("closeout.yaml"),
        now=lambda: 0.0,
        pause=lambda _seconds: None,
    )
    world.stack = cast("Stack", Deployed())
    checks = [check for check in CHECKS if check.id in ("aws-account", "aws-permissions")]
    found = {one.check.id: one.result for one in ask(world, checks)}
    assert found["aws-account"].state == "fine", found
    assert found["aws-permissions"].state == "skipped", found


URL = "aws-secretsmanager:closeout/team-url"


class Telling(Deployed):
    """A stack that tells somebody; its function answers with these rows, and IAM with this decision."""

    def __init__(self, *rows: tuple[str | None, str | None, bool], decision: str = "allowed") -> None:
        self._rows = rows
        self._decision = decision
        self.asked: list[Any] = []

    def ask_notifiers(self, event: Any) -> list[dict[str, Any]]:
        """Return what the function says."""
        self.asked.append(event)
        return [
            {"notifier": URL, "ok": code is None, "code": code, "error": error, "transient": transient}
            for code, error, transient in self._rows
        ]

    def client(self, service: str) -> Any:
        """Return IAM."""
        assert service == "iam"
        return self

    def simulate_principal_policy(self, **given: Any) -> dict[str, Any]:
        """Decide."""
        assert given["PolicySourceArn"] == "arn:aws:iam::1:role/notify"
        return {"EvaluationResults": [{"EvalActionName": "sns:Publish", "EvalDecision": self._decision}]}


def outside(stack: Telling) -> StackOutside:
    """Return what a drill asks of this stack."""
    made = StackOutside(cast("Any", None))
    made.stack, made.role = cast("Stack", stack), lambda: "arn:aws:iam::1:role/notify"
    return made


@pytest.mark.parametrize(
    ("code", "kind", "transient"),
    [
        ("secret-unavailable", SecretError, False),
        ("secret-unavailable", SecretError, True),
        ("notifier-unknown", NotifierUnknown, False),
        ("notifier-failed", NotifierFailed, True),
    ],
)
def test_the_function_reports_what_is_wrong_with_each_url(
    code: str, kind: type[CloseoutError], transient: bool
) -> None:
    """It is called once, without sending, and its answer says which errors are transient."""
    stack = Telling((code, "why", transient))
    asking = outside(stack)
    for _ in range(2):
        with pytest.raises(kind, match="why") as raised:
            asking.check_notifier(URL)
        assert raised.value.transient is transient
    assert stack.asked == [CHECK]


def test_a_url_that_the_function_can_use_is_fine() -> None:
    """Nothing is raised."""
    outside(Telling((None, None, False))).check_notifier(URL)


def test_a_topic_must_exist_and_accept_the_functions_messages(
    emulator: StackAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By IAM's simulation of the function's role."""
    for name, value in (("ENDPOINT_URL", emulator.url), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    topic = boto_client("sns", "us-east-1").create_topic(Name="checked")["TopicArn"]
    outside(Telling()).check_notifier(topic)
    with pytest.raises(NotifierUnknown, match="may not publish"):
        outside(Telling(decision="implicitDeny")).check_notifier(topic)
    with pytest.raises(NotifierUnknown, match="no such topic"):
        outside(Telling()).check_notifier(f"{topic}-gone")
