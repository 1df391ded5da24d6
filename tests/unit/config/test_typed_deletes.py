"""Which steps an orphan's run and a recheck carry out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.config.typed_deletes import again, alone, further, is_due
from closeout.core.automation import Automation, Step
from tests.unit.config.known_actions import REGISTRY


def step(name: str, uses: str, **more: Any) -> Step:
    """Return a step of an action."""
    return Step(id=name, name="", uses=uses, inputs={}, timeout=1, retry_attempts=1, retry_backoff=1, **more)


STACK = "aws/cloudformation-delete-stack"
DELETE = step("delete", STACK, destructive=True)
STEPS = (
    DELETE,
    step("after-failure", STACK, destructive=True, condition="failure()"),
    step("of-an-older-version", "aws/forgotten", destructive=True),
    step("script", "shell", destructive=True),
    step("repeated", "shell", destructive=True, rechecked=True),
    step("comment", "github/comment", destructive=False),
)
AUTOMATION = Automation(name="a", triggers=({"event": "delete"},), steps=STEPS, grace=600.0)


def test_an_orphans_run_and_a_recheck_carry_out_typed_deletes() -> None:
    """A recheck also repeats the scripts that opt in, and does not wait for its grace period again."""
    orphan, recheck = alone(AUTOMATION, REGISTRY), again(AUTOMATION, REGISTRY)
    assert [one.id for one in orphan.steps] == ["delete"]
    assert (orphan.grace, orphan.late) == (600.0, False)
    assert [one.id for one in recheck.steps] == ["delete", "repeated"]
    assert (recheck.grace, recheck.late) == (0.0, True)
    assert list(further([AUTOMATION, replace(AUTOMATION, steps=STEPS[1:])], REGISTRY)) == [orphan, recheck]


@pytest.mark.parametrize(
    ("changed", "due"),
    [({}, True), ({"recheck": ()}, False), ({"mode": "dry-run"}, False), ({"steps": STEPS[1:]}, False)],
)
def test_only_an_automation_with_a_typed_delete_is_rechecked(changed: dict[str, Any], due: bool) -> None:
    """If it really deletes, and the file does not switch rechecks off."""
    assert is_due(replace(AUTOMATION, **changed), REGISTRY) is due
