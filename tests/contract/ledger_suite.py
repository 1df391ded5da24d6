"""What every ledger must do, written over a small bench so that another store can pass the same suite.

A subclass has a fixture `bench`. `LedgerSuite` is for every store; `ServerLedgerSuite` adds what a server on one
machine needs: settings, windows of a log, waiting requests, retention.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

import pytest

from closeout.core import ids, runs
from closeout.core.errors import LedgerError, NotFound
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.core.runs import NO_BASE, RESTARTED, SURVIVED
from closeout.engine.store import EngineStore
from closeout.ports import (
    UNFINISHED,
    Attempts,
    DeliveryFilter,
    DeliveryId,
    Ending,
    LedgerReader,
    Operation,
    PageReader,
    PatrolStore,
    Requests,
    RunFilter,
    RunView,
    ServerLedger,
    StepView,
    Switch,
)
from closeout.testing.durable import FakeClock

DEFINITION = json.dumps(
    {
        "steps": [
            {"id": "stack", "name": "delete the stack", "uses": "aws/x"},
            {"id": "tell", "name": "", "uses": "gh/y"},
        ]
    }
)
CHANGE = {"verb": "delete", "resource": "stack preview-17", "reason": "the PR is closed"}
SECRET = "hunter2"
DAY = 86_400.0


class LedgerBench(Protocol):
    """An empty store, with everything that the program does to it. It redacts `SECRET`."""

    clock: FakeClock
    reader: LedgerReader
    requests: Requests
    attempts: Attempts
    switch: Switch
    patrol: PatrolStore

    def accept(self, delivery: NewDelivery, new_runs: list[NewRun]) -> Accepted:
        """Store a delivery as the receiver does."""
        ...

    def begin(self, execution: str) -> None:
        """Note that an engine has taken an execution."""
        ...

    def save(self, execution: str, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store an operation, and what it means for its run, as an engine does."""
        ...

    def finish(self, execution: str, ending: Ending) -> None:
        """Store how an execution ended."""
        ...

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Write a log line; it can be read when this returns."""
        ...

    def carry_out(self) -> None:
        """Carry out waiting requests, as the engine does."""
        ...


class ServerBench(LedgerBench, Protocol):
    """A server's ledger."""

    ledger: ServerLedger
    engine: EngineStore
    pages: PageReader


def run_id(name: str) -> str:
    """Return a run id that begins with `name` (letters a to z)."""
    return (name + "a" * 26)[:26]


def operation(name: str, position: int, result: Any = None, **fields: Any) -> Operation:
    """Return a recorded operation."""
    given: dict[str, Any] = {
        "kind": "record",
        "state": "ok",
        "tries": 1,
        "wake": None,
        "started_at": 1_000.0,
        "ended_at": 1_001.0,
    }
    return Operation(name=name, position=position, result=json.dumps(result), **{**given, **fields})


def accept(bench: LedgerBench, name: str, *, hook: str = "h1", **options: Any) -> Accepted:
    """Accept one delivery that starts one run, both called `name`; a second later comes the next."""
    delivery = new_delivery(
        bench, f"guid-{name}", hook=hook, body=options.pop("body", b"{}"), form=options.pop("form", False)
    )
    accepted = bench.accept(delivery, [new_run(name, **options)])
    bench.clock.advance(1)
    return accepted


def new_delivery(
    bench: LedgerBench, guid: str, *, hook: str = "h1", body: bytes = b"{}", form: bool = False
) -> NewDelivery:
    """Return a delivery as the receiver makes it."""
    return NewDelivery(
        hook, guid, "pull_request", "closed", "acme/shop", body, form, bench.clock.now(), "github", 17
    )


def new_run(name: str, *, key: str | None = None, definition: str = DEFINITION) -> NewRun:
    """Return a run as the receiver makes it; its automation is called `name`."""
    return NewRun(run_id(name), name, key, definition, 3600.0)


def again(bench: LedgerBench, name: str, **options: Any) -> str:
    """Store the next attempt at a run."""
    given = {"key": None, "queue_timeout": 3600.0, **options}
    return bench.attempts.new_attempt(run_id(name), "{}", "ada", **given)


def shown(bench: LedgerBench, name: str, attempt: int | None = None) -> RunView:
    """Return a run, which must exist."""
    view = bench.reader.run(run_id(name), attempt)
    assert view is not None
    return view


def steps(bench: LedgerBench, name: str) -> list[tuple[str, str, int]]:
    """Return (id, state, attempts) of a run's steps."""
    return [(step.id, step.state, step.attempts) for step in shown(bench, name).steps]


class LedgerSuite:
    """The contract of every store."""

    # --- deliveries -----------------------------------------------------------------------------------------

    def test_a_delivery_is_stored_with_its_runs(self, bench: LedgerBench) -> None:
        """The answer has the delivery, its runs and the new executions."""
        body = b'{"number": 17}'
        delivery = new_delivery(bench, "g1", body=body)
        accepted = bench.accept(delivery, [new_run("r"), new_run("s")])
        ids = (run_id("r"), run_id("s"))
        assert accepted[1:] == (ids, False, (f"{ids[0]}-1", f"{ids[1]}-1"))
        view = bench.reader.delivery(accepted.delivery)
        assert view is not None
        assert view[1:] == (
            "g1", "h1", "pull_request", "closed", "acme/shop", 17, len(body), "github", bench.clock.now(), ids, None,
        )  # fmt: skip
        assert bench.reader.deliveries() == [view]
        assert bench.reader.body(accepted.delivery) == body
        assert {(run.id, run.state, run.delivery) for run in bench.reader.runs()} == {
            (each, "queued", accepted.delivery) for each in ids
        }

    def test_a_delivery_that_starts_nothing_is_stored(self, bench: LedgerBench) -> None:
        """`explain` and `replay` need it."""
        assert bench.accept(new_delivery(bench, "g1"), [])[1:] == ((), False, ())
        assert [view.guid for view in bench.reader.deliveries()] == ["g1"]

    def test_the_same_delivery_again_is_a_duplicate(self, bench: LedgerBench) -> None:
        """The answer has the original delivery and its runs, and nothing starts."""
        first = accept(bench, "r")
        assert accept(bench, "r") == (first.delivery, (run_id("r"),), True, ())
        assert len(bench.reader.deliveries()) == 1
        assert len(bench.reader.runs()) == 1

    def test_the_same_event_through_another_hook_starts_nothing_new(self, bench: LedgerBench) -> None:
        """The delivery is stored and shows the runs of its event; only missing runs start."""
        first = accept(bench, "r", hook="h1")
        second = accept(bench, "r", hook="h2")
        assert second.delivery != first.delivery
        assert second[1:] == ((run_id("r"),), True, ())
        third = bench.accept(new_delivery(bench, "guid-r", hook="h3"), [new_run("r"), new_run("s")])
        assert third[1:] == ((run_id("r"), run_id("s")), False, (f"{run_id('s')}-1",))
        assert [view.hook for view in bench.reader.deliveries()] == ["h3", "h2", "h1"]
        assert len(bench.reader.runs()) == 2

    def test_a_closing_starts_its_runs_once(self, bench: LedgerBench) -> None:
        """A delivery that adds nothing is stored, shows the existing runs, and starts none, whatever brought it."""
        closing = "501001/1700017/2026-03-14T09:26:53Z"
        first = bench.accept(new_delivery(bench, "g1")._replace(closing=closing), [new_run("r")])
        bench.clock.advance(1)
        recovered = new_delivery(bench, "g2", hook="api")._replace(closing=closing, origin="closed-list")
        second = bench.accept(recovered, [new_run("r")])
        assert second[1:] == ((run_id("r"),), True, ())
        assert bench.accept(recovered, [new_run("r")]) == second
        third = bench.accept(
            new_delivery(bench, "g3")._replace(closing=closing), [new_run("r"), new_run("s")]
        )
        assert third[1:] == ((run_id("r"), run_id("s")), False, (f"{run_id('s')}-1",))
        found = [bench.reader.delivery(one.delivery) for one in (first, second, third)]
        assert [(view.guid, view.origin, view.closing) for view in found if view] == [
            ("g1", "github", closing),
            ("g2", "closed-list", closing),
            ("g3", "github", closing),
        ]
        assert [run_id("r") in view.runs for view in found if view] == [True] * 3
        assert {(run.automation, run.attempt, run.guid) for run in bench.reader.runs()} == {
            ("r", 1, "g1"),
            ("s", 1, "g3"),
        }

    def test_an_attempt_may_read_another_delivery_of_its_closing(self, bench: LedgerBench) -> None:
        """The list that reported the closing first may lack what the webhook says; an unknown delivery has no payload."""
        closing = "501001/1700017/2026-03-14T09:26:53Z"
        first = new_delivery(bench, "g1", body=b'{"n": 1}')._replace(closing=closing, origin="closed-list")
        bench.accept(first, [new_run("r")])
        second = new_delivery(bench, "g2", body=b'{"n": 2}')._replace(closing=closing)
        told = bench.accept(second, [new_run("r")]).delivery
        bench.finish(f"{run_id('r')}-1", Ending("failure", "who closed it is unknown"))
        with pytest.raises(LedgerError):
            again(bench, "r", delivery="9" if isinstance(told, str) else 9)
        assert again(bench, "r", delivery=told) == f"{run_id('r')}-2"
        view = shown(bench, "r")
        assert (view.delivery, view.guid, view.heard, view.closing) == (told, "g2", "webhook", closing)
        assert bench.reader.body(view.delivery) == b'{"n": 2}'
        bench.finish(view.execution, Ending("success", "done"))
        assert again(bench, "r") == f"{run_id('r')}-3"
        assert shown(bench, "r").delivery == told
        assert bench.accept(second._replace(guid="g3"), [new_run("r")])[1:] == ((run_id("r"),), True, ())

    def test_a_run_can_claim_the_closing_that_it_learned(self, bench: LedgerBench) -> None:
        """Then no delivery starts the run of that closing; a run that already has the closing keeps it."""
        closing, late = "501001/1700017/2026-03-14T09:26:53Z", accept(bench, "r").runs[0]
        assert bench.attempts.claim_closing(closing, run_id("c"), late) == late
        assert bench.attempts.claim_closing(closing, run_id("c"), late) == late
        assert bench.attempts.claim_closing(closing, run_id("c"), run_id("x")) == late
        told = new_delivery(bench, "g2")._replace(closing=closing)
        of_closing = new_run("c")._replace(automation="r")
        assert bench.accept(told, [of_closing, new_run("s")])[1:] == (
            (late, run_id("s")), False, (f"{run_id('s')}-1",),
        )  # fmt: skip
        bench.clock.advance(1)
        assert bench.accept(told._replace(guid="g3"), [of_closing])[1:] == ((late,), True, ())
        assert bench.reader.run(run_id("c")) is None
        assert shown(bench, "r").closing == closing
        assert bench.attempts.claim_closing(closing, run_id("s"), late) == run_id("s")

    def test_an_event_keeps_the_run_that_an_earlier_release_named_after_its_guid(
        self, bench: LedgerBench
    ) -> None:
        """Through the same hook, through another one, and when it is replayed."""
        former = new_run("r")._replace(run_id=ids.run_id("g1", "r"))
        before = bench.accept(new_delivery(bench, "g1"), [former])
        bench.clock.advance(1)
        for hook in ("h1", "h2"):
            now = new_delivery(bench, "g1", hook=hook)._replace(closing="501001/1700017/2026-03-14T09:26:53Z")
            assert bench.accept(now, [new_run("r")])[1:] == ((former.run_id,), True, ())
        assert bench.attempts.add_runs(before.delivery, [new_run("r")], "ada") == ()
        assert [(run.id, run.attempt) for run in bench.reader.runs()] == [(former.run_id, 1)]

    def test_the_payload_of_a_form_is_its_json(self, bench: LedgerBench) -> None:
        """The body is stored as it was signed."""
        body = b"payload=%7B%22number%22%3A+17%7D"
        accepted = accept(bench, "r", body=body, form=True)
        view = bench.reader.delivery(accepted.delivery)
        assert view is not None
        assert view.size == len(body)
        assert bench.reader.body(accepted.delivery) == b'{"number": 17}'

    @pytest.mark.parametrize("delivery", [4, "nothing"])
    def test_an_unknown_id_is_none_or_a_named_error(self, bench: LedgerBench, delivery: DeliveryId) -> None:
        """Never an empty run or an empty payload."""
        assert bench.reader.delivery(delivery) is None
        assert bench.reader.run(run_id("r")) is None
        assert bench.reader.logs(run_id("r")) == []
        with pytest.raises(NotFound):
            bench.reader.body(delivery)

    # --- lists ----------------------------------------------------------------------------------------------

    def test_lists_are_newest_first_cut_and_narrowed(self, bench: LedgerBench) -> None:
        """Runs by automation, state, verdict and repository."""
        for name in "bcdef":
            accept(bench, name)
        bench.finish(f"{run_id('c')}-1", Ending("success", "done"))

        def listed(limit: int | None = None, **wanted: Any) -> str:
            return "".join(run.automation for run in bench.reader.runs(limit, RunFilter(**wanted)))

        assert listed() == "fedcb"
        assert listed(2) == "fe"
        assert listed(automation="d") == "d"
        assert listed(3, state="queued") == "fed"
        assert listed(state="finished") == listed(verdict="success") == "c"
        assert listed(state=UNFINISHED) == "fedb"
        assert listed(1, state=UNFINISHED, repository="acme/shop") == "f"
        assert listed(repository="acme/shop") == "fedcb"
        assert listed(repository="acme/other") == listed(verdict="failure") == ""
        assert [view.guid for view in bench.reader.deliveries(2)] == ["guid-f", "guid-e"]
        assert len(bench.reader.deliveries()) == 5

    def test_lists_are_narrowed_by_number_and_time(self, bench: LedgerBench) -> None:
        """The first moment is included, the last one is not; several filters apply together."""
        began = bench.clock.now()
        for name, number, event in (
            ("b", 17, "pull_request"),
            ("c", 18, "pull_request"),
            ("d", 18, "issues"),
        ):
            delivery = new_delivery(bench, f"guid-{name}")._replace(number=number, event=event)
            bench.accept(delivery, [new_run(name)])
            bench.clock.advance(1)

        def runs_of(**wanted: Any) -> str:
            return "".join(run.automation for run in bench.reader.runs(wanted=RunFilter(**wanted)))

        def deliveries_of(**wanted: Any) -> str:
            found = bench.reader.deliveries(wanted=DeliveryFilter(**wanted))
            return "".join(one.guid.removeprefix("guid-") for one in found)

        for listed in (runs_of, deliveries_of):
            assert (listed(number=18), listed(number=19)) == ("dc", "")
            assert (listed(since=began + 1), listed(until=began + 1)) == ("dc", "b")
            assert listed(since=began + 1, until=began + 2) == "c"
            assert listed(repository="acme/shop", number=18, until=began + 1.5) == "c"
        assert (deliveries_of(event="issues"), deliveries_of(guid="guid-c")) == ("d", "c")
        assert deliveries_of(event="issues", repository="acme/other") == ""

    def test_a_run_that_only_asked_for_earlier_bases_is_not_in_lists(self, bench: LedgerBench) -> None:
        """Its delivery, its id and the list of skipped runs lead to it."""
        for name in "bcd":
            accept(bench, name)
        bench.finish(
            f"{run_id('d')}-1", Ending("skipped", f"{NO_BASE}: base branch 'main' matches none of develop")
        )
        bench.finish(f"{run_id('c')}-1", Ending("skipped", "its `if` is false"))
        assert [run.automation for run in bench.reader.runs(2)] == ["c", "b"]
        assert [run.automation for run in bench.reader.runs(wanted=RunFilter(verdict="skipped"))] == [
            "d",
            "c",
        ]
        assert bench.reader.run(run_id("d")) is not None
        assert run_id("d") in bench.reader.deliveries(1)[0].runs

    def test_a_prefix_of_an_id_finds_its_runs(self, bench: LedgerBench) -> None:
        """In alphabetical order, each run once however many attempts it had, and no more than the limit."""
        for name in ("pc", "pb", "q"):
            accept(bench, name)
        bench.finish(f"{run_id('pb')}-1", Ending("success", "done"))
        again(bench, "pb")
        assert bench.reader.run_ids("p", 10) == [run_id("pb"), run_id("pc")]
        assert bench.reader.run_ids(run_id("q"), 10) == [run_id("q")]
        assert len(bench.reader.run_ids("", 2)) == 2
        assert bench.reader.run_ids("nothing", 10) == []

    def test_json_has_the_keys_that_scripts_rely_on(self, bench: LedgerBench) -> None:
        """In lists and in single records."""
        accept(bench, "r")
        for view in (bench.reader.runs()[0], shown(bench, "r")):
            value = json.loads(json.dumps(view.to_json()))
            assert value.keys() == set(RunView._fields)
            assert value["steps"][0].keys() == set(StepView._fields) - {"changes", "outcomes"}
        assert {"id", "guid", "hook", "event", "action", "runs"} <= bench.reader.deliveries()[
            0
        ].to_json().keys()

    # --- runs and steps ---------------------------------------------------------------------------------------

    def test_a_queued_run_has_pending_steps(self, bench: LedgerBench) -> None:
        """All declared steps exist from the beginning."""
        accept(bench, "r")
        assert steps(bench, "r") == [("stack", "pending", 0), ("tell", "pending", 0)]
        view = shown(bench, "r")
        assert (view.state, view.verdict, view.reason) == ("queued", None, None)

    def test_a_step_is_running_from_its_first_operation_to_its_end(self, bench: LedgerBench) -> None:
        """After that it has the state of its end. Its plan is read with its run only, not in lists."""
        accept(bench, "r")
        execution = f"{run_id('r')}-1"
        bench.begin(execution)
        bench.save(execution, operation("begin", 1))
        bench.save(execution, operation("stack/plan", 2, {"changes": [CHANGE]}))
        assert steps(bench, "r")[0] == ("stack", "running", 1)
        bench.save(execution, operation("stack/delete", 3, tries=3))
        end = {"state": "failure", "summary": "", "reason": "denied", "left": [CHANGE]}
        bench.save(execution, operation("stack/end", 4, end))
        assert steps(bench, "r")[0] == ("stack", "failure", 3)
        step = shown(bench, "r").steps[0]
        assert (step.reason, step.left, step.changes) == ("denied", (CHANGE,), (CHANGE,))
        (listed,) = bench.reader.runs()
        assert listed.steps[0] == step._replace(changes=None, outcomes=())

    def test_a_waiting_run_shows_its_last_poll(self, bench: LedgerBench) -> None:
        """In the step and as the run's reason; polls are not attempts."""
        accept(bench, "r")
        execution = f"{run_id('r')}-1"
        bench.begin(execution)
        heard = {"heard": "rate exceeded", "not_before": 0}
        poll = operation(
            "stack/gone", 1, heard, kind="wait", state="waiting", tries=40, wake=2e9, ended_at=None
        )
        bench.save(execution, poll, runs.Parked(2e9))
        view = shown(bench, "r")
        assert (view.state, view.reason) == ("waiting", "stack: rate exceeded")
        assert view.steps[0][3:7] == ("waiting", 1, None, "stack: rate exceeded")
        assert bench.reader.runs()[0].reason == "stack: rate exceeded"

    def test_a_run_that_sleeps_says_until_when(self, bench: LedgerBench) -> None:
        """Unless a cancel was requested."""
        accept(bench, "r")
        execution = f"{run_id('r')}-1"
        bench.begin(execution)
        sleep = operation("grace", 1, {}, kind="sleep", state="waiting", wake=2e9, ended_at=None)
        bench.save(execution, sleep, runs.Parked(2e9))
        view = shown(bench, "r")
        assert (view.sleeps_in, view.until, view.reason) == ("grace", 2e9, "waits in grace")
        bench.requests.add_request("cancel", execution, "Jo", None)
        bench.carry_out()
        view = shown(bench, "r")
        assert (view.sleeps_in, view.until, view.reason) == (None, None, "Jo asked to cancel it")

    def test_a_queued_run_names_the_run_it_waits_for(self, bench: LedgerBench) -> None:
        """The execution that holds its key, or the one that gets it first."""
        accept(bench, "r", key="k")
        accept(bench, "s", key="k")
        behind = f"queued behind {run_id('r')}-1 for the concurrency key k"
        assert [run.reason for run in bench.reader.runs()] == [behind, None]
        bench.begin(f"{run_id('r')}-1")
        assert shown(bench, "s").reason == behind
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        assert shown(bench, "s").reason is None

    @pytest.mark.parametrize(
        ("verdict", "expected"), [("failure", "failure"), ("cancelled", "cancelled"), ("success", "failure")]
    )
    def test_a_finished_run_has_its_verdict_and_no_running_step(
        self, bench: LedgerBench, verdict: str, expected: str
    ) -> None:
        """A step without an end is over too; steps that never began are skipped."""
        accept(bench, "r")
        execution = f"{run_id('r')}-1"
        bench.begin(execution)
        bench.save(execution, operation("stack/plan", 1, {"changes": []}))
        bench.save(execution, operation("final", 2, {"sent": True, "public": "1 step"}))
        bench.finish(execution, Ending(verdict, "so it ended"))
        view = shown(bench, "r")
        assert (view.state, view.verdict, view.summary) == ("finished", verdict, "so it ended")
        assert (view.status, view.public) == ("delivered", "1 step")
        assert [state for _, state, _ in steps(bench, "r")] == [expected, "skipped"]

    # --- attempts -------------------------------------------------------------------------------------------

    def test_a_further_attempt_is_another_execution_of_the_same_run(self, bench: LedgerBench) -> None:
        """Only the latest is listed; earlier ones are found by number, or by an execution's name."""
        accept(bench, "r", key="old")
        bench.finish(f"{run_id('r')}-1", Ending("failure", "left"))
        execution = again(bench, "r", key="new")
        assert execution == f"{run_id('r')}-2"
        (listed,) = bench.reader.runs()
        assert (listed.execution, listed.state, listed.requested_by, listed.key) == (
            execution,
            "queued",
            "ada",
            "new",
        )
        first = shown(bench, "r", 1)
        assert (first.state, first.attempt, first.key) == ("finished", 1, "old")
        assert bench.reader.run(f"{run_id('r')}-1") == first
        assert [step.id for step in first.steps] == ["stack", "tell"]
        assert (shown(bench, "r").attempt, shown(bench, "r").steps) == (2, ())
        assert bench.reader.run(run_id("r"), 3) is None

    def test_an_attempt_at_an_unknown_run_is_an_error(self, bench: LedgerBench) -> None:
        """The error names the run."""
        with pytest.raises(LedgerError, match=run_id("no")):
            again(bench, "no")

    def test_two_reruns_that_both_found_the_run_finished_start_one_attempt(self, bench: LedgerBench) -> None:
        """The caller reads the run first, and another one may store the next attempt in between."""
        accept(bench, "r")
        bench.finish(f"{run_id('r')}-1", Ending("failure", "left"))
        assert shown(bench, "r").state == "finished"
        assert again(bench, "r") == f"{run_id('r')}-2"
        with pytest.raises(LedgerError, match="has not finished"):
            again(bench, "r")
        assert (shown(bench, "r").attempt, shown(bench, "r").state) == (2, "queued")

    def test_a_replay_adds_missing_runs(self, bench: LedgerBench) -> None:
        """The delivery shows them; an existing run is left alone."""
        delivery = accept(bench, "r").delivery
        started = bench.attempts.add_runs(delivery, [new_run("r"), new_run("s")], "ada")
        assert started == (f"{run_id('s')}-1",)
        assert shown(bench, "s").requested_by == "ada"
        view = bench.reader.delivery(delivery)
        assert view is not None
        assert view.runs == (run_id("r"), run_id("s"))
        with pytest.raises(LedgerError, match="no delivery 7"):
            bench.attempts.add_runs(7, [], "ada")

    def test_open_runs_of_a_closing_are_teardowns_on_their_way(self, bench: LedgerBench) -> None:
        """Those of this pull request, whatever the case of its repository; runs of other events do not count."""
        first = new_delivery(bench, "g1")
        bench.accept(first, [new_run("a"), new_run("b")])
        bench.accept(first._replace(guid="g2", number=18), [new_run("c")])
        bench.accept(first._replace(guid="g3", repository="acme/other"), [new_run("d")])
        bench.accept(first._replace(guid="g4", action="synchronize"), [new_run("e")])
        bench.accept(first._replace(guid="g5", event="issues"), [new_run("f")])
        bench.accept(first._replace(guid="g6"), [])
        names = [f"{run_id(name)}-1" for name in "ab"]
        assert list(bench.reader.teardowns("Acme/Shop", 17)) == names
        bench.finish(names[0], Ending("success", ""))
        assert list(bench.reader.teardowns("acme/shop", 17)) == names[1:]
        bench.finish(names[1], Ending("failure", ""))
        assert list(bench.reader.teardowns("acme/shop", 17)) == []

    def test_reruns_and_replays_of_a_closing_are_teardowns_too(self, bench: LedgerBench) -> None:
        """The guard against double teardowns finds an attempt that is in progress."""
        delivery = accept(bench, "r").delivery
        bench.finish(f"{run_id('r')}-1", Ending("failure", ""))
        started = [again(bench, "r"), *bench.attempts.add_runs(delivery, [new_run("s")], "ada")]
        assert started == [f"{run_id('r')}-2", f"{run_id('s')}-1"]
        assert list(bench.reader.teardowns("acme/shop", 17)) == started

    # --- the log --------------------------------------------------------------------------------------------

    def test_a_log_is_in_order_and_redacted(self, bench: LedgerBench) -> None:
        """Read from the last id that was seen; each attempt has its own log."""
        accept(bench, "r")
        accept(bench, "s")
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        again(bench, "r")
        for execution, step, text in (
            (f"{run_id('r')}-1", None, "begun"),
            (f"{run_id('s')}-1", None, "another run"),
            (f"{run_id('r')}-2", None, "again"),
            (f"{run_id('r')}-1", "stack", f"the password is {SECRET}\nin two lines"),
        ):
            bench.write(execution, step, text)
            bench.clock.advance(1)
        lines = bench.reader.logs(run_id("r"), 1)
        assert [(line.step, line.text) for line in lines] == [
            (None, "begun"),
            ("stack", "the password is ***\nin two lines"),
        ]
        assert bench.reader.logs(run_id("r"), 1, after=lines[0].id) == lines[1:]
        assert bench.reader.logs(run_id("r"), 1, limit=1) == lines[:1]
        assert [line.text for line in bench.reader.logs(run_id("r"))] == ["again"]

    @pytest.mark.parametrize("text", ["\ud800 lone", "nul \0 inside", "x" * 100_000, ""])
    def test_any_text_can_be_logged(self, bench: LedgerBench, text: str) -> None:
        """A line is made storable, and cut if it is long."""
        accept(bench, "r")
        bench.write(f"{run_id('r')}-1", None, text)
        (line,) = bench.reader.logs(run_id("r"))
        assert len(line.text) < 9_000
        assert line.text.startswith(text[:3].encode("utf-8", "backslashreplace").decode())

    # --- requests -------------------------------------------------------------------------------------------

    def test_a_pause_holds_from_the_moment_it_is_written(self, bench: LedgerBench) -> None:
        """Before and after it is carried out; the newest request counts."""
        assert bench.switch.paused() is None
        bench.requests.add_request("pause", None, "ada", "moving house")
        for _ in range(2):
            assert bench.switch.paused() == "by ada: moving house"
            bench.carry_out()
        bench.requests.add_request("pause", None, "bob", None)
        assert bench.switch.paused() == "by bob"
        number = bench.requests.add_request("resume", None, "ada", None)
        for _ in range(2):
            assert bench.switch.paused() is None
            bench.carry_out()
        assert bench.requests.outcome(number) == "done"

    def test_only_the_newest_of_several_waiting_pauses_and_resumes_is_carried_out(
        self, bench: LedgerBench
    ) -> None:
        """The earlier ones are marked done with it."""
        asked = [bench.requests.add_request(kind, None, "ada", None) for kind in ("resume", "pause")]
        bench.carry_out()
        assert [bench.requests.outcome(each) for each in asked] == ["done", "done"]
        assert bench.switch.paused() == "by ada"

    def test_a_mark_of_patrol_replaces_the_one_before(self, bench: LedgerBench) -> None:
        """By kind and key; at first there are none."""
        assert bench.patrol.marks("repository") == {}
        bench.patrol.save_mark("repository", "501", {"known_to": 1, "beginnings": {"a": 2}, "etag": None})
        bench.patrol.save_mark("repository", "501", {"known_to": 3, "beginnings": {}, "etag": 'W/"é"'})
        bench.patrol.save_mark("hook", "501", {"last": 7})
        assert bench.patrol.marks("repository") == {"501": {"known_to": 3, "beginnings": {}, "etag": 'W/"é"'}}
        assert bench.patrol.marks("hook") == {"501": {"last": 7}}

    def test_a_delivery_is_known_by_its_hook_and_guid(self, bench: LedgerBench) -> None:
        """The same event through another hook is another delivery."""
        accept(bench, "r")
        assert bench.patrol.has_delivery("h1", "guid-r")
        assert not bench.patrol.has_delivery("h2", "guid-r")
        assert not bench.patrol.has_delivery("h1", "guid-s")

    def test_a_cancel_is_kept_with_who_and_why(self, bench: LedgerBench) -> None:
        """By execution or by run id; an unknown or finished run cannot be cancelled."""
        accept(bench, "r")
        execution = f"{run_id('r')}-1"

        def cancel(target: str) -> str | None:
            number = bench.requests.add_request("cancel", target, "ada", "wrong stack")
            bench.carry_out()
            return bench.requests.outcome(number)

        assert cancel(execution) == "done"
        assert shown(bench, "r").reason == "ada: wrong stack asked to cancel it"
        assert cancel(run_id("r")) == "done"
        bench.finish(execution, Ending("cancelled", "cancelled"))
        assert cancel(execution) == cancel(run_id("no")) == "unknown or finished"


class ServerLedgerSuite(LedgerSuite):
    """The contract of a store behind a server."""

    def test_closings_are_counted_by_day(self, bench: ServerBench) -> None:
        """Each closing counts once, by its first run that ends; results count as often as runs end."""
        began = bench.clock.now()
        deleted = (
            operation("stack/plan", 1, {"changes": [CHANGE]}),
            operation("stack/delete", 2, {"result": {}}, kind="wait"),
        )
        for name, origin in (("b", "github"), ("c", "closed-list"), ("d", "github")):
            closing = None if name == "d" else f"1/{name}/2026-03-14T09:26:53Z"
            delivery = new_delivery(bench, f"guid-{name}")._replace(closing=closing, origin=origin)
            bench.accept(delivery, [new_run(f"{name}{number}") for number in ("", "x", "y", "z")])
            for one in deleted:
                bench.save(f"{run_id(name)}-1", one)
                bench.save(f"{run_id(f'{name}x')}-1", one)
            bench.finish(f"{run_id(name)}-1", Ending("success", "deleted"))
            bench.finish(f"{run_id(f'{name}x')}-1", Ending("failure", "it is left"))
            bench.finish(f"{run_id(f'{name}y')}-1", Ending("skipped", "its `if` is false"))
            bench.finish(f"{run_id(f'{name}z')}-1", Ending("success", "there was nothing"))
            bench.clock.advance(DAY)
        again(bench, "bx")
        bench.finish(f"{run_id('bx')}-2", Ending("failure", "it is left"))
        days = bench.pages.days(began)
        assert [day[1:] for day in days] == [(1, 1, 1, 0), (1, 1, 1, 1), (0, 0, 1, 0)]
        assert bench.pages.days(began + DAY) == days[1:]

    def test_unfinished_executions_are_pending_in_order(self, bench: ServerBench) -> None:
        """By number of acceptance; the engine asks for those after the last one that it knows."""
        for name in "rst":
            accept(bench, name, key=f"key-{name}")
        bench.finish(f"{run_id('s')}-1", Ending("success", "done"))
        first, last = bench.engine.pending(0)
        assert first.number < last.number
        assert (first.execution, first.key, first.state, first.turn) == (
            f"{run_id('r')}-1",
            "key-r",
            "queued",
            "own",
        )
        assert (first.queue_timeout, last.accepted_at - first.accepted_at) == (3600.0, 2.0)
        assert bench.engine.pending(first.number) == [last]
        assert bench.engine.find(run_id("r")) == bench.engine.find(f"{run_id('r')}-1") == first.execution
        assert bench.engine.find(run_id("no")) is None

    def test_an_execution_is_loaded_with_what_it_recorded(self, bench: ServerBench) -> None:
        """In order of position; an operation that is saved again keeps its position."""
        delivery = accept(bench, "r", body=b'{"number": 17}').delivery
        name = f"{run_id('r')}-1"
        (pending,) = bench.engine.pending(0)
        second, first = operation("b", 2), operation("a", 1, state="waiting", ended_at=None)
        bench.save(name, second)
        bench.save(name, first)
        bench.save(name, first._replace(state="ok", tries=2))
        execution, operations = bench.engine.load(pending.number)
        assert list(operations) == [first._replace(state="ok", tries=2), second]
        assert (execution.id, execution.run_id, execution.attempt) == (name, run_id("r"), 1)
        assert (execution.definition, execution.body) == (DEFINITION, b'{"number": 17}')
        assert (execution.delivery, execution.guid, execution.hook) == (delivery, "guid-r", "h1")
        assert (execution.queue_expired, execution.unreadable) == (False, None)

    def test_what_was_running_when_the_process_ended_is_a_suspect(self, bench: ServerBench) -> None:
        """It waits and runs alone; a parked or queued execution is not a suspect."""
        for name in "rst":
            accept(bench, name)
        numbers = [pending.number for pending in bench.engine.pending(0)]
        bench.begin(f"{run_id('r')}-1")
        bench.begin(f"{run_id('s')}-1")
        bench.engine.park(numbers[1], 2e9)
        found = bench.engine.recover()
        assert [(one.state, one.alone, one.suspected) for one in found] == [
            ("waiting", "due", 1),
            ("waiting", None, 0),
            ("queued", None, 0),
        ]
        assert found[1].wake == 2e9
        assert [line.text for line in bench.reader.logs(run_id("r"))] == [SURVIVED]
        assert [line.text for line in bench.reader.logs(run_id("s"))] == [RESTARTED]
        assert bench.reader.logs(run_id("t")) == []
        bench.engine.begin(numbers[0], "own", bench.clock.now(), wait=True, alone=True)
        bench.engine.join(numbers[0])
        assert bench.engine.recover()[0].deaths == 0

    def test_requests_wait_until_they_are_done(self, bench: ServerBench) -> None:
        """An attempt and the request for it are one transaction."""
        accept(bench, "r")
        number = bench.requests.add_request("rerun", run_id("r"), "ada", "flaky")
        bench.carry_out()
        assert bench.requests.outcome(number) is None
        bench.finish(f"{run_id('r')}-1", Ending("failure", "left"))
        execution = again(bench, "r", request=number)
        assert bench.requests.outcome(number) == execution

    def test_a_setting_is_made_once(self, bench: ServerBench) -> None:
        """The key that signs Details links stays the same."""
        first = bench.ledger.setting("link-key", lambda: b"\x00secret")
        assert bench.ledger.setting("link-key", lambda: b"other") == first == b"\x00secret"
        assert bench.ledger.setting("other", lambda: b"") == b""

    def test_the_newest_time_is_known_while_a_run_is_unfinished(self, bench: ServerBench) -> None:
        """Waits and time limits depend on it."""
        assert bench.ledger.newest_time() is None
        at = bench.clock.now()
        accept(bench, "r")
        assert bench.ledger.newest_time() == at
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        assert bench.ledger.newest_time() is None

    @pytest.mark.parametrize("sizes", [(1,) * 57, (400,) * 20, (5_000, 1, 1, 5_000, 1), (), (1,) * 10])
    def test_windows_show_each_line_once(self, bench: ServerBench, sizes: tuple[int, ...]) -> None:
        """From either end, at most ten lines and about a thousand characters at a time; the rest is counted."""
        accept(bench, "r")
        accept(bench, "s")
        for size in sizes:
            bench.write(f"{run_id('r')}-1", None, "x" * size)
            bench.write(f"{run_id('s')}-1", None, "another run's")
        whole = bench.reader.logs(run_id("r"))

        def window(**where: Any) -> Any:
            found = bench.pages.log_window(run_id("r"), 1, limit=10, characters=1_000, **where)
            assert len(found.lines) <= 10
            lengths = [len(line.text) for line in found.lines]
            assert sum(lengths) - max(lengths, default=0) <= 1_000
            return found

        backward: list[Any] = []
        found = window()
        while found.lines:
            backward = [*found.lines, *backward]
            assert found.left_out == len(whole) - len(backward)
            found = window(before=found.lines[0].id)
        forward: list[Any] = []
        found = window(after=0)
        while found.lines:
            forward += found.lines
            assert found.left_out == len(whole) - len(forward)
            found = window(after=found.lines[-1].id)
        assert backward == forward == whole

    @pytest.mark.parametrize(("size", "shown"), [(250, 4), (251, 3)])
    def test_a_window_is_filled_to_its_last_character(
        self, bench: ServerBench, size: int, shown: int
    ) -> None:
        """From either end."""
        accept(bench, "r")
        for _ in range(5):
            bench.write(f"{run_id('r')}-1", None, "x" * size)
        for after in (0, None):
            window = bench.pages.log_window(run_id("r"), 1, after=after, limit=10, characters=1_000)
            assert (len(window.lines), window.left_out) == (shown, 5 - shown)

    def test_a_log_is_searched(self, bench: ServerBench) -> None:
        """A window then has only lines that contain the text, ignoring case, and counts only those."""
        accept(bench, "r")
        for text in ("AccessDenied: a", "fine", "100% accessdenied_b", "accessXdenied"):
            bench.write(f"{run_id('r')}-1", "stack", text)

        def found(search: str, **where: Any) -> Any:
            window = bench.pages.log_window(run_id("r"), 1, search=search, limit=1, characters=1_000, **where)
            return [line.text for line in window.lines], window.left_out

        assert found("ACCESSdenied") == (["100% accessdenied_b"], 1)
        assert found("accessdenied", after=0) == (["AccessDenied: a"], 1)
        assert found("% access") == (["100% accessdenied_b"], 0)
        assert found("access_denied") == ([], 0)
        assert found("") == (["accessXdenied"], 3)

    def test_operations_are_read_in_order(self, bench: ServerBench) -> None:
        """A page builds its timeline from them."""
        accept(bench, "r")
        name = f"{run_id('r')}-1"
        bench.begin(name)
        kept = [operation("begin", 1), operation("stack/delete", 2, tries=3)]
        for one in reversed(kept):
            bench.save(name, one)
        assert (
            list(bench.pages.operations(run_id("r"))) == list(bench.pages.operations(run_id("r"), 1)) == kept
        )
        assert list(bench.pages.operations(run_id("r"), 2)) == list(bench.pages.operations(run_id("s"))) == []

    def test_figures_for_metrics(self, bench: ServerBench) -> None:
        """Verdicts and step times of finished runs; the queue is the current one."""
        accept(bench, "r")
        accept(bench, "s")
        execution = f"{run_id('r')}-1"
        bench.save(execution, operation("stack/plan", 1, {}, started_at=1_000.0))
        bench.save(
            execution, operation("stack/end", 2, {"state": "success"}, started_at=1_030.0, ended_at=1_030.5)
        )
        bench.save(execution, operation("tell/end", 3, {"state": "skipped"}))
        bench.finish(execution, Ending("success", "done"))
        bench.clock.advance(59)
        assert bench.pages.stats() == {
            "runs_by_verdict": {"success": 1},
            "runs_by_state": {"queued": 1, "running": 0, "waiting": 0},
            "suspects": 0,
            "queue_age": 60.0,
            "step_durations": {("r", "stack"): (1, 30.5)},
            "empty_runs": {},
        }

    def test_a_closing_outlives_the_retention_of_its_delivery(self, bench: ServerBench) -> None:
        """GitHub's lists report old closings: one that already had its run starts no second one."""
        closing = "501001/1700017/2026-03-14T09:26:53Z"
        told = new_delivery(bench, "g1")._replace(closing=closing)
        bench.accept(told, [new_run("r")])
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        bench.clock.advance(399 * DAY)
        assert bench.ledger.prune(DAY)["runs"] == 1
        assert bench.reader.runs() == []
        heard = bench.accept(told, [new_run("r")])
        assert heard[1:] == ((run_id("r"),), True, ())
        assert bench.reader.runs() == []
        bench.clock.advance(2 * DAY)
        bench.ledger.prune(DAY)
        assert bench.accept(told._replace(guid="g2"), [new_run("r")]).started == (f"{run_id('r')}-1",)

    def test_runs_that_found_nothing_are_counted_until_one_finds_something(self, bench: ServerBench) -> None:
        """By automation. Failed and skipped runs do not count, dry runs do, and a find resets the count for good."""
        endings = (
            Ending("success", "nothing was there: there is no stack a"),
            Ending("success", "dry run: nothing was there: there is no stack a"),
            Ending("failure", "nothing was there, and closeout cannot tell whether that is right: 502"),
            Ending("skipped", "its `if` is false"),
        )
        accept(bench, "r")
        accept(bench, "s")
        bench.finish(f"{run_id('s')}-1", Ending("success", "deleted stack s"))
        for number, ending in enumerate(endings, start=1):
            if number > 1:
                again(bench, "r")
            bench.finish(f"{run_id('r')}-{number}", ending)
        assert bench.pages.stats()["empty_runs"] == {"r": 2}
        for number, text in ((5, "deleted stack r"), (6, endings[0].summary)):
            again(bench, "r")
            bench.finish(f"{run_id('r')}-{number}", Ending("success", text))
        assert bench.pages.stats()["empty_runs"] == {}

    def test_a_run_of_a_pruned_closing_can_be_requested(self, bench: ServerBench) -> None:
        """An operator must still be able to delete what is left after months."""
        told = new_delivery(bench, "g1")._replace(closing="501001/1700017/2026-03-14T09:26:53Z")
        bench.accept(told, [new_run("r")])
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        bench.clock.advance(90 * DAY)
        bench.ledger.prune(DAY)
        heard = bench.accept(told._replace(guid="g2"), [new_run("r")])
        assert bench.attempts.add_runs(heard.delivery, [new_run("r")], "ada") == (f"{run_id('r')}-1",)
        assert bench.attempts.add_runs(heard.delivery, [new_run("r")], "ada") == ()
        assert shown(bench, "r").requested_by == "ada"

    def test_prune_removes_what_is_old_and_finished(self, bench: ServerBench) -> None:
        """With runs, operations and logs; what is recent or unfinished stays, and no number is used twice."""
        accept(bench, "r")
        bench.save(f"{run_id('r')}-1", operation("stack/end", 1, {"state": "success"}))
        bench.write(f"{run_id('r')}-1", None, "begun")
        bench.finish(f"{run_id('r')}-1", Ending("success", "done"))
        accept(bench, "s")
        bench.clock.advance(2 * DAY)
        accept(bench, "t")
        bench.finish(f"{run_id('t')}-1", Ending("success", "done"))
        assert bench.ledger.prune(DAY) == {"deliveries": 1, "runs": 1, "log lines": 1}
        assert [run.automation for run in bench.reader.runs()] == ["t", "s"]
        assert bench.reader.run(run_id("r")) is None
        assert bench.reader.logs(run_id("r")) == []
        fresh = accept(bench, "r")
        assert not fresh.duplicate
        assert fresh.delivery == 4
        assert steps(bench, "r") == [("stack", "pending", 0), ("tell", "pending", 0)]
