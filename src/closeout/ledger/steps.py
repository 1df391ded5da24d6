"""Derive a run's steps from its recorded operations, so that nothing about a step is stored twice.

The run function names the operations: `<step id>/plan` has the plan, `<step id>/end` the step's result, `final` and
`final-again` whether the last commit status was delivered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from closeout.core.errors import Reopened
from closeout.core.runs import MAX_DEATHS
from closeout.ledger.outcomes import error_code, outcomes, recorded_object
from closeout.ports import Operation, StepView


def step_views(
    definition: str, operations: Sequence[Operation], *, verdict: str | None, full: bool
) -> tuple[StepView, ...]:
    """Return the steps of a definition (canonical JSON), or those of a function by its operations."""
    by_step: dict[str, list[Operation]] = {}
    for operation in operations:
        step, slash, _ = operation.name.partition("/")
        if slash:
            by_step.setdefault(step, []).append(operation)
    declared = _declared(definition).steps or tuple(_Declared(step, step, "", None) for step in by_step)
    return tuple(_step_view(step, by_step.get(step.id, []), verdict=verdict, full=full) for step in declared)


def time_limits(definition: str) -> tuple[float | None, float | None]:
    """Return the seconds that a run may take, and that it may wait for its key; None for a value that cannot be read."""
    declared = _declared(definition)
    return declared.timeout, declared.queue_timeout


def waits_for(operations: Sequence[Operation]) -> str | None:
    """Return what a waiting run waits for: the message of its last poll, or its step; None if it does not wait."""
    waiting = _last_waiting(operations)
    if waiting is None:
        return None
    heard = recorded_object(waiting.result).get("heard")
    step = waiting.name.partition("/")[0]
    return f"{step}: {heard}" if heard else f"waits in {step}"


def sleep_of(operations: Sequence[Operation]) -> tuple[str | None, float | None]:
    """Return the step in which a run sleeps, and when that ends; (None, None) for a run that polls."""
    waiting = _last_waiting(operations)
    if waiting is None or waiting.kind != "sleep":
        return None, None
    return waiting.name.partition("/")[0], waiting.wake


def _last_waiting(operations: Sequence[Operation]) -> Operation | None:
    return next((one for one in reversed(operations) if one.state == "waiting"), None)


def suspected(alone: str, deaths: int) -> str:
    """Return why a run runs alone, or waits to, as a phrase (`core.runs.RunState.alone`)."""
    does = {
        "now": "runs alone",
        "beside": "runs alone, apart from runs that began before it",
    }.get(alone, "waits to run alone")
    counted = f"; the process ended {deaths} of {MAX_DEATHS} times while it ran alone" if deaths else ""
    return f"{does}, because it was running when the server's process ended{counted}"


def reported(operations: Sequence[Operation]) -> str | None:
    """Return whether the final status was delivered: `delivered`, `undelivered`, or `none` if there is none."""
    final = _final(operations)
    if final is None or final.state == "waiting":
        return None
    if final.state != "ok":
        return "undelivered"
    return "delivered" if _result(final).get("sent") else "none"


def public(operations: Sequence[Operation]) -> str | None:
    """Return the public part of a run's result: the text of its status on a public repository."""
    final = _final(operations)
    return _result(final).get("public") if final is not None else None


def has_deleted(operations: Sequence[Operation]) -> bool:
    """Return whether an attempt began to delete something: a delete is planned, and a call has ended."""
    by_step: dict[str, list[Operation]] = {}
    for operation in operations:
        by_step.setdefault(operation.name.partition("/")[0], []).append(operation)
    return any(map(_step_deleted, by_step.values()))


def rehearsed(operations: Sequence[Operation]) -> bool:
    """Return whether an attempt only planned: the automation was in dry-run mode."""
    return any(one.name.endswith("/plan") and _result(one).get("dry_run") for one in operations)


def _step_deleted(operations: Sequence[Operation]) -> bool:
    plan = next((_result(one) for one in operations if one.name.endswith("/plan")), {})
    planned = not plan.get("dry_run") and any(
        change.get("verb") == "delete" for change in plan.get("changes", ())
    )
    return planned and any(one.kind == "wait" and one.state == "ok" for one in operations)


def reopened(operations: Sequence[Operation]) -> bool:
    """Return whether a run ended because its pull request was open, or its ref existed, again on GitHub."""
    return any(
        one.state == "error" and recorded_object(one.result).get("kind") == Reopened.code
        for one in operations
    )


def _final(operations: Sequence[Operation]) -> Operation | None:
    return next((one for one in reversed(operations) if one.name in {"final", "final-again"}), None)


class _Declared(NamedTuple):
    """A step in its definition."""

    id: str
    name: str
    uses: str
    timeout: float | None


class _Definition(NamedTuple):
    """The parts of a definition that views need; empty if it is unreadable."""

    steps: tuple[_Declared, ...] = ()
    timeout: float | None = None
    queue_timeout: float | None = None


@lru_cache(maxsize=64)
def _declared(definition: str) -> _Definition:
    try:
        value = json.loads(definition)
        steps = tuple(
            _Declared(step["id"], step.get("name") or step["id"], step.get("uses", ""), step.get("timeout"))
            for step in value["steps"]
        )
        return _Definition(steps, value.get("timeout"), value.get("queue_timeout"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Definition()


def _step_view(
    step: _Declared, operations: Sequence[Operation], *, verdict: str | None, full: bool
) -> StepView:
    named = {operation.name.partition("/")[2]: operation for operation in operations}
    end = _result(named["end"]) if "end" in named else {}
    plan = _result(named["plan"]) if full and "plan" in named else {}
    calls = [operation.tries for operation in operations if operation.kind == "record"]
    last = operations[-1] if operations else None
    reason = end.get("reason")
    if last is not None and _waits(last) and verdict is None:
        reason = waits_for([last])
    state = _state(operations, end, verdict)
    return StepView(
        step.id,
        step.name,
        step.uses,
        state,
        max(calls, default=0) or int(bool(operations)),
        end.get("summary"),
        reason,
        tuple(end.get("left") or ()),
        tuple(plan["changes"]) if "changes" in plan else None,
        operations[0].started_at if operations else None,
        named["end"].ended_at if "end" in named else None,
        end.get("public"),
        code=(end.get("code") or error_code(operations)) if state == "failure" else None,
        timeout=step.timeout,
        outcomes=outcomes(plan, named, end, state),
    )


def _state(operations: Sequence[Operation], end: dict[str, Any], verdict: str | None) -> str:
    if end.get("state"):
        return str(end["state"])
    if verdict is not None:  # the run is over, and this step has no end
        return "skipped" if not operations else "cancelled" if verdict == "cancelled" else "failure"
    if not operations:
        return "pending"
    return "waiting" if _waits(operations[-1]) else "running"


def _waits(operation: Operation) -> bool:
    """Return whether an operation waits, as opposed to one that has begun and has no stored end yet."""
    return operation.state == "waiting" and operation.wake is not None


def _result(operation: Operation) -> dict[str, Any]:
    return recorded_object(operation.result) if operation.state == "ok" else {}
