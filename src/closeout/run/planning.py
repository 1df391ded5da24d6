"""Make a step's plan: fill in the inputs, ask which account this is, look, and hold the result against the guards.

`closeout plan`, dry runs and real runs all come through here, so what is shown is what is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout import livecheck
from closeout.core.automation import Automation, Step
from closeout.core.plan import Change
from closeout.ports import AwsTarget
from closeout.run import guards, inputs
from closeout.run.deps import RunDeps
from closeout.run.visibility import Message


class Planned(NamedTuple):
    """A plan that passed every guard, the inputs it was made from, and whether it is only to be shown."""

    changes: tuple[Change, ...]
    inputs: Mapping[str, Any]
    dry_run: bool
    tag_rules: frozenset[str]
    """The rules of `protect.tags` that it was held against."""
    absent: Message | None = None
    """Why it is empty: what is not there, and where; None if it is not, or there is nothing to name."""


class Occasion(NamedTuple):
    """What a plan is made for: the automation as stored, and the event."""

    automation: Automation
    event: str
    payload: Mapping[str, Any]


def make_plan(deps: RunDeps, occasion: Occasion, step: Step, before: Sequence[Change]) -> Planned:
    """Plan one step. Reads only. `before` are the changes that earlier steps of the run had planned.

    Raises `GuardRefused` (or one of its kinds), `ExpressionError`, `InputError`, `ServiceError`.
    """
    automation = occasion.automation
    subject = livecheck.subject_of(occasion.event, occasion.payload)
    guards.check_live_checkable(step, has_check=subject is not None, automation=automation)
    guards.check_token(step, has_check=subject is not None, has_token=deps.has_token)
    action = deps.actions[step.uses]
    values = inputs.resolve(step, action, occasion.payload)
    target = inputs.target(step, occasion.payload)
    clients = deps.clients.for_step(target)
    guards.check_account(target, clients)
    changes = tuple(action.plan(values, clients))
    current = deps.current(automation.name)
    rules = guards.tag_rules(automation, current)
    tagged = guards.with_tags(action, changes, clients) if rules else changes
    guards.check_plan(tagged, automation, current, before)
    absent = None if changes or action.absent is None else _absent(action.absent(values), target)
    return Planned(changes, values, guards.dry_run(automation, current), rules, absent)


def _absent(what: str, target: AwsTarget | None) -> Message:
    """Say what there is none of, so that a wrong name can be told from what is gone already."""
    place = f" in {target.account}/{target.region}" if target is not None else ""
    return Message(f"there is no {what}{place}: nothing to delete", f"there is no {what}: nothing to delete")
