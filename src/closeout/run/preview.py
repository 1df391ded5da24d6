"""`closeout plan`: make the plan that a run would freeze now, by the same functions, and change nothing.

Apart from the workflow because it needs no ledger and no engine, and reports errors instead of ending in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from closeout.config import cel
from closeout.config.findings import listed
from closeout.core import reactions
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError
from closeout.core.plan import Change
from closeout.run import planning
from closeout.run.deps import RunDeps
from closeout.run.on_function import STEP


def plan(deps: RunDeps, automation: Automation, event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"name", "mode", "steps": [{"id", "uses", "changes", …}]}` for an automation, which must have matched.

    A skipped step has a `reason`; one that finds nothing to delete names it as `absent`; one that a guard rejects, or that
    cannot be planned, has an `error` (`code`, `message`). An `@on` function is one step, as it is in a run. Reads only.
    """
    steps = _steps(deps, automation, event, payload)
    return {"name": automation.name, "mode": automation.mode, "steps": steps}


def _steps(
    deps: RunDeps, automation: Automation, event: str, payload: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if automation.function is not None:
        return [_function(automation.function)]
    before: list[Change] = []
    ended: dict[str, dict[str, Any]] = {}
    rows = []
    for step in automation.steps:
        row: dict[str, Any] = {"id": step.id, "uses": step.uses, "changes": []}
        try:
            unknown = sorted(reactions.outputs_read(step))
            so_far = cel.RunSoFar(ended, url="(the run's page)")
            if unknown:
                row["reason"] = f"depends on what {listed(unknown, 'and')} gives in the run"
            elif step.condition is not None and not cel.condition(step.condition, payload, so_far):
                row["reason"] = "its `if` is false"
            else:
                occasion = planning.Occasion(automation, event, payload, so_far)
                planned = planning.make_plan(deps, occasion, step, before)
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


def _function(reference: str) -> dict[str, Any]:
    change = {"verb": "call", "resource": reference, "reason": "what it does cannot be seen before it runs"}
    return {"id": STEP, "uses": "python function", "changes": [change]}
