"""Derive the outcome of each resource that a step planned to change.

A plan only ever says `delete`, but people want to know whether the resource is gone. That follows from what the step recorded:
which calls were made, what still existed afterwards, and how the step ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.errors import BranchInUse, GuardRefused, NameRefused, NotSame, WrongAccount
from closeout.ports import Operation

OUTCOMES = (
    "done", "kept", "left", "gone", "failed", "unknown", "untouched", "pending", "under-way", "planned",
)  # fmt: skip
"""`done`: as planned. `left`: it still exists. `gone`: it is gone, but not because of this step. `failed`: a script or
call failed. `unknown`: begun, and not verified afterwards. `untouched`: the step ended before it. `pending` and
`under-way`: the step continues. `planned`: a dry run."""
UNKNOWN_REST = "what is left"
"""The resource of a leftover that says that nothing could be verified."""
_OF_THE_STEP = frozenset(("if", "expect", "plan", "status", "verify", "left", "end"))
"""Operations that belong to a step as a whole."""
_GUARDS = frozenset(error.code for error in (GuardRefused, NameRefused, WrongAccount, NotSame, BranchInUse))


class _Calls(NamedTuple):
    """What was recorded for one change of a plan."""

    begun: bool
    """Whether anything was recorded for it."""
    waits: bool
    """Whether its last operation was held back, for example by a pause, and waits for its next try. After an error, the call
    may have been made."""
    made: bool
    """Whether a guarded call was made."""
    failed: bool


def outcomes(
    plan: Mapping[str, Any], named: Mapping[str, Operation], end: Mapping[str, Any], state: str
) -> tuple[str, ...]:
    """Return the outcome of each change of a plan. `named` are the step's operations by their names within it."""
    changes: Sequence[Mapping[str, Any]] = plan.get("changes", ())
    if state in ("success", "skipped"):
        whole = "untouched" if state == "skipped" else "planned" if plan.get("dry_run") else "done"
        return tuple("kept" if change["verb"] == "keep" else whole for change in changes)
    own = [change for change in changes if change.get("part_of") is None and change["verb"] != "keep"]
    calls = [_calls(named, f"{number}." if len(own) > 1 else "") for number, _ in enumerate(own, start=1)]
    left = {str(item.get("resource")) for item in end.get("left") or ()}
    look = named.get("left")
    looked = look is not None and look.state == "ok" and UNKNOWN_REST not in left
    ended = state in ("failure", "cancelled")
    judged: dict[str, tuple[str, bool]] = {}
    for number, (change, call) in enumerate(zip(own, calls, strict=True), start=1):
        later = any(after.begun for after in calls[number:])
        found = (
            _ended(change, call, later, left, looked) if ended else _running(call, later, "verify" in named)
        )
        judged[change["resource"]] = found, call.made

    def outcome(change: Mapping[str, Any]) -> str:
        if change["verb"] == "keep":
            return "kept"
        part_of = change.get("part_of")
        if part_of is None:
            return judged[change["resource"]][0]
        whole, made = judged.get(part_of, ("unknown", False))
        if ended and change["resource"] in left:
            return "left"
        if ended and looked:
            return "done" if made else "gone"
        return whole

    return tuple(map(outcome, changes))


def _running(calls: _Calls, later: bool, verifying: bool) -> str:
    """Return the outcome of a change that is applied separately, in a step that is still running."""
    if not calls.begun or (calls.waits and not calls.made):
        return "pending"
    return "done" if later and not verifying else "under-way"


def _ended(change: Mapping[str, Any], calls: _Calls, later: bool, left: set[str], looked: bool) -> str:
    """Return the outcome of a change that is applied separately, in a step that failed or was cancelled."""
    if change["resource"] in left:
        return "left"
    if looked and change["verb"] == "delete":
        return "done" if calls.made else "gone"
    if later:
        return "done"
    if calls.failed and change["verb"] != "delete":
        return "failed"
    return "unknown" if calls.made else "untouched"


def _calls(named: Mapping[str, Operation], prefix: str) -> _Calls:
    found = [one for name, one in named.items() if name not in _OF_THE_STEP and name.startswith(prefix)]
    last = found[-1] if found else None
    waits = last is not None and last.wake is not None and not recorded_object(last.result)
    return _Calls(bool(found), waits, any(map(_made, found)), any(map(_failed, found)))


def _made(operation: Operation) -> bool:
    """Return whether an operation is a guarded call that was made, or may have been: only these record `{"result"}`."""
    value = recorded_object(operation.result)
    if operation.state == "waiting":
        return "marked" in value
    return operation.kind == "wait" and operation.state == "ok" and value.keys() == {"result"}


def _failed(operation: Operation) -> bool:
    return operation.state == "error" and recorded_object(operation.result).get("kind") not in _GUARDS


def error_code(operations: Iterable[Operation]) -> str | None:
    """Return the kind of the last error that was recorded; None if there is none."""
    kinds = [recorded_object(one.result).get("kind") for one in operations if one.state == "error"]
    return str(kinds[-1]) if kinds and kinds[-1] else None


def recorded_object(text: str | None) -> dict[str, Any]:
    """Return a recorded object; empty if its text is damaged."""
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
