"""Which steps have an inventory, and why the others have none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.inverses import inventories
from closeout.core.automation import Automation, Step

STACK = "aws/cloudformation-delete-stack"
ROLE = "arn:aws:iam::123456789012:role/deletes"
STEP = Step(
    id="gone",
    name="",
    uses=STACK,
    inputs={"stack-name": "preview-${{ event.repository.name }}-${{ event.pull_request.number }}"},
    timeout=1,
    retry_attempts=1,
    retry_backoff=1,
    destructive=True,
    account="123456789012",
    region="eu-central-1",
)
AUTOMATION = Automation(
    name="clean",
    triggers=({"event": "pull_request", "types": ["closed"]},),
    repositories=("acme/shop", "acme/site"),
    steps=(STEP,),
)


def reason(step: dict[str, Any] | None = None, **automation: Any) -> str | None:
    """Return why a step has no inventory."""
    changed = replace(STEP, **(step or {}))
    (one,) = inventories([replace(AUTOMATION, steps=(changed,), **automation)], builtin())
    return one.reason


def test_a_name_of_number_and_repository_has_an_inventory() -> None:
    """The other tests change one thing in it."""
    assert reason() is None
    assert reason({"inputs": {"stack-name": "p-${{ event.number }}"}}) is None


@pytest.mark.parametrize(
    ("step", "automation", "said"),
    [
        ({"uses": "shell", "inputs": {}}, {}, "shell cannot list what exists"),
        ({}, {"triggers": ({"event": "push"},)}, "does not start when a pull request closes"),
        ({}, {"triggers": ({"event": "pull_request", "types": ["opened"]},)}, "does not start when"),
        ({}, {"repositories": ()}, "`repositories` has patterns"),
        ({}, {"repositories": ("acme/shop", "acme/*")}, "`repositories` has patterns"),
        ({"region": "${{ event.x }}"}, {}, "its region or role comes from the event"),
        ({"assume_role": "arn:${{ event.x }}"}, {}, "its region or role comes from the event"),
        ({"inputs": {"stack-name": "fixed"}}, {}, "does not contain the pull request's number"),
        ({"inputs": {"stack-name": ["a"]}}, {}, "it is not a single text"),
        (
            {"inputs": {"stack-name": "${{ event.number }}-${{ event.pull_request.head.ref }}"}},
            {},
            "`event.pull_request.head.ref` is neither the number nor the repository",
        ),
    ],
)
def test_any_other_step_has_none_and_says_why(
    step: dict[str, Any], automation: dict[str, Any], said: str
) -> None:
    """`closeout check` shows the reason."""
    assert said in (reason(step, **automation) or "")


def test_a_step_that_deletes_nothing_is_skipped() -> None:
    """It leaves nothing behind."""
    harmless = replace(STEP, destructive=False)
    assert inventories([replace(AUTOMATION, steps=(harmless, STEP))], builtin())[0].step is STEP


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ({}, {"inventory": True, "reason": None}),
        ({"uses": "shell", "inputs": {}}, {"inventory": False, "reason": "shell cannot list what exists"}),
        (
            {"uses": "shell", "inputs": {}, "assume_role": ROLE},
            {"inventory": False, "reason": "shell cannot list what exists"},
        ),
        (
            {"assume_role": ROLE},
            {
                "inventory": True,
                "reason": None,
                "on_aws": "on AWS neither patrol's audit nor rechecks assume its role",
            },
        ),
        (
            {"assume_role": ROLE, "inputs": {"stack-name": "fixed"}},
            {
                "inventory": False,
                "reason": "its name does not contain the pull request's number",
                "on_aws": "on AWS neither patrol's audit nor rechecks assume its role",
            },
        ),
    ],
)
def test_a_steps_own_role_is_not_assumed_on_aws(step: dict[str, Any], shown: dict[str, Any]) -> None:
    """It may delete, so neither an audit nor a recheck assumes it; a shell command has no inventory."""
    (one,) = inventories([replace(AUTOMATION, steps=(replace(STEP, **step),))], builtin())
    found = {**one.to_json()}
    if one.on_aws:
        found["on_aws"] = one.on_aws.partition(",")[0]
    assert found == {"automation": "clean", "step": "gone", **shown}
