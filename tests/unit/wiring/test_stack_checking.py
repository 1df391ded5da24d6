"""What a drill of a stack may say of roles that its steps assume."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from closeout.actions.registry import builtin
from closeout.checks.registry import CHECKS, ask
from closeout.config.load import load_text
from closeout.wiring.stack import Stack
from closeout.wiring.stack_checking import StackWorld

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
    """Its ARN names the account that the file names, and the stack's account cannot simulate it."""
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
