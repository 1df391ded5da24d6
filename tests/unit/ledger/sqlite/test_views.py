"""What people see of runs: derived from what was recorded, in any process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.core.errors import NotFound
from closeout.core.runs import Parked, Recorded
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ports import Ending, Operation
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

DEFINITION = json.dumps(
    {
        "steps": [
            {"id": "stack", "name": "delete the stack", "uses": "aws/x"},
            {"id": "tell", "name": "", "uses": "gh/y"},
        ]
    }
)
CHANGE = {"verb": "delete", "resource": "stack preview-17", "reason": "the PR is closed"}


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


def test_a_run_that_sleeps_says_until_when(run: Ledger, views: Views) -> None:
    """Its end is known, unless somebody has asked to cancel the run."""
    sleep = operation("grace", 1, {}, kind="sleep", state="waiting", wake=1_600.0, ended_at=None)
    run.save(1, sleep, Parked(1_600.0))
    view = views.run("r1")
    assert view is not None
    assert (view.sleeps_in, view.until, view.reason) == ("grace", 1_600.0, "waits in grace")
    assert run.ask_cancel("r1-1", "Jo")
    view = views.run("r1")
    assert view is not None
    assert (view.sleeps_in, view.until, view.reason) == (None, None, "Jo asked to cancel it")


def test_a_run_that_polls_says_what_it_waits_for(run: Ledger, views: Views) -> None:
    """Nobody knows when it hears something."""
    poll = operation("stack/gone", 1, {}, kind="wait", state="waiting", wake=1_700.0, ended_at=None)
    run.save(1, poll, Parked(1_700.0))
    view = views.run("r1")
    assert view is not None
    assert (view.sleeps_in, view.until, view.reason) == (None, None, "waits in stack")


def test_a_suspect_says_why_it_waits_and_why_it_runs_alone(run: Ledger, views: Views) -> None:
    """With the deaths that counted against it so far."""
    run.begin(1, "own", 1_001.0, wait=True)
    run.recover()
    view = views.run("r1")
    assert view is not None
    assert view.state == "waiting"
    assert view.reason == "waits for a turn alone, since it was under way when the server's process ended"
    assert views.stats()["suspects"] == 1
    run.begin(1, "own", 1_002.0, wait=True, alone=True)
    run.recover()
    run.begin(1, "own", 1_003.0, wait=True, alone=True)
    view = views.run("r1")
    assert view is not None
    assert (view.state, view.reason) == (
        "running",
        "runs alone, since it was under way when the server's process ended; 1 of 5 deaths while it ran alone",
    )
    run.park(1, 0.0)
    run.begin(1, "own", 1_004.0, wait=True, alone=True, beside=True)
    view = views.run("r1")
    assert view is not None
    assert (view.reason or "").startswith("has its turn, while others whose turns are over go on")
    run.save(1, operation("stack/plan", 1, {}), Recorded())
    view = views.run("r1")
    assert view is not None
    assert (view.reason, views.stats()["suspects"]) == (None, 0)


def test_a_queued_run_has_pending_steps(run: Ledger, views: Views) -> None:
    """All declared steps are there from the beginning."""
    assert states(views) == [("stack", "pending", 0), ("tell", "pending", 0)]
    view = views.runs()[0]
    assert (view.state, view.verdict, view.reason) == ("queued", None, None)


def test_a_step_is_running_from_its_first_operation_to_its_end(run: Ledger, views: Views) -> None:
    """And then it is what its end says."""
    run.save(1, operation("begin", 1))
    run.save(1, operation("stack/plan", 2, {"changes": [CHANGE]}))
    assert states(views)[0] == ("stack", "running", 1)
    run.save(1, operation("stack/delete", 3, tries=3))
    run.save(
        1,
        operation("stack/end", 4, {"state": "failure", "summary": "", "reason": "denied", "left": [CHANGE]}),
    )
    assert states(views)[0] == ("stack", "failure", 3)
    view = views.run("r1")
    assert view is not None
    step = view.steps[0]
    assert (step.reason, step.left, step.changes, step.name) == (
        "denied",
        (CHANGE,),
        (CHANGE,),
        "delete the stack",
    )


def test_a_waiting_step_says_what_was_last_heard(run: Ledger, views: Views) -> None:
    """In the step, and as the run's reason; polls are not attempts."""
    heard = {"heard": "rate exceeded", "not_before": 0}
    waiting = operation(
        "stack/gone", 1, heard, kind="wait", state="waiting", tries=40, wake=2_000.0, ended_at=None
    )
    run.save(1, waiting, Parked(2_000.0))
    view = views.run("r1")
    assert view is not None
    assert (view.state, view.reason) == ("waiting", "stack: rate exceeded")
    assert (view.steps[0].state, view.steps[0].attempts, view.steps[0].reason) == (
        "waiting",
        1,
        "stack: rate exceeded",
    )
    assert views.runs()[0].reason == "stack: rate exceeded"


def test_what_is_marked_as_begun_is_running_and_not_waiting(run: Ledger, views: Views) -> None:
    """A script that takes an hour; what failed after its mark waits, and has nothing to say of it."""
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
    ("verdict", "expected"), [("failure", "failure"), ("cancelled", "cancelled"), ("success", "failure")]
)
def test_a_step_without_an_end_in_a_finished_run(
    run: Ledger, views: Views, verdict: str, expected: str
) -> None:
    """It never shows as running for ever; steps that never began were skipped."""
    run.save(1, operation("stack/plan", 1, {"changes": []}))
    run.finish(1, Ending(verdict, "so it ended"), 1_500.0)
    assert [state for _, state, _ in states(views)] == [expected, "skipped"]


def test_json_has_the_keys_that_scripts_rely_on(run: Ledger, views: Views) -> None:
    """As the CLI prints them, in lists and alone."""
    for view in (views.runs()[0], views.run("r1")):
        assert view is not None
        value = json.loads(json.dumps(view.to_json()))
        assert {"id", "automation", "state", "verdict", "delivery", "attempt", "steps"} <= set(value)
        assert {"execution", "event", "repository", "guid", "accepted_at", "summary", "reason", "key"} <= set(
            value
        )
        assert {"id", "state", "attempts"} <= set(value["steps"][0])
    assert {"id", "guid", "hook", "event", "action", "runs"} <= set(views.deliveries()[0].to_json())


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


def test_steps_of_a_function_are_those_that_it_recorded(ledger: Ledger, views: Views) -> None:
    """A definition without steps declares none."""
    ledger.accept_wait(delivery(), [new_run("r1", definition='{"steps": [], "function": "cleanup:main"}')])
    ledger.save(1, operation("function/drop", 1))
    assert states(views) == [("function", "running", 1)]


def test_a_queued_run_says_whom_it_waits_for(run: Ledger, views: Views) -> None:
    """The execution that holds its key."""
    run.begin(1, "own", 1_000.0, wait=True)
    run.accept_wait(delivery("g2"), [new_run("r2")])
    view = views.run("r2")
    assert view is not None
    assert view.reason == "waits for its turn on acme/shop#17, behind r1-1"


def test_runs_can_be_filtered_and_cut(ledger: Ledger, views: Views) -> None:
    """Newest first; by automation, state, verdict and repository."""
    for number in range(1, 5):
        ledger.accept_wait(
            delivery(f"g{number}"), [new_run(f"r{number}", "even" if number % 2 == 0 else "odd")]
        )
    ledger.finish(4, Ending("success", "done"), 1_100.0)
    assert [view.id for view in views.runs(limit=2)] == ["r4", "r3"]
    assert [view.id for view in views.runs(automation="odd")] == ["r3", "r1"]
    assert [view.id for view in views.runs(state="finished")] == ["r4"]
    assert [view.id for view in views.runs(verdict="success")] == ["r4"]
    assert views.runs(repository="acme/other") == []


def test_earlier_attempts_can_be_asked_for(run: Ledger, views: Views) -> None:
    """By number, or as an execution's name."""
    run.attempts.new_attempt("r1", "{}", "ada", key="acme/shop#17", queue_timeout=3600.0)
    first, latest, named = views.run("r1", 1), views.run("r1"), views.run("r1-1")
    assert first is not None
    assert latest is not None
    assert (first.attempt, latest.attempt, named) == (1, 2, first)
    assert views.run("r1", 9) is None


def test_logs_can_be_followed(run: Ledger, views: Views, clock: HandClock) -> None:
    """By the last id that was seen; each attempt has its own."""
    run.write("r1-1", None, "begun")
    run.write("r1-1", "stack", "deleting\nwith two lines")
    run.attempts.new_attempt("r1", "{}", "ada", key="acme/shop#17", queue_timeout=3600.0)
    run.write("r1-2", None, "again")
    run.probe()
    lines = views.logs("r1", 1)
    assert [(line.step, line.text) for line in lines] == [
        (None, "begun"),
        ("stack", "deleting\nwith two lines"),
    ]
    assert [line.text for line in views.logs("r1", 1, after=lines[0].id)] == ["deleting\nwith two lines"]
    assert [line.text for line in views.logs("r1")] == ["again"]


@pytest.mark.parametrize("text", ["\ud800 lone", "nul \0 inside", "x" * 100_000, ""])
def test_no_text_is_too_odd_for_the_log(run: Ledger, views: Views, text: str) -> None:
    """A line is made storable, and cut if it is long."""
    run.write("r1-1", None, text)
    run.probe()
    [line] = views.logs("r1")
    assert len(line.text) < 9_000


def test_a_line_for_an_execution_that_is_not_there_is_dropped(ledger: Ledger, views: Views) -> None:
    """The journal never raises."""
    ledger.write("nope", None, "x")
    ledger.write("nope-1", None, "x")
    ledger.probe()
    assert views.logs("nope") == []


def test_a_missing_body_is_a_named_error(views: Views) -> None:
    """Not a traceback."""
    with pytest.raises(NotFound):
        views.body(4)


def test_figures_for_metrics(run: Ledger, views: Views, clock: HandClock) -> None:
    """Verdicts and step times count for ever; the queue is of this moment."""
    run.accept_wait(delivery("g2"), [new_run("r2")])
    clock.time = 1_060.0
    run.save(1, operation("stack/plan", 1, {}, started_at=1_000.0))
    run.save(1, operation("stack/end", 2, {"state": "success"}, started_at=1_030.0, ended_at=1_030.5))
    run.save(1, operation("tell/end", 3, {"state": "skipped"}))
    run.finish(1, Ending("success", "done"), 1_031.0)
    stats = views.stats()
    assert stats["runs_by_verdict"] == {"success": 1}
    assert stats["runs_by_state"] == {"queued": 1, "running": 0, "waiting": 0}
    assert stats["queue_age"] == 60.0
    assert stats["step_durations"] == {("preview-cleanup", "stack"): (1, 30.5)}


# --- the switch, requests, settings --------------------------------------------------------------------


def test_a_pause_from_another_process_holds_at_once(ledger: Ledger, views: Views, path: Any) -> None:
    """Before any engine has taken the request, and after it has; the newest word counts."""
    requests = Requests(path)
    assert ledger.paused() is None
    requests.add_request("pause", None, "ada", "moving house")
    assert ledger.paused() == "by ada: moving house" == views.paused()
    assert ledger.take_requests() == []
    assert ledger.paused() == "by ada: moving house"
    requests.add_request("resume", None, "bob", None)
    assert ledger.paused() is None
    ledger.take_requests()
    assert ledger.paused() is None


def test_a_pause_survives_a_restart(path: Any, clock: HandClock) -> None:
    """It is in the ledger, not in memory."""
    with Ledger(path, clock=clock) as ledger:
        Requests(path).add_request("pause", None, "ada", None)
        ledger.take_requests()
    with Ledger(path, clock=clock) as ledger:
        assert ledger.paused() == "by ada"


def test_requests_wait_until_they_are_done(ledger: Ledger, path: Any) -> None:
    """Taking is not doing: a request that a crash cut off is taken again."""
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


def test_an_attempt_and_its_request_are_one_transaction(run: Ledger, path: Any) -> None:
    """A crash cannot make two attempts of one request."""
    number = Requests(path).add_request("rerun", "r1", "ada", None)
    run.attempts.new_attempt("r1", "{}", "ada", key="acme/shop#17", queue_timeout=3600.0, request=number)
    assert run.take_requests() == []
    assert Requests(path).outcome(number) == "r1-2"


def test_a_setting_is_made_once(ledger: Ledger, path: Any, clock: HandClock) -> None:
    """The key of Details links stays the same."""
    first = ledger.setting("link-key", lambda: b"\x00secret")
    assert ledger.setting("link-key", lambda: b"other") == first == b"\x00secret"


# --- retention ------------------------------------------------------------------------------------------


def test_prune_removes_what_is_old_and_finished(ledger: Ledger, views: Views, clock: HandClock) -> None:
    """With runs, operations and logs; what is recent or unfinished stays."""
    for number, received in ((1, 0.0), (2, 0.0), (3, 90_000.0)):
        clock.time = received
        ledger.accept_wait(delivery(f"g{number}")._replace(received_at=received), [new_run(f"r{number}")])
    ledger.save(1, operation("stack/end", 1, {"state": "success"}))
    ledger.write("r1-1", None, "begun")
    ledger.finish(1, Ending("success", "done"), 10.0)
    ledger.finish(3, Ending("success", "done"), 90_001.0)
    clock.time = 100_000.0
    assert ledger.prune(86_400.0) == {"deliveries": 1, "runs": 1, "log lines": 1}
    assert [view.id for view in views.runs()] == ["r3", "r2"]
    assert ledger._readers().execute("SELECT count(*) FROM operation").fetchone() == (0,)
    assert ledger.accept_wait(delivery("g4"), [new_run("r4", definition='{"a": 1}')]).delivery == 4
    assert views.stats()["runs_by_verdict"] == {"success": 2}


def test_numbers_are_never_given_twice(path: Any, clock: HandClock) -> None:
    """Not even when everything was pruned and the ledger opened anew."""
    with Ledger(path, clock=clock) as ledger:
        ledger.accept_wait(delivery("g1"), [])
        ledger.accept_wait(delivery("g2"), [])
        clock.time += 100_000
        ledger.prune(1.0)
    with Ledger(path, clock=clock) as ledger:
        assert ledger.accept_wait(delivery("g3"), []).delivery == 3
