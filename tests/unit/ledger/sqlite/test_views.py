"""What users see of runs on a server: suspects, marks, restarts. What every store shows is LedgerSuite's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.core.problems import Problem
from closeout.core.runs import Parked, Recorded
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ports import Ending, Operation
from tests.memory_problems import causes_of
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

DEFINITION = json.dumps(
    {
        "steps": [
            {"id": "stack", "name": "delete the stack", "uses": "aws/x"},
            {"id": "tell", "name": "", "uses": "gh/y"},
        ]
    }
)


def operation(name: str, position: int, result: Any = None, **fields: Any) -> Operation:
    """A recorded operation."""
    given = {
        "kind": "record",
        "state": "ok",
        "tries": 1,
        "wake": None,
        "started_at": 1_000.0,
        "ended_at": 1_001.0,
    }
    return Operation(name=name, position=position, result=json.dumps(result), **{**given, **fields})


@pytest.fixture
def run(ledger: Ledger) -> Ledger:
    """A ledger with one run of two steps."""
    ledger.accept_wait(delivery(), [new_run("r1", definition=DEFINITION)])
    return ledger


def states(views: Views) -> list[tuple[str, str, int]]:
    """Return (id, state, attempts) of the run's steps."""
    view = views.run("r1")
    assert view is not None
    return [(step.id, step.state, step.attempts) for step in view.steps]


def test_a_polling_run_says_what_it_waits_for(run: Ledger, views: Views) -> None:
    """The time of its answer is unknown."""
    poll = operation("stack/gone", 1, {}, kind="wait", state="waiting", wake=1_700.0, ended_at=None)
    run.save(1, poll, Parked(1_700.0))
    view = views.run("r1")
    assert view is not None
    assert (view.sleeps_in, view.until, view.reason) == (None, None, "waits in stack")


def test_a_suspect_says_why_it_waits_and_why_it_runs_alone(run: Ledger, views: Views) -> None:
    """With the number of deaths that count against it."""
    run.begin(1, "own", 1_001.0, wait=True)
    run.recover()
    view = views.run("r1")
    assert view is not None
    assert view.state == "waiting"
    assert view.reason == "waits to run alone, because it was running when the server's process ended"
    assert views.stats()["suspects"] == 1
    run.begin(1, "own", 1_002.0, wait=True, alone=True)
    run.recover()
    run.begin(1, "own", 1_003.0, wait=True, alone=True)
    view = views.run("r1")
    assert view is not None
    assert view.state == "running"
    assert view.reason == (
        "runs alone, because it was running when the server's process ended; the process ended 1 of 5 times while it"
        " ran alone"
    )
    run.park(1, 0.0)
    run.begin(1, "own", 1_004.0, wait=True, alone=True, beside=True)
    view = views.run("r1")
    assert view is not None
    assert (view.reason or "").startswith("runs alone, apart from runs that began before it")
    run.save(1, operation("stack/plan", 1, {}), Recorded())
    view = views.run("r1")
    assert view is not None
    assert (view.reason, views.stats()["suspects"]) == (None, 0)


def test_a_begun_effect_is_running_and_not_waiting(run: Ledger, views: Views) -> None:
    """A script may take an hour; an effect that failed after its mark waits, without a reason to show."""
    marked = operation(
        "stack/run-1", 1, {"marked": True}, kind="wait", state="waiting", tries=0, ended_at=None
    )
    run.save(1, marked)
    view = views.run("r1")
    assert view is not None
    assert (view.steps[0].state, view.steps[0].reason) == ("running", None)
    run.save(1, marked._replace(wake=2_000.0), Parked(2_000.0))
    view = views.run("r1")
    assert view is not None
    assert (view.state, view.steps[0].state, view.reason) == ("waiting", "waiting", "waits in stack")


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        (operation("final", 1, {"sent": True}), "delivered"),
        (operation("final", 1, {"sent": False, "reason": "status: false"}), "none"),
        (operation("final", 1, {"kind": "service-error", "message": "502"}, state="error"), "undelivered"),
        (operation("final", 1, {"heard": "502", "not_before": 0}, state="waiting"), None),
    ],
    ids=["sent", "none", "error", "retrying"],
)
def test_whether_the_final_status_was_delivered(
    run: Ledger, views: Views, final: Operation, expected: str | None
) -> None:
    """Read from the operation that posts it."""
    run.save(1, final)
    view = views.run("r1")
    assert view is not None
    assert view.status == expected


def deleted(
    ledger: Ledger, number: int, *, verb: str = "delete", call: str = "ok", dry_run: bool = False
) -> None:
    """Let a run plan one change, and make or only attempt the call."""
    plan = {"changes": [{"verb": verb}], "dry_run": dry_run}
    ledger.save(number, operation("stack/plan", 1, plan))
    ledger.save(number, operation("stack/delete", 2, {}, kind="wait", state=call))
    ledger.finish(number, Ending("success", ""), 2_000.0)


def test_an_earlier_attempt_that_deleted_is_found(ledger: Ledger, views: Views) -> None:
    """Only deletes that it began count: not a script, not a dry run, not a call that the live check stopped."""
    ledger.accept_wait(delivery(), [new_run("r1", definition=DEFINITION)])
    deleted(ledger, 1, verb="run")
    tries: list[dict[str, Any]] = [{"call": "error"}, {"dry_run": True}, {}]
    for number, changes in enumerate(tries, start=2):
        ledger.attempts.new_attempt("r1", DEFINITION, "ada", key=None, queue_timeout=1.0)
        assert views.deleted_before("r1", number, closings=True) is False
        deleted(ledger, number, **changes)
    ledger.attempts.new_attempt("r1", DEFINITION, "ada", key=None, queue_timeout=1.0)
    assert views.deleted_before("r1", 5, closings=False) is True


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (("acme/old", "501/9/2026-03-10T08:00:00Z"), ("acme/shop", "501/9/2026-03-11T08:00:00Z"), True),
        (("acme/shop", "501/9/2026-03-10T08:00:00Z"), ("acme/shop", "777/9/2026-03-11T08:00:00Z"), False),
        (("acme/shop", "501/9/2026-03-10T08:00:00Z"), ("acme/shop", "501/99/2026-03-11T08:00:00Z"), False),
        (("acme/shop", None), ("acme/shop", "501/9/2026-03-11T08:00:00Z"), True),
        (("acme/old", None), ("acme/shop", "501/9/2026-03-11T08:00:00Z"), False),
    ],
    ids=[
        "renamed",
        "a new repository of that name",
        "another pull request",
        "an earlier release",
        "its old name",
    ],
)
def test_earlier_and_later_closings_are_those_of_the_same_pull_request(
    ledger: Ledger, views: Views, before: tuple[str, str | None], after: tuple[str, str], same: bool
) -> None:
    """By GitHub's ids if the ledger has them; by name if an earlier release stored one of the two."""
    for guid, run, (repository, closing) in (("g1", "r1", before), ("g2", "r2", after)):
        ledger.accept_wait(delivery(guid)._replace(repository=repository, closing=closing), [new_run(run)])
    deleted(ledger, 1)
    assert views.deleted_before("r2", 1, closings=True) is same
    assert views.superseded("r1", 1) is same


def test_an_earlier_run_of_the_same_pull_request_is_found_on_request(ledger: Ledger, views: Views) -> None:
    """Of the same automation, and accepted before."""
    ledger.accept_wait(delivery("g1"), [new_run("r1"), new_run("other", "other")])
    ledger.accept_wait(delivery("g2"), [new_run("r2"), new_run("other2", "other")])
    deleted(ledger, 1)
    assert views.deleted_before("r2", 1, closings=True) is True
    assert views.deleted_before("r2", 1, closings=False) is False
    assert views.deleted_before("other2", 1, closings=True) is False
    assert views.deleted_before("r1", 1, closings=True) is False


def test_a_functions_steps_are_those_that_it_recorded(ledger: Ledger, views: Views) -> None:
    """A definition without steps declares none."""
    ledger.accept_wait(delivery(), [new_run("r1", definition='{"steps": [], "function": "cleanup:main"}')])
    ledger.save(1, operation("function/drop", 1))
    assert states(views) == [("function", "running", 1)]


def test_a_line_for_an_unknown_execution_is_dropped(ledger: Ledger, views: Views) -> None:
    """Logging never raises."""
    ledger.write("nope", None, "x")
    ledger.write("nope-1", None, "x")
    ledger.probe()
    assert views.logs("nope") == []


# --- the switch, requests, settings --------------------------------------------------------------------


def test_a_pause_survives_a_restart(path: Any, clock: HandClock) -> None:
    """It is in the ledger, not in memory."""
    with Ledger(path, clock=clock) as ledger:
        Requests(path).add_request("pause", None, "ada", None)
        ledger.take_requests()
    with Ledger(path, clock=clock) as ledger:
        assert ledger.paused() == "by ada"


def test_requests_wait_until_they_are_done(ledger: Ledger, path: Any) -> None:
    """A request that a crash interrupted is taken again."""
    requests = Requests(path)
    number = requests.add_request("rerun", "r1", "ada", "flaky")
    [request] = ledger.take_requests()
    assert (request.id, request.kind, request.target, request.by, request.reason) == (
        number,
        "rerun",
        "r1",
        "ada",
        "flaky",
    )
    assert len(ledger.take_requests()) == 1
    assert requests.outcome(number) is None
    ledger.finish_request(number, "r1-2")
    assert ledger.take_requests() == []
    assert requests.outcome(number) == "r1-2"


# --- retention ------------------------------------------------------------------------------------------


def test_prune_removes_what_is_old_and_finished(ledger: Ledger, views: Views, clock: HandClock) -> None:
    """With runs, operations and logs; what is recent or unfinished stays."""
    for number, received in ((1, 0.0), (2, 0.0), (3, 90_000.0)):
        clock.time = received
        run = new_run(f"r{number}", definition=json.dumps({"steps": [], "number": number}))
        ledger.accept_wait(delivery(f"g{number}")._replace(received_at=received), [run])
    ledger.save(1, operation("stack/end", 1, {"state": "success"}))
    ledger.write("r1-1", None, "begun")
    ledger.finish(1, Ending("success", "done"), 10.0)
    ledger.finish(3, Ending("success", "done"), 90_001.0)
    clock.time = 100_000.0
    assert ledger.prune(86_400.0) == {"deliveries": 1, "runs": 1, "log lines": 1}
    assert [view.id for view in views.runs()] == ["r3", "r2"]
    assert ledger._connection()[0].execute("SELECT count(*) FROM operation").fetchone() == (0,)
    definition = '{"steps": [], "number": 1}'
    assert ledger.accept_wait(delivery("g4"), [new_run("r4", definition=definition)]).delivery == 4
    assert ledger.load(4)[0].definition == definition, "that of a run that is gone is stored again"
    assert views.stats()["runs_by_verdict"] == {"success": 2}


def test_any_number_of_deliveries_is_pruned(ledger: Ledger, views: Views, clock: HandClock) -> None:
    """In as many small transactions as needed."""
    count = 201
    ledger.accept_group([(delivery(f"g{number}"), [], print) for number in range(count)])
    clock.time += 100_000.0
    assert ledger.prune(1.0)["deliveries"] == count
    assert views.deliveries() == []


def test_numbers_are_never_given_twice(path: Any, clock: HandClock) -> None:
    """Not even after everything was pruned and the ledger reopened."""
    with Ledger(path, clock=clock) as ledger:
        ledger.accept_wait(delivery("g1"), [])
        ledger.accept_wait(delivery("g2"), [])
        clock.time += 100_000
        ledger.prune(1.0)
    with Ledger(path, clock=clock) as ledger:
        assert ledger.accept_wait(delivery("g3"), []).delivery == 3


def test_some_of_many_problems_of_a_cause_are_read(ledger: Ledger, views: Views) -> None:
    """The oldest and the newest, with the total; a closed one does not count, and each cause is listed."""
    for number in range(9):
        for code in ("a", "b"):
            ledger.problems.open_problem(
                Problem(
                    "tidy", f"1/{number}/{code}", "failure", "x", "x", 9.0 - number, code, left=("stack x",)
                )
            )
    ledger.problems.open_problem(Problem("", "patrol", "stale", "x", "x", 3.0))
    ledger.problems.close_problems("tidy", "1/0/b", "1/4/b", 10.0, "patrol")
    read = views.problem_causes(2)
    assert dict(read) == dict(causes_of(views.open_problems(), 2))
    assert sorted((one.key, count) for one, count in read) == [
        ("1/0/a", 5), ("1/5/b", 4), ("1/7/a", 5), ("1/7/b", 4), ("1/8/a", 5), ("1/8/b", 4), ("patrol", 1)
    ]  # fmt: skip
    assert [views.problem_count(most) for most in (100, 5)] == [10, 5]


def test_a_reader_outside_the_server_finds_deliveries_too(run: Ledger, views: Views) -> None:
    """By hook and GUID: commands have no connection of the server's."""
    assert views.has_delivery("h1", "g1")
    assert not views.has_delivery("h2", "g1")
    assert not views.has_delivery("h1", "g2")
    assert run.has_delivery("h1", "g1")
    assert run.problems.notifications() == []
