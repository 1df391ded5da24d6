"""A step as pages and commands show it, from what its run recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.core.errors import Reopened
from closeout.ledger.steps import (
    has_deleted,
    public,
    rehearsed,
    reopened,
    reported,
    sleep_of,
    step_views,
    waits_for,
)
from closeout.ports import Operation, StepView

DEFINITION = json.dumps({"steps": [{"id": "stack", "uses": "aws/x"}, {"id": "tell", "name": "tell them"}]})


def operation(name: str, result: Any = None, state: str = "ok", **fields: Any) -> Operation:
    """Return a recorded operation of one try."""
    given = {"kind": "record", "tries": 1, "wake": None, "started_at": 1.0, "ended_at": 2.0}
    return Operation(
        name=name,
        position=1,
        state=state,
        result=json.dumps(result),
        **{**given, **fields},
    )


def polls(result: Any = None, wake: float | None = 9.0) -> Operation:
    """Return an operation that waits for its tenth poll."""
    return operation("stack/gone", result, "waiting", kind="wait", tries=9, wake=wake)


PLAN = operation("stack/plan", {"changes": [{"verb": "delete", "resource": "stack s"}]})
DENIED = operation("stack/delete", {"kind": "denied", "message": "no"}, "error", tries=3)
END = operation("stack/end", {"state": "failure", "reason": "left behind"}, ended_at=7.0)
HEARD = polls({"heard": "slow down"})


def first(*operations: Operation, verdict: str | None = None) -> StepView:
    """Return the first step of a run."""
    return step_views(DEFINITION, operations, verdict=verdict, full=True)[0]


def test_a_step_has_its_name_or_its_id() -> None:
    """And whether anything is known of it yet."""
    assert [(step.id, step.name, step.state) for step in step_views(DEFINITION, [], verdict=None, full=True)] == [
        ("stack", "stack", "pending"), ("tell", "tell them", "pending")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("operations", "verdict", "state"),
    [
        ([PLAN], None, "running"),
        ([PLAN, polls()], None, "waiting"),
        ([polls(), PLAN], None, "running"),
        ([PLAN, polls(wake=None)], None, "running"),
        ([PLAN, END], None, "failure"),
        ([], "failure", "skipped"),
        ([], "cancelled", "skipped"),
        ([PLAN, polls()], "failure", "failure"),
        ([PLAN, polls()], "cancelled", "cancelled"),
    ],
)
def test_a_step_has_the_state_of_its_last_operation(
    operations: list[Operation], verdict: str | None, state: str
) -> None:
    """Until its end is recorded, or the run is over without it."""
    assert first(*operations, verdict=verdict).state == state


@pytest.mark.parametrize(
    ("operations", "attempts"), [([], 0), ([polls()], 1), ([PLAN], 1), ([PLAN, DENIED, polls()], 3)]
)
def test_attempts_of_calls_count_and_polls_do_not(operations: list[Operation], attempts: int) -> None:
    """The call that was tried most often counts."""
    assert first(*operations).attempts == attempts


@pytest.mark.parametrize(
    ("operations", "verdict", "reason"),
    [
        ([PLAN], None, None),
        ([PLAN, HEARD], None, "stack: slow down"),
        ([PLAN, polls()], None, "waits in stack"),
        ([PLAN, HEARD], "failure", None),
        ([PLAN, HEARD, END], None, "left behind"),
    ],
)
def test_the_reason_is_what_the_step_waits_for_or_why_it_failed(
    operations: list[Operation], verdict: str | None, reason: str | None
) -> None:
    """A finished step waits for nothing."""
    assert first(*operations, verdict=verdict).reason == reason


def test_the_code_of_a_failure_is_its_ends_or_its_last_errors() -> None:
    """A step that continues after an error has none."""
    named = operation("stack/end", {"state": "failure", "code": "protected"})
    assert first(DENIED, named).code == "protected"
    assert first(DENIED, END).code == "denied"
    assert first(DENIED).code is None
    assert first(DENIED, operation("stack/end", {"state": "success"})).code is None


def test_only_successful_operations_count_as_plan_and_end() -> None:
    """A plan that failed has an error instead of changes."""
    view = first(operation("stack/plan", {"changes": []}, "error"))
    assert (view.changes, view.ended_at) == (None, None)
    assert (first(PLAN, END).changes, first(PLAN, END).ended_at) == (
        ({"verb": "delete", "resource": "stack s"},),
        7.0,
    )


def test_a_run_waits_in_its_last_waiting_operation() -> None:
    """A run function that took another path may have left an earlier one."""
    left, sleep = polls({"heard": "old"}), operation("tell/nap", None, "waiting", kind="sleep", wake=5.0)
    assert waits_for([left, sleep]) == "waits in tell"
    assert sleep_of([left, sleep]) == ("tell", 5.0)
    assert sleep_of([sleep, left]) == (None, None)
    assert (waits_for([PLAN]), sleep_of([PLAN])) == (None, (None, None))


CALL = operation("stack/delete", {"result": {}}, kind="wait")
REHEARSAL = operation("stack/plan", {"dry_run": True, "changes": [{"verb": "delete", "resource": "stack s"}]})


@pytest.mark.parametrize(
    ("operations", "deleted"),
    [
        ([PLAN, CALL], True),
        ([PLAN], False),
        ([PLAN, CALL._replace(kind="record")], False),
        ([PLAN, CALL._replace(state="error")], False),
        ([PLAN, CALL._replace(name="tell/delete")], False),
        ([REHEARSAL, CALL], False),
        ([operation("stack/plan", {"changes": [{"verb": "run", "resource": "./drop"}]}), CALL], False),
        ([CALL], False),
    ],
)
def test_a_run_has_deleted_what_it_planned_and_called(operations: list[Operation], deleted: bool) -> None:
    """Within one step: reads before a call, a rehearsal and a script delete nothing."""
    assert has_deleted(operations) is deleted


def test_a_rehearsal_and_a_reopened_pull_request_are_recognized() -> None:
    """By the plan, and by the code of an error."""
    assert (rehearsed([REHEARSAL]), rehearsed([PLAN])) == (True, False)
    assert not rehearsed([REHEARSAL._replace(name="stack/ready")])
    again = operation("stack/delete", {"kind": Reopened.code, "message": "open"}, "error")
    assert (reopened([PLAN, again]), reopened([PLAN, DENIED])) == (True, False)
    assert not reopened([again._replace(state="ok")])


@pytest.mark.parametrize(
    ("operations", "delivered", "readable"),
    [
        ([], None, None),
        ([operation("final", None, "waiting")], None, None),
        ([operation("final", {"kind": "denied"}, "error")], "undelivered", None),
        ([operation("final", {"sent": True, "public": "done"}), PLAN], "delivered", "done"),
        ([operation("final", {"sent": False})], "none", None),
        ([operation("final", None, "error"), operation("final-again", {"sent": True})], "delivered", None),
    ],
)
def test_the_last_status_says_whether_it_was_delivered(
    operations: list[Operation], delivered: str | None, readable: str | None
) -> None:
    """And which part of the result is public."""
    assert (reported(operations), public(operations)) == (delivered, readable)
