"""The Lambda engine over DynamoDB: queues, waits, cancel, crashes, fencing tokens, and executions that Lambda ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from closeout.core.errors import RunCancelled, StepFailed, StoreUnavailable
from closeout.core.runs import MAX_DEATHS
from closeout.engine.durable import Abandoned
from closeout.engine.invocation import FRESH, LONGEST_WAIT
from closeout.engine.key_queue import LONGEST_QUEUE, SHORTEST_QUEUE, SUSPECT, next_check
from closeout.engine.lambda_ import AFTER_A_FAULT, DONE
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.rows import row_key
from closeout.ledger.dynamodb.table import Table, update
from closeout.ports import Durable, Ending, Execution, Operation, RunRecord
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import FOREVER, WORKER, RemoteBench, run_name
from tests.stack_aws import StackAws


class Gate:
    """A run function that waits durably until it is let through."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.expired: list[str] = []
        self.open: set[str] = set()

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        name = execution.automation
        if execution.queue_expired:
            self.expired.append(name)
            return Ending("failure", "it never had its turn")
        try:
            durable.record("begin", lambda: self.begun.append(name))
            durable.wait_until("gate", lambda: True if name in self.open else None, 10.0, 86_400.0)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return Ending("cancelled", error.message)
        return Ending("success", "done")


@pytest.fixture
def gate() -> Gate:
    """The run function of `bench`."""
    return Gate()


@pytest.fixture
def bench(aws: StackAws, gate: Gate) -> RemoteBench:
    """An empty ledger, and a clock that the test moves."""
    return RemoteBench(aws, gate, clock=FakeClock())


def advance(bench: RemoteBench, execution: str) -> dict[str, Any]:
    """Advance with the full time of an invocation."""
    return bench.engine.advance(execution, lambda: FOREVER)


def later(bench: RemoteBench, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


def started(bench: RemoteBench) -> dict[str, dict[str, Any]]:
    """What was started in Lambda, by name; names that another test uses too would mix."""
    return {entry["name"].partition("-")[2]: entry for entry in bench.aws.executions()}


def counted(bench: RemoteBench) -> list[int]:
    """Let the automation `a` have one effect; return a list with an entry for each time that it happened."""
    calls: list[int] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        later(bench, FRESH)  # so that the engine sends a heartbeat
        durable.record("effect", lambda: calls.append(1))
        return Ending("success", "done")

    bench.functions["a"] = run
    return calls


def key_items(bench: RemoteBench, key: str) -> list[str]:
    """The sort keys of the items under a concurrency key."""
    return [str(row["sk"]) for row in partition(bench, layout.key_partition(key))]


def partition(bench: RemoteBench, name: str) -> list[dict[str, Any]]:
    """Everything in a partition, as plain values."""
    answer = bench.dynamo.query(
        TableName=bench.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": name}},
    )
    return [layout.from_item(item) for item in answer["Items"]]


# --- turns --------------------------------------------------------------------------------------------------


def test_a_ticket_that_commits_late_with_an_earlier_time_waits_for_the_holder(
    bench: RemoteBench, gate: Gate
) -> None:
    """Tickets decide the order, the holder excludes others: no second run begins while the first one runs."""
    b = bench.accept("b", key="k")
    advance(bench, b)
    a = bench.accept("a", key="k", at=bench.clock.now() - 30)
    c = bench.accept("c", key="k")
    assert "wake" in advance(bench, a)
    assert gate.begun == ["b"]
    gate.open |= {"a", "b", "c"}
    later(bench, 20)
    assert advance(bench, b) == DONE
    assert "wake" in advance(bench, c)
    assert advance(bench, a) == DONE
    assert advance(bench, c) == DONE
    assert gate.begun == ["b", "a", "c"]


def test_only_one_of_two_first_tickets_runs(bench: RemoteBench, gate: Gate) -> None:
    """Invoked at once, each saw its own ticket as the first, since the other's was not yet stored; one gets the key."""
    a, b = bench.accept("a", key="k"), bench.accept("b", key="k")
    store = bench.store
    found = {execution: store.look(execution) for execution in (a, b)}
    taken = []
    both = threading.Barrier(2)

    def take(execution: str) -> None:
        record = found[execution]
        assert record is not None
        after = record._replace(run=record.run._replace(state="running"), fencing_token=f"of {execution}")
        both.wait(5)
        if store.take(record, after, hold=True, leave=False):
            taken.append(execution)

    threads = [threading.Thread(target=take, args=(execution,)) for execution in (a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(taken) == 1
    assert {bench.state(a), bench.state(b)} == {"running", "queued"}


def test_a_queued_run_polls_less_often_the_longer_it_waits(bench: RemoteBench) -> None:
    """From 15 seconds to an hour; its answer is enough to compute the next time, whenever it is read."""
    advance(bench, bench.accept("a", key="k"))
    b = bench.accept("b", key="k", queue_timeout=86_400.0)
    bench.starts.start(run_name("a") + "-1")
    waits = []
    for seconds in (0, 360, 36_000):
        later(bench, seconds)
        outcome = advance(bench, b)
        assert outcome["wake"] == next_check(**outcome["queued"], now=bench.clock.now())
        waits.append(outcome["wake"] - bench.clock.now())
    assert waits == [SHORTEST_QUEUE, 90.0, LONGEST_QUEUE]


def test_a_run_that_waited_too_long_for_its_key_ends_out_of_turn(bench: RemoteBench, gate: Gate) -> None:
    """While the holder runs undisturbed; its ticket is gone, and the run after it keeps its place."""
    a = bench.accept("a", key="k")
    advance(bench, a)
    b = bench.accept("b", key="k", queue_timeout=25.0)
    c = bench.accept("c", key="k")
    assert advance(bench, b)["wake"] <= bench.clock.now() + 25
    later(bench, 25)
    assert advance(bench, b) == DONE
    assert (gate.expired, bench.ending(b).verdict) == (["b"], "failure")
    assert bench.state(a) == "waiting"
    assert key_items(bench, "k") == [
        "holder",
        *(layout.ticket_key("k", 1_700_000_000.0, run)["sk"]["S"] for run in (a, c)),
    ]


# --- heads that stand in the way ----------------------------------------------------------------------------


def test_a_queue_head_that_was_never_started_is_started_by_name(bench: RemoteBench, gate: Gate) -> None:
    """The receiver died between its commit and the start: a run queued after it starts it, and waits on."""
    a, b = bench.accept("ahead", key="k"), bench.accept("behind", key="k")
    advance(bench, b)
    assert a not in started(bench)
    later(bench, 11)
    assert "wake" in advance(bench, b)
    row = bench.store.look(a)
    assert row is not None
    assert row.started
    entry = started(bench)[a]
    assert (entry["function"], entry["payload"]) == (
        WORKER,
        json.dumps({"execution": a}, separators=(",", ":")),
    )
    assert gate.begun == []


def test_a_dead_holder_of_an_earlier_deployment_is_ended(
    aws: StackAws, bench: RemoteBench, gate: Gate
) -> None:
    """Lambda may refuse its name to another version of the worker; its ARN was recorded at its start."""
    a, b = bench.accept("dead", key="k"), bench.accept("next", key="k")
    bench.starts.start(a)
    advance(bench, a)
    aws.execution_status(a, "FAILED")
    aws.fault(
        service="lambda",
        operation="Invoke",
        code="DurableExecutionAlreadyStartedException",
        status=409,
        times=99,
    )
    later(bench, SUSPECT + 1)
    gate.open.add("next")
    assert advance(bench, b) == DONE
    assert bench.buried == [(a, "FAILED")]
    assert gate.begun[-1] == "next"
    aws.clear_faults()


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "STOPPED"])
def test_a_dead_holder_is_ended_and_passed_over(
    aws: StackAws, bench: RemoteBench, gate: Gate, status: str
) -> None:
    """Only when Lambda says so: until then the key stays with it."""
    name = {"FAILED": "fa", "TIMED_OUT": "ti", "STOPPED": "st"}[status]
    a, b = bench.accept(name, key="k"), bench.accept(name + "b", key="k")
    bench.starts.start(a)
    advance(bench, a)
    later(bench, SUSPECT + 1)
    assert "wake" in advance(bench, b)
    assert bench.buried == []
    aws.execution_status(a, status)
    advance(bench, b)
    assert bench.buried == [(a, status)]
    assert bench.ending(a) == Ending("failure", status)
    assert gate.begun == [name, name + "b"]
    assert key_items(bench, "k")[0] == "holder"


def test_the_leftovers_of_a_run_that_is_over_do_not_hold_a_key(bench: RemoteBench, gate: Gate) -> None:
    """A ticket or lock of a finished or deleted run is removed by the run that finds it."""
    a = bench.accept("a", key="k")
    gate.open.add("a")
    advance(bench, a)
    for item in (layout.ticket_item("k", 1.0, a), layout.ticket_item("k", 2.0, run_name("gone") + "-1")):
        bench.dynamo.put_item(TableName=bench.name, Item=item)
    bench.dynamo.put_item(
        TableName=bench.name, Item=layout.holder_key("k") | layout.to_item({"execution": a})
    )
    b = bench.accept("b", key="k")
    assert "wake" in advance(bench, b)
    later(bench, SUSPECT)
    advance(bench, b)
    assert gate.begun == ["a", "b"]
    assert len(key_items(bench, "k")) == 2


# --- waiting ------------------------------------------------------------------------------------------------


def test_an_invocation_that_comes_too_early_executes_nothing(bench: RemoteBench) -> None:
    """Lambda may come back sooner than requested."""
    executed: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        executed.append(execution.id)
        durable.sleep("pause", 100.0)
        return Ending("success", "done")

    bench.functions["a"] = run
    a = bench.accept("a")
    wake = advance(bench, a)
    assert wake == {"wake": bench.clock.now() + 100}
    later(bench, 50)
    assert advance(bench, a) == wake
    assert len(executed) == 1
    later(bench, 50)
    assert advance(bench, a) == DONE


def test_a_long_wait_is_checked_now_and_then(bench: RemoteBench) -> None:
    """So that a cancel takes effect within minutes; no function is executed for it."""

    def run(durable: Durable, execution: Execution) -> Ending:
        durable.sleep("pause", 7_200.0)
        return Ending("success", "done")

    bench.functions["a"] = run
    assert advance(bench, bench.accept("a")) == {"wake": bench.clock.now() + LONGEST_WAIT}


def test_nothing_is_begun_shortly_before_the_end_of_an_invocation(bench: RemoteBench) -> None:
    """The run suspends at its next operation and continues in the next invocation; no crash is counted."""
    left = iter([FOREVER] * 6 + [50.0] * 50)
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        for name in "abcdefgh":
            durable.record(name, lambda name=name: calls.append(name))  # type: ignore[misc]
        return Ending("success", "done")

    bench.functions["run"] = run
    execution = bench.accept("run")
    assert bench.engine.advance(execution, lambda: next(left)) == {"wake": bench.clock.now()}
    assert 0 < len(calls) < 8
    assert bench.state(execution) == "waiting"
    assert advance(bench, execution) == DONE
    assert calls == list("abcdefgh")


def test_a_call_is_not_begun_if_it_might_outlast_the_invocation(bench: RemoteBench) -> None:
    """Two calls of ten minutes do not fit into fifteen: the next invocation begins the second one."""
    ends: list[float] = []
    calls: list[tuple[str, float]] = []

    def remaining() -> float:
        return ends[-1] - bench.clock.now()

    def run(durable: Durable, execution: Execution) -> Ending:
        def call(name: str) -> None:
            calls.append((name, remaining()))
            bench.clock.advance(600.0)  # type: ignore[attr-defined]

        for name in "abc":
            durable.record(name, lambda name=name: call(name))  # type: ignore[misc]
        return Ending("success", "done")

    bench.functions["run"] = run
    execution = bench.accept("run")
    engine = bench.process(longest=850.0)
    for _ in range(3):
        assert not calls or bench.state(execution) == "waiting"
        ends.append(bench.clock.now() + 900.0)
        outcome = engine.advance(execution, remaining)
    assert outcome == DONE
    assert calls == [("a", 900.0), ("b", 900.0), ("c", 900.0)]


def test_each_invocation_makes_progress_however_little_time_it_has(bench: RemoteBench) -> None:
    """An environment that took long to start must not delay a run forever."""
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        for name in "ab":
            durable.record(name, lambda name=name: calls.append(name))  # type: ignore[misc]
        return Ending("success", "done")

    bench.functions["run"] = run
    execution = bench.accept("run")
    engine = bench.process(longest=850.0)
    assert engine.advance(execution, lambda: 600.0) == {"wake": bench.clock.now()}
    assert calls == ["a"]
    assert engine.advance(execution, lambda: 600.0) == DONE


# --- cancel -------------------------------------------------------------------------------------------------


def test_a_waiting_run_learns_of_a_cancel_once(bench: RemoteBench, gate: Gate) -> None:
    """Even before its wait is over; the operations after it work."""
    a = bench.accept("a")
    advance(bench, a)
    assert bench.attempts.cancel(a, "dev: wrong stack")
    assert advance(bench, a) == DONE
    assert bench.ending(a) == Ending("cancelled", "cancelled by dev: wrong stack")
    assert bench.operations(a)["final"].state == "ok"
    row = bench.store.look(a)
    assert row is not None
    assert row.run.cancel is None
    assert not bench.attempts.cancel(a, "too late")


# --- crashes and fencing tokens -----------------------------------------------------------------------------


def dies(durable: Durable, execution: Execution) -> Ending:
    """Do one thing, then lose the process in the second."""
    durable.record("first", lambda: 1)

    def die() -> None:
        raise Abandoned

    durable.record("second", die)
    return Ending("success", "done")


def test_a_run_whose_process_died_continues_from_its_record(bench: RemoteBench) -> None:
    """Another process finds it running under another fencing token, and counts one crash."""
    calls: list[str] = []
    bench.functions["a"] = dies
    a = bench.accept("a")
    advance(bench, a)
    assert bench.state(a) == "running"

    def lives(durable: Durable, execution: Execution) -> Ending:
        durable.record("first", lambda: calls.append("first"))
        durable.record("second", lambda: calls.append("second"))
        return Ending("success", "done")

    bench.functions["a"] = lives
    assert bench.process().advance(a, lambda: FOREVER) == DONE
    assert calls == ["second"]
    assert bench.operations(a)["second"].tries == 2


def test_an_operation_that_repeatedly_kills_its_process_fails(bench: RemoteBench) -> None:
    """After as many deaths as on one machine, since each invocation is alone; progress resets the count."""
    bench.functions["a"] = dies
    a = bench.accept("a")
    for _ in range(MAX_DEATHS):
        bench.process().advance(a, lambda: FOREVER)
    row = bench.store.look(a)
    assert row is not None
    assert (row.run.deaths, row.run.suspected, row.run.alone) == (MAX_DEATHS - 1, 0, None)

    def run(durable: Durable, execution: Execution) -> Ending:
        try:
            dies(durable, execution)
        except StepFailed as error:
            assert durable.record("after", lambda: "works") == "works"
            return Ending("failure", error.kind)
        return Ending("success", "?")

    bench.functions["a"] = run
    assert bench.process().advance(a, lambda: FOREVER) == DONE
    assert bench.ending(a) == Ending("failure", "crashed")
    row = bench.store.look(a)
    assert row is not None
    assert (row.run.crashes, row.run.deaths) == (0, 0)


def test_a_row_from_before_deaths_were_counted_is_read(bench: RemoteBench) -> None:
    """Its earlier crashes count as attempts and not against it."""
    bench.functions["a"] = dies
    a = bench.accept("a")
    for _ in range(2):
        bench.process().advance(a, lambda: FOREVER)
    bench.table.change(update(row_key(a), {"deaths": None, "crashes": 2}, "attribute_exists(pk)"))
    row = bench.store.look(a)
    assert row is not None
    assert (row.run.crashes, row.run.deaths) == (2, 0)
    bench.process().advance(a, lambda: FOREVER)
    row = bench.store.look(a)
    assert row is not None
    assert (row.run.crashes, row.run.deaths) == (3, 1)


def test_only_one_of_two_invocations_of_an_execution_records(bench: RemoteBench) -> None:
    """The second takes over, and the first one's later writes are refused: that invocation is abandoned."""
    other: list[dict[str, Any]] = []
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        def effect() -> str:
            calls.append("effect")
            if len(calls) == 1:
                other.append(bench.process().advance(execution.id, lambda: FOREVER))
                return "of the first"
            return "of the second"

        return Ending("success", durable.record("effect", effect))

    bench.functions["a"] = run
    a = bench.accept("a", key="k")
    assert "wake" in advance(bench, a)
    assert other == [DONE]
    assert bench.ending(a) == Ending("success", "of the second")
    assert json.loads(bench.operations(a)["effect"].result or "") == "of the second"
    assert advance(bench, a) == DONE
    assert bench.finished == [a]


def test_an_invocation_that_lost_its_claim_stores_nothing(bench: RemoteBench) -> None:
    """The run is `running` for both invocations; only the fencing token distinguishes them."""
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        if len(calls) == 1:
            raise Abandoned  # the other invocation's process dies in the middle

        def effect() -> None:
            calls.append("effect")
            if len(calls) == 1:
                bench.process().advance(execution.id, lambda: FOREVER)

        durable.record("effect", effect)
        return Ending("success", "done")

    bench.functions["a"] = run
    a = bench.accept("a")
    assert "wake" in advance(bench, a)
    assert (calls, bench.state(a), bench.operations(a)) == (["effect"], "running", {})


def test_a_second_invocation_is_noticed_before_a_new_operation_begins(bench: RemoteBench) -> None:
    """Not only when the outcome is stored: the operation's function is not called."""
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        if calls:
            raise Abandoned
        calls.append("taken over")
        bench.process().advance(execution.id, lambda: FOREVER)
        later(bench, FRESH)
        durable.record("effect", lambda: calls.append("effect"))
        return Ending("success", "done")

    bench.functions["a"] = run
    assert "wake" in advance(bench, bench.accept("a"))
    assert calls == ["taken over"]


class Flaky:
    """A store that does not answer some of its methods for a while."""

    def __init__(self, inner: Any, broken: set[str]) -> None:
        self._inner = inner
        self.broken = broken
        self.refused = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if name in self.broken:
                self.refused += 1
                raise StoreUnavailable("no answer")
            return getattr(self._inner, name)(*args, **named)

        return call


@pytest.mark.parametrize("method", ["read", "take", "load", "heartbeat", "save", "finish"])
def test_an_unreachable_ledger_loses_no_run_and_counts_as_no_crash(bench: RemoteBench, method: str) -> None:
    """Invocations try again, as often as it takes: an outage is not a crash of the run."""
    counted(bench)
    flaky = Flaky(bench.store, {method})
    bench.store = flaky  # type: ignore[assignment]
    left = [FOREVER]
    engine = bench.process(pause=lambda _seconds: left.__setitem__(0, 1.0))
    a = bench.accept("a")
    for _ in range(MAX_DEATHS + 1):
        left[0] = FOREVER
        assert engine.advance(a, lambda: left[0])["wake"] > bench.clock.now()
        later(bench, 10)
    assert flaky.refused > MAX_DEATHS
    flaky.broken.clear()
    left[0] = FOREVER
    assert engine.advance(a, lambda: left[0]) == DONE
    assert bench.ending(a) == Ending("success", "done")
    assert bench.operations(a)["effect"].tries == 1


class Left:
    """An invocation's remaining seconds: enough, until something has to wait."""

    def __init__(self) -> None:
        self._seconds = FOREVER

    def __call__(self) -> float:
        return self._seconds

    def pause(self, _seconds: float) -> None:
        """Let it run out."""
        self._seconds = 1.0


@pytest.mark.parametrize("method", ["load", "heartbeat"])
def test_an_outage_counts_as_no_crash_in_another_environment(bench: RemoteBench, method: str) -> None:
    """Lambda calls any free environment: what one of them knows must be in the row."""
    calls = counted(bench)
    flaky = Flaky(bench.store, {method})
    bench.store = flaky  # type: ignore[assignment]
    a = bench.accept("a")
    for _ in range(MAX_DEATHS + 1):
        left = Left()
        assert "wake" in bench.process(pause=left.pause).advance(a, left)
        later(bench, 10)
    flaky.broken.clear()
    assert bench.process().advance(a, lambda: FOREVER) == DONE
    assert (bench.ending(a), calls) == (Ending("success", "done"), [1])


def test_a_claim_whose_answer_was_lost_counts_as_no_crash(bench: RemoteBench, gate: Gate) -> None:
    """It is released, and the next invocation takes it again."""

    class Forgetful(Flaky):
        def take(self, *args: Any, **named: Any) -> bool:
            """Write it, and lose the answer."""
            assert self._inner.take(*args, **named)
            raise StoreUnavailable("no answer")

    kept = bench.store
    a = bench.accept("a", key="k")
    for _ in range(MAX_DEATHS + 1):
        bench.store = Forgetful(kept, set())  # type: ignore[assignment]
        assert "wake" in bench.process().advance(a, lambda: FOREVER)
        later(bench, 10)
    bench.store = kept
    gate.open.add("a")
    assert bench.process().advance(a, lambda: FOREVER) == DONE
    assert bench.ending(a) == Ending("success", "done")


def test_an_outcome_is_stored_however_long_the_ledger_refuses_writes(bench: RemoteBench) -> None:
    """As long as the invocation lasts: a finished effect must not be repeated."""
    calls = counted(bench)
    flaky = Flaky(bench.store, {"save"})
    bench.store = flaky  # type: ignore[assignment]

    def pause(_seconds: float) -> None:
        if flaky.refused == 3:
            flaky.broken.clear()

    a = bench.accept("a")
    assert bench.process(pause=pause).advance(a, lambda: FOREVER) == DONE
    assert (calls, flaky.refused) == ([1], 3)


def test_a_write_whose_answer_was_lost_is_recognized_as_ones_own(bench: RemoteBench) -> None:
    """The same claim again finds its own fencing token."""
    a = bench.accept("a", key="k")
    found = bench.store.look(a)
    assert found is not None
    taken = found._replace(run=found.run._replace(state="running"), fencing_token="mine")
    assert bench.store.take(found, taken, hold=True, leave=False)
    assert bench.store.take(found, taken, hold=True, leave=False)
    assert not bench.store.take(found, taken._replace(fencing_token="another's"), hold=True, leave=False)


def test_an_end_whose_answer_was_lost_is_logged_all_the_same(bench: RemoteBench, gate: Gate) -> None:
    """The alarm on failed runs counts the log's line about the end."""

    class Deaf:
        """The store, whose first answer to `finish` is lost."""

        def __init__(self, store: Any) -> None:
            self._store = store
            self.lost = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def finish(self, *end: Any) -> bool:
            done = bool(self._store.finish(*end))
            if self.lost == 0:
                self.lost += 1
                raise StoreUnavailable("no answer")
            return done

    gate.open.add("a")
    a = bench.accept("a", key="k")
    deaf = Deaf(bench.store)
    bench.store = deaf  # type: ignore[assignment]
    assert bench.process(pause=lambda _seconds: None).advance(a, lambda: FOREVER) == DONE
    assert (deaf.lost, bench.finished) == (1, [a])


# --- ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (layout.body_key(layout.delivery_id("1", "guid-a")), "body has expired"),
        (layout.definition_key(run_name("a"), 1), "definition has expired"),
    ],
)
def test_a_run_learns_that_its_payload_or_definition_is_gone(
    bench: RemoteBench, key: layout.Item, why: str
) -> None:
    """Only the run function knows what to report to GitHub; it has what the run recorded before."""

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is None:
            durable.record("pending", lambda: "abc")
            durable.sleep("wait", 10.0)
        said = durable.record("pending", lambda: "nothing")
        return Ending("failure", f"{said}: {execution.unreadable}")

    bench.functions["a"] = run
    a = bench.accept("a", key="k")
    advance(bench, a)
    bench.dynamo.delete_item(TableName=bench.name, Key=key)
    later(bench, 11)
    assert advance(bench, a) == DONE
    assert bench.ending(a).summary.startswith("abc: ")
    assert why in bench.ending(a).summary
    assert key_items(bench, "k") == []
    assert bench.finished == [a]  # counted, like any other that failed


def test_a_run_whose_record_is_damaged_ends_as_a_failure(bench: RemoteBench, gate: Gate) -> None:
    """Nothing can be reported to GitHub, which is logged; its key is free for the next."""
    a = bench.accept("a", key="k")
    advance(bench, a)
    damaged = layout.operation_key(run_name("a"), 1, "begin") | {"kind": {"S": "record"}}
    bench.dynamo.put_item(TableName=bench.name, Item=damaged)
    later(bench, 11)
    assert advance(bench, a) == DONE
    assert bench.ending(a).verdict == "failure"
    assert "cannot be read" in bench.ending(a).summary
    assert [text for text in bench.reports if "cannot be read" in text]
    assert key_items(bench, "k") == []


def test_follow_up_work_of_a_run_is_repeated_until_it_succeeds(bench: RemoteBench) -> None:
    """Even if the process died right after the end was stored: the run has ended, and its key is free."""
    bench.functions["a"] = lambda _durable, _execution: Ending("success", "done")
    faults: list[Exception] = [StoreUnavailable("later")]
    seen: list[tuple[str, str | None, str | None, str | None]] = []

    def on_end(record: RunRecord) -> None:
        if faults:
            raise faults.pop()
        definition = record.accepted and record.accepted.definition
        seen.append((record.execution, record.run.verdict, record.event, definition))

    engine = bench.process(on_end=on_end)
    a = bench.accept("a", key="k")
    outcome = engine.advance(a, lambda: FOREVER)
    assert 0 < outcome["wake"] - bench.clock.now() <= AFTER_A_FAULT
    assert (bench.ending(a).verdict, seen) == ("success", [])
    assert bench.reports == [f"{a}: what follows its end cannot be done now: later"]
    assert engine.advance(a, lambda: FOREVER) == DONE
    assert seen == [(a, "success", "pull_request.closed", "{}")]
    other = bench.accept("b", key="k")
    bench.functions["b"] = bench.functions["a"]
    assert engine.advance(other, lambda: FOREVER) == DONE
    assert len(seen) == 2


def test_a_finished_run_is_left_alone(bench: RemoteBench, gate: Gate) -> None:
    """By an invocation and by the handler of failed executions."""
    gate.open.add("a")
    a = bench.accept("a")
    advance(bench, a)
    assert advance(bench, a) == DONE
    ended: list[str] = []

    def end(durable: Durable, execution: Execution) -> Ending:
        ended.append(execution.id)
        return Ending("failure", "never called")

    assert bench.engine.end(a, end, lambda: FOREVER)
    assert ended == []
    assert (gate.begun, bench.ending(a)) == (["a"], Ending("success", "done"))
    assert advance(bench, run_name("unknown") + "-1") == DONE


def test_a_run_is_ended_from_outside_in_any_state(bench: RemoteBench, gate: Gate) -> None:
    """Its crashes do not count, its own record is available, and a zombie loses its fencing token."""
    bench.functions["a"] = dies
    a, b = bench.accept("a", key="k"), bench.accept("b", key="k")
    for _ in range(MAX_DEATHS):
        bench.process().advance(a, lambda: FOREVER)
    seen: list[Any] = []

    def end(durable: Durable, execution: Execution) -> Ending:
        seen.append(durable.record("first", lambda: "not called"))
        durable.record("final", lambda: "posted")
        return Ending("failure", "Lambda gave it up")

    assert bench.engine.end(a, end, lambda: FOREVER)
    assert (seen, bench.ending(a)) == ([1], Ending("failure", "Lambda gave it up"))
    gate.open.add("b")
    assert advance(bench, b) == DONE


def test_ending_a_queued_run_takes_nothing_from_the_holder(bench: RemoteBench, gate: Gate) -> None:
    """It never had the key, so it gives up its ticket only."""
    a, b = bench.accept("a", key="k"), bench.accept("b", key="k")
    advance(bench, a)
    assert bench.engine.end(b, lambda *_: Ending("failure", "lost"), lambda: FOREVER)
    assert [sk.partition("#")[0] for sk in key_items(bench, "k")] == ["holder", "ticket"]
    assert bench.state(a) == "waiting"


def test_ending_a_run_waits_while_there_is_time(bench: RemoteBench) -> None:
    """The final status is tried again within the invocation; without time the caller learns it, and comes again."""
    tries: list[float] = []

    def end(durable: Durable, execution: Execution) -> Ending:
        def post() -> bool | None:
            tries.append(bench.clock.now())
            return True if len(tries) > 2 else None

        durable.wait_until("final", post, 5.0, 3_600.0)
        return Ending("failure", "ended")

    a = bench.accept("a")
    engine = bench.process(pause=lambda seconds: later(bench, seconds))
    assert not engine.end(a, end, lambda: 61.0)
    assert bench.state(a) == "waiting"
    assert engine.end(a, end, lambda: FOREVER)
    assert len(tries) == 3
    assert bench.ending(a) == Ending("failure", "ended")


def test_records_expire_only_after_the_run_is_over(bench: RemoteBench, gate: Gate) -> None:
    """A run in progress never expires; a finished one does, and its record outlives it."""
    a = bench.accept("a")
    advance(bench, a)
    run_id = a.rpartition("-")[0]

    def expiries() -> dict[str, int | None]:
        rows = partition(bench, layout.run_partition(run_id))
        return {row["sk"]: row.get("expires") for row in rows}

    assert expiries()["attempt#000001"] is None
    gate.open.add("a")
    later(bench, 60)
    advance(bench, a)
    found = expiries()
    end = found.pop("attempt#000001")
    assert end is not None
    assert end == int(bench.clock.now() + 30 * 86_400)
    assert all(expires is not None and expires >= end for expires in found.values())


def test_operations_are_read_in_the_order_in_which_they_happened(bench: RemoteBench) -> None:
    """However their names sort, and however long they are."""
    names = ["z", "a", "m" * 1_200, "ü/é"]

    def run(durable: Durable, execution: Execution) -> Ending:
        for name in names:
            durable.record(name, lambda: None)
        durable.sleep("pause", 1.0)
        return Ending("success", "done")

    bench.functions["a"] = run
    a = bench.accept("a")
    advance(bench, a)
    record = bench.store.read(a)
    assert record is not None
    recorded: list[Operation] = list(bench.store.load(record).operations)
    assert [operation.name for operation in recorded] == [*names, "pause"]


# --- as few requests as a run can begin with ----------------------------------------------------------------


class Counting:
    """boto3's client, which records the operations that were called."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        self.calls.append(operation)
        return getattr(self._inner, operation)


class Beginning:
    """A run whose first operation may be stored with the second. `between` is called inside the second one."""

    def __init__(self, bench: RemoteBench) -> None:
        self.bench = bench
        self.calls: list[str] = []
        self.stored: list[list[str]] = []
        """The operations stored within each operation."""
        self.between: Callable[[], object] = lambda: None
        self.requests: list[str] = []
        """What DynamoDB was asked before the third operation."""
        self._plain = bench.store
        self._counting = Counting(bench.dynamo)
        table = Table(self._counting, bench.name, now=bench.clock.now)
        bench.store = Executions(table, bench.bodies, bench.clock, retention_days=30)
        bench.engine = bench.process()
        bench.functions["a"] = self._run
        self.execution = bench.accept("a", key="k")

    def _note(self, name: str) -> str:
        self.calls.append(name)
        operations = self._plain.recorded(self.execution[:-2], 1)[1]
        self.stored.append([operation.name for operation in operations])
        if name == "match":
            self.between()
        elif name == "pending":
            self.requests = list(self._counting.calls)
        return name

    def _run(self, durable: Durable, _execution: Execution) -> Ending:
        try:
            durable.record("begin", lambda: self._note("begin"), later=True)
            durable.record("match", lambda: self._note("match"))
            durable.record("pending", lambda: self._note("pending"))
        except RunCancelled:
            return Ending("cancelled", "told")
        return Ending("success", "done")


def test_a_run_begins_with_five_requests(bench: RemoteBench) -> None:
    """The run's items, its key's, the claim, everything else, and the operations: a person waits for them."""
    beginning = Beginning(bench)
    assert advance(bench, beginning.execution) == DONE
    write = "transact_write_items"
    assert beginning.requests == ["query", "query", write, "batch_get_item", write]
    assert beginning.stored == [[], [], ["begin", "match"]]


def test_an_operation_that_is_stored_with_the_next_is_repeated_if_the_process_dies(
    bench: RemoteBench,
) -> None:
    """Nothing that depends on it was stored."""
    beginning = Beginning(bench)

    def die() -> None:
        raise Abandoned

    beginning.between = die
    assert "wake" in advance(bench, beginning.execution)
    assert beginning.calls == ["begin", "match"]
    beginning.between = lambda: None
    assert advance(bench, beginning.execution) == DONE
    assert beginning.calls == ["begin", "match", "begin", "match", "pending"]


def test_a_cancel_is_noticed_by_the_write_before_the_next_operation(bench: RemoteBench) -> None:
    """Even directly after the ledger was read; the result of the operation is stored all the same."""
    beginning = Beginning(bench)
    beginning.between = lambda: bench.attempts.cancel(beginning.execution, "dev")
    assert advance(bench, beginning.execution) == DONE
    assert beginning.calls == ["begin", "match"]
    assert bench.ending(beginning.execution).verdict == "cancelled"
    states = {name: operation.state for name, operation in bench.operations(beginning.execution).items()}
    assert states == {"begin": "ok", "match": "ok", "pending": "cancelled"}


def test_a_claim_that_was_lost_during_the_read_begins_nothing(bench: RemoteBench) -> None:
    """The first operation has no heartbeat of its own."""
    beginning = Beginning(bench)

    class Overtaken(Flaky):
        def load(self, record: Any) -> Any:
            """Another invocation takes the run, and dies."""
            found = self._inner.look(record.execution)
            assert self._inner.take(found, found._replace(fencing_token="other"), hold=False, leave=False)
            return self._inner.load(record)

    bench.store = Overtaken(bench.store, set())  # type: ignore[assignment]
    assert "wake" in bench.process().advance(beginning.execution, lambda: FOREVER)
    assert beginning.calls == []


def test_the_run_ahead_is_found_however_long_the_queue_is(bench: RemoteBench, gate: Gate) -> None:
    """The holder's ticket may be anywhere, and is not the one to wait for while another one is between."""
    names = ["a", "b", "c", "d", "e", "f"]
    queued = []
    for name in names:
        queued.append(bench.accept(name, key="k"))
        later(bench, 1)

    def ahead(execution: str) -> str | None:
        record = bench.store.look(execution)
        assert record is not None
        return bench.store.ahead(record)

    assert [ahead(execution) for execution in queued] == [None, *queued[:-1]]
    advance(bench, queued[0])
    assert [ahead(execution) for execution in queued] == [None, *queued[:-1]]
    early = bench.clock.now() - 3_600
    late = [bench.accept(name, key="k", at=early + n) for n, name in enumerate(("la", "lb", "lc", "ld"))]
    assert [ahead(execution) for execution in late] == [queued[0], *late[:-1]]
    assert [ahead(execution) for execution in queued] == [None, late[-1], *queued[1:-1]]
