"""Make a step's plan: fill in the inputs, check the account, read what exists, and check the result against the guards.

`closeout plan`, dry runs and real runs all use this, so the plan that is shown is the plan that is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout import livecheck
from closeout.config import cel
from closeout.config.cel import NOTHING_YET, RunSoFar
from closeout.config.findings import listed
from closeout.core import reactions
from closeout.core.automation import Automation, Step
from closeout.core.errors import CloseoutError
from closeout.core.plan import Change
from closeout.ports import AwsTarget
from closeout.run import guards, inputs
from closeout.run.deps import RunDeps
from closeout.run.visibility import Message

STEP = "function"
"""The id of an `@on` function's only step."""


class Planned(NamedTuple):
    """A plan that passed every guard, the inputs it was made from, and whether this is a dry run."""

    changes: tuple[Change, ...]
    inputs: Mapping[str, Any]
    dry_run: bool
    tag_rules: frozenset[str]
    """The rules of `protect.tags` that it was checked against."""
    absent: Message | None = None
    """Why it is empty: what is absent, and where; None if it is not empty, or there is nothing to name."""


class PlanContext(NamedTuple):
    """What a plan is for: the automation as stored, and the event."""

    automation: Automation
    event: str
    payload: Mapping[str, Any]
    so_far: RunSoFar = NOTHING_YET
    """How the steps before it ended."""


def make_plan(deps: RunDeps, context: PlanContext, step: Step, before: Sequence[Change]) -> Planned:
    """Plan one step. Reads only. `before` are the changes that earlier steps of the run had planned.

    Raises `GuardRefused` (or one of its kinds), `ExpressionError`, `InputError`, `ServiceError`.
    """
    automation = context.automation
    subject = livecheck.subject_of(context.event, context.payload)
    guards.check_live_checkable(step, has_check=subject is not None, automation=automation)
    guards.check_token(step, has_check=subject is not None, has_token=deps.has_token)
    action = deps.actions[step.uses]
    values = inputs.resolve(step, action, context.payload, context.so_far)
    target = inputs.target(step, context.payload)
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


def preview(deps: RunDeps, automation: Automation, event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `closeout plan` shows: `{"name", "mode", "steps": [{"id", "uses", "changes", …}]}` for an automation, which must have matched.

    A skipped step has a `reason`; one that finds nothing to delete names it as `absent`; one that a guard rejects, or that
    cannot be planned, has an `error` (`code`, `message`). An `@on` function is one step, as it is in a run. Reads only.
    """
    steps = _steps(deps, automation, event, payload)
    return {"name": automation.name, "mode": automation.mode, "steps": steps}


def _steps(
    deps: RunDeps, automation: Automation, event: str, payload: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if automation.function is not None:
        return [_shown_function(automation.function)]
    before: list[Change] = []
    ended: dict[str, dict[str, Any]] = {}
    rows = []
    for step in automation.steps:
        row: dict[str, Any] = {"id": step.id, "uses": step.uses, "changes": []}
        try:
            unknown = sorted(reactions.outputs_read(step))
            so_far = RunSoFar(ended, url="(the run's page)")
            if unknown:
                row["reason"] = f"depends on what {listed(unknown, 'and')} gives in the run"
            elif step.condition is not None and not cel.condition(step.condition, payload, so_far):
                row["reason"] = "its `if` is false"
            else:
                context = PlanContext(automation, event, payload, so_far)
                planned = make_plan(deps, context, step, before)
                before.extend(planned.changes)
                row["changes"] = [
                    {
                        "verb": change.verb,
                        "resource": deps.redact.text(change.resource),
                        "reason": deps.redact.text(change.reason),
                    }
                    for change in planned.changes
                ]
                if planned.absent is not None:
                    row["absent"] = deps.redact.text(planned.absent.full)
        except CloseoutError as error:
            row["error"] = {"code": error.code, "message": deps.redact.text(error.message)}
        ended[step.id] = {"outcome": "skipped" if "reason" in row else "success"}
        rows.append(row)
    return rows


def _shown_function(reference: str) -> dict[str, Any]:
    change = {"verb": "call", "resource": reference, "reason": "what it does cannot be seen before it runs"}
    return {"id": STEP, "uses": "python function", "changes": [change]}
