"""Make a step's plan: fill in the inputs, check the account, read what is there, and check the result against the guards.

`closeout plan`, dry runs and real runs all use this, so the plan that is shown is the plan that is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout import livecheck
from closeout.config.cel import NOTHING_YET, RunSoFar
from closeout.core.automation import Automation, Step
from closeout.core.plan import Change
from closeout.ports import AwsTarget
from closeout.run import guards, inputs
from closeout.run.deps import RunDeps
from closeout.run.visibility import Message


class Planned(NamedTuple):
    """A plan that passed every guard, the inputs it was made from, and whether this is a dry run."""

    changes: tuple[Change, ...]
    inputs: Mapping[str, Any]
    dry_run: bool
    tag_rules: frozenset[str]
    """The rules of `protect.tags` that it was checked against."""
    absent: Message | None = None
    """Why it is empty: what is absent, and where; None if it is not empty, or there is nothing to name."""


class Occasion(NamedTuple):
    """What a plan is made for: the automation as stored, and the event."""

    automation: Automation
    event: str
    payload: Mapping[str, Any]
    so_far: RunSoFar = NOTHING_YET
    """How the steps before it ended."""


def make_plan(deps: RunDeps, occasion: Occasion, step: Step, before: Sequence[Change]) -> Planned:
    """Plan one step. Reads only. `before` are the changes that earlier steps of the run had planned.

    Raises `GuardRefused` (or one of its kinds), `ExpressionError`, `InputError`, `ServiceError`.
    """
    automation = occasion.automation
    subject = livecheck.subject_of(occasion.event, occasion.payload)
    guards.check_live_checkable(step, has_check=subject is not None, automation=automation)
    guards.check_token(step, has_check=subject is not None, has_token=deps.has_token)
    action = deps.actions[step.uses]
    values = inputs.resolve(step, action, occasion.payload, occasion.so_far)
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
    """Return what is absent, so that the reader can tell a wrong name from a resource that is already gone."""
    place = f" in {target.account}/{target.region}" if target is not None else ""
    return Message(f"there is no {what}{place}: nothing to delete", f"there is no {what}: nothing to delete")
