"""The outcome of each planned change, from what a step recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.ledger.outcomes import OUTCOMES, error_code, outcomes
from closeout.ports import Operation

STACK: dict[str, Any] = {"verb": "delete", "resource": "stack s", "part_of": None}
BUCKET: dict[str, Any] = {"verb": "delete", "resource": "bucket b", "part_of": "stack s"}
ROLE: dict[str, Any] = {"verb": "delete", "resource": "role r", "part_of": "stack s"}
TABLE: dict[str, Any] = {"verb": "keep", "resource": "table t", "part_of": "stack s"}
PREFIX: dict[str, Any] = {"verb": "delete", "resource": "s3://b/p/", "part_of": None}
SCRIPT: dict[str, Any] = {"verb": "run", "resource": "./drop", "part_of": None}
MADE: Any = ("ok", {"result": {"at": 1}})
READ: Any = ("ok", {"gone": False})
REFUSED: Any = ("error", {"kind": "guard-refused", "message": "no"})
DENIED: Any = ("error", {"kind": "service-error", "message": "AccessDenied"})
BEGUN: Any = ("waiting", {"marked": True})
POLLS: Any = ("waiting", None)
LOOKED: Any = ("ok", {"left": []})


def became(changes: list[dict[str, Any]], state: str, *left: str, dry_run: bool = False, **named: Any) -> Any:
    """Return the outcomes; of `named` a call's name has `_` for `-` and `.`, and `left` names what is still there."""
    operations = {
        name.replace("__", ".").replace("_", "-"): Operation(
            name,
            number,
            "record" if name == "left" else "wait",
            found,
            json.dumps(result),
            1,
            None,
            0.0,
            None,
        )
        for number, (name, (found, result)) in enumerate(named.items())
    }
    end = {"left": [{"resource": resource, "reason": "r"} for resource in left]}
    found = outcomes({"changes": changes, "dry_run": dry_run}, operations, end, state)
    assert set(found) <= set(OUTCOMES)
    return " ".join(found)


@pytest.mark.parametrize(
    ("state", "expected"),
    [("success", "done done kept"), ("skipped", "untouched untouched kept")],
)
def test_a_successful_step_did_what_it_planned(state: str, expected: str) -> None:
    """After a success no change is still `delete`."""
    assert became([STACK, BUCKET, TABLE], state) == expected


def test_a_dry_run_only_planned() -> None:
    """Each resource says so."""
    assert became([STACK, BUCKET, TABLE], "success", dry_run=True) == "planned planned kept"


def test_left_and_deleted_resources_differ() -> None:
    """After verification each is left or gone: deleted by this step if its call was made."""
    plan = [STACK, BUCKET, ROLE, TABLE]
    made = {"ready_1": READ, "delete_1": MADE, "left": LOOKED}
    assert became(plan, "failure", "stack s", "bucket b", **made) == "left left done kept"
    assert (
        became(plan, "failure", "bucket b", ready_1=READ, delete_1=DENIED, left=LOOKED)
        == "gone left gone kept"
    )


def test_a_resource_that_could_not_be_verified_is_unknown() -> None:
    """An unreadable answer is not a deletion; a change that never began is untouched."""
    assert became([STACK, BUCKET], "failure", "what is left", delete_1=MADE, left=LOOKED) == "unknown unknown"
    assert became([STACK, BUCKET], "failure", delete_1=MADE, end_1=DENIED) == "unknown unknown"
    assert became([STACK, BUCKET], "cancelled", delete_1=BEGUN) == "unknown unknown"


def test_a_guard_leaves_everything_untouched() -> None:
    """It refuses before the call; reading before that changes nothing."""
    assert became([STACK, BUCKET], "failure", ready_1=READ, delete_1=REFUSED) == "untouched untouched"
    assert became([SCRIPT], "failure", run=REFUSED) == "untouched"
    assert became([STACK, BUCKET], "failure") == "untouched untouched"


def test_changes_are_applied_one_after_another() -> None:
    """Their calls are numbered if there are several."""
    plan = [STACK, PREFIX, SCRIPT]
    assert became(plan, "failure", **{"1__delete_1": MADE, "2__delete": DENIED}) == "done untouched untouched"
    assert (
        became(plan, "failure", **{"1__delete_1": MADE, "2__d": MADE, "3__run": DENIED}) == "done done failed"
    )
    assert became(plan, "running", **{"1__delete_1": MADE, "2__d": POLLS}) == "done under-way pending"
    assert became([*plan, BUCKET], "waiting", plan=READ) == "pending pending pending pending"
    verifying = {"1__delete_1": MADE, "2__d": MADE, "3__run": MADE, "verify": POLLS}
    assert became([*plan, BUCKET], "waiting", **verifying) == "under-way under-way under-way under-way"


@pytest.mark.parametrize(
    ("result", "expected"),
    [(None, "pending"), ({"marked": True}, "under-way"), ({"heard": "Throttling"}, "under-way")],
)
def test_a_call_that_waits_for_its_next_attempt_was_not_made(result: Any, expected: str) -> None:
    """A pause holds it; one that is marked or failed may have been made. An earlier one is in progress."""
    held = Operation("delete-1", 2, "wait", "waiting", json.dumps(result), 3, 30.0, 0.0, None)
    made = Operation("delete-1", 2, "wait", "ok", '{"result": null}', 1, None, 0.0, 1.0)
    polls = held._replace(name="end-1", position=3)
    plan = {"changes": [STACK, BUCKET, TABLE]}
    assert outcomes(plan, {"delete-1": held}, {}, "waiting") == (expected, expected, "kept")
    ready = made._replace(name="ready-1", position=1, result='{"gone": false}')
    assert outcomes(plan, {"ready-1": ready, "delete-1": held}, {}, "waiting") == (expected, expected, "kept")
    assert outcomes(plan, {"delete-1": made, "end-1": polls}, {}, "waiting")[0] == "under-way"


def test_the_last_error_is_the_steps() -> None:
    """Earlier ones were overcome; damaged text is ignored."""

    def operation(state: str, result: str | None) -> Operation:
        return Operation("s/x", 1, "record", state, result, 1, None, 0.0, None)

    first, last = (json.dumps({"kind": kind, "message": "m"}) for kind in ("service-error", "timeout"))
    assert (
        error_code([operation("error", first), operation("ok", "{}"), operation("error", last)]) == "timeout"
    )
    assert error_code([operation("ok", "{}")]) is None
    assert error_code([operation("error", "{")]) is None


def test_a_part_without_a_planned_whole_was_not_deleted_by_us() -> None:
    """A plan may name a part alone; then it is only known to be gone."""
    assert became([BUCKET], "failure", left=LOOKED) == "gone"
    assert became([BUCKET], "failure") == "unknown"
    assert became([BUCKET], "running") == "unknown"
