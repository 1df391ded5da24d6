"""The local engine on a real ledger: turns, waits, cancel, crashes, stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from closeout.adapters.clock import SystemClock
from closeout.core.errors import LedgerInUse, RunCancelled, StepFailed, StoreUnavailable, WaitTimeout
from closeout.core.retry import Retry
from closeout.engine.local import LOOK_EVERY
from closeout.engine.recorder import Finished
from closeout.ledger.sqlite import Requests
from closeout.ports import Durable, Ending, Execution, Request
from tests.contract.durable_suite import busy
from tests.contract.local_harness import Bench, eventually, new_delivery, new_run


def then(result: Any, *calls: Callable[[], Any]) -> Callable[[], Any]:
    """Make a function that makes these calls and gives `result`."""

    def call() -> Any:
        for each in calls:
            each()
        return result

    return call


class Gate:
    """A run function that stops inside its first operation until it is let through."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.expired: list[str] = []
        self._let: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def let(self, name: str) -> None:
        """Let a run through."""
        self._event(name).set()

    def _event(self, name: str) -> threading.Event:
        with self._lock:
            return self._let.setdefault(name, threading.Event())

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        if execution.queue_expired:
            self.expired.append(execution.automation)
            return Ending("failure", "it never had its turn")

        def hold() -> None:
            self.begun.append(execution.automation)
            self._event(execution.automation).wait(30)

        try:
            durable.record("hold", hold)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return Ending("cancelled", error.message)
        return Ending("success", "done")


@pytest.fixture
def gate() -> Gate:
    """The run function of `bench`."""
    return Gate()


@pytest.fixture
def bench(tmp_path: Path, gate: Gate) -> Iterator[Bench]:
    """An engine that was started on a fresh ledger."""
    bench = Bench(tmp_path / "ledger.db", gate)
    bench.engine.start()
    yield bench
    for name in list(gate._let):
        gate.let(name)
    bench.close()


# --- turns --------------------------------------------------------------------------------------------


def test_the_order_is_that_of_acceptance_and_not_of_notification(bench: Bench, gate: Gate) -> None:
    """The engine may be notified late or in another order; the ledger's order counts."""
    for name in ("a", "b", "c"):
        bench.accept(name, key="pr-17", tell=False)
        gate.let(name)
    bench.engine.wake()
    bench.ending("c")
    assert gate.begun == ["a", "b", "c"]


def test_a_further_attempt_waits_for_the_key_too(bench: Bench, gate: Gate) -> None:
    """A rerun is a run like any other."""
    gate.let("a")
    bench.accept("a", key="pr-17")
    bench.ending("a")
    bench.accept("b", key="pr-17")
    eventually(lambda: gate.begun == ["a", "b"])
    bench.ledger.attempts.new_attempt("a", "{}", "ada", key="pr-17", queue_timeout=3600.0)
    bench.engine.wake()
    time.sleep(0.05)
    assert gate.begun == ["a", "b"]
    gate.let("b")
    eventually(lambda: bench.views.run("a", 2).state == "finished")  # type: ignore[union-attr]
    assert gate.begun == ["a", "b", "a"]


# --- waits --------------------------------------------------------------------------------------------


def test_a_thousand_waiting_runs_hold_no_thread_and_no_processor(tmp_path: Path) -> None:
    """They are rows and alarms; nothing polls for them."""

    def waits(durable: Durable, execution: Execution) -> Ending:
        durable.wait_until("gone", lambda: None, 60.0, 3_600.0)
        return Ending("success", "gone")

    bench = Bench(tmp_path / "ledger.db", waits, look_every=LOOK_EVERY)
    bench.engine.start()
    before = threading.active_count()
    for number in range(1_000):
        bench.accept(f"run{number}", tell=False)
    bench.engine.wake()
    eventually(lambda: bench.engine.counts()["waiting"] == 1_000, 30)
    time.sleep(0.1)
    cpu = time.process_time()
    time.sleep(0.8)
    used = time.process_time() - cpu
    assert threading.active_count() <= before + 1
    assert used < 0.08, f"{used:.3f} s of processor time in 0.8 s"
    bench.close()


def test_setting_the_clock_back_prolongs_no_wait(tmp_path: Path) -> None:
    """A run that waits for a minute continues after a minute, by the monotonic clock, and so does a timeout."""
    wall, monotonic = [1_800_000_000.0], [5.0]
    clock = SystemClock(lambda: wall[0], lambda: monotonic[0])
    bench = Bench(tmp_path / "ledger.db", clock=clock)

    def waits(durable: Durable, _execution: Execution) -> Ending:
        durable.sleep("nap", 60.0)
        return Ending("success", "slept")

    def polls(durable: Durable, _execution: Execution) -> Ending:
        with suppress(WaitTimeout):
            durable.wait_until("poll", lambda: None, every=60.0, timeout=60.0)
        return Ending("failure", "too late")

    bench.functions |= {"waits": waits, "polls": polls}
    bench.engine.start()
    try:
        for name in ("waits", "polls"):
            bench.accept(name)
        eventually(lambda: {bench.state(name) for name in ("waits", "polls")} == {"waiting"})
        wall[0] -= 86_400.0
        monotonic[0] += 61.0
        assert [bench.ending(name).summary for name in ("waits", "polls")] == ["slept", "too late"]
    finally:
        bench.close()


def test_a_burst_is_run_to_its_end(tmp_path: Path) -> None:
    """Two hundred runs with sleeps between operations, on eight threads."""

    def steps(durable: Durable, execution: Execution) -> Ending:
        durable.record("a", lambda: 1)
        durable.sleep("b", 0.01)
        durable.record("c", lambda: 1)
        return Ending("success", "done")

    bench = Bench(tmp_path / "ledger.db", steps)
    bench.engine.start()
    for number in range(200):
        bench.accept(f"run{number}", key=f"key{number % 7}")
    eventually(lambda: bench.views.stats()["runs_by_verdict"] == {"success": 200}, 20)
    eventually(lambda: not bench.engine.counts())
    bench.close()


# --- cancel -------------------------------------------------------------------------------------------


def test_cancel_ends_a_wait_at_once(bench: Bench) -> None:
    """Not at its next poll, which may be an hour away; its final operation still works."""

    def waits(durable: Durable, execution: Execution) -> Ending:
        try:
            durable.wait_until("gone", lambda: None, 3_600.0, 7_200.0)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return Ending("cancelled", error.message)
        return Ending("success", "gone")

    bench.functions["a"] = waits
    bench.accept("a")
    eventually(lambda: bench.state("a") == "waiting")
    assert bench.engine.request_cancel("a-1", "ada")
    assert bench.ending("a") == Ending("cancelled", "cancelled by ada")
    assert bench.operations("a")["final"].state == "ok"


def test_cancelling_a_finished_or_unknown_run_is_refused(bench: Bench, gate: Gate) -> None:
    """False, and nothing is stored."""
    gate.let("a")
    bench.accept("a")
    bench.ending("a")
    assert not bench.engine.request_cancel("a", "ada")
    assert not bench.engine.request_cancel("nope", "ada")


def test_a_cancel_before_the_engine_knows_the_run_is_not_lost(bench: Bench) -> None:
    """Accepted, cancelled, and only then reported to the engine."""

    def run(durable: Durable, execution: Execution) -> Ending:
        try:
            durable.record("first", lambda: 1)
        except RunCancelled:
            return Ending("cancelled", "told")
        return Ending("success", "not told")

    bench.functions["a"] = run
    bench.accept("a", tell=False)
    assert bench.engine.request_cancel("a", "ada")
    bench.engine.wake()
    assert bench.ending("a").verdict == "cancelled"


def test_requests_of_other_processes_are_carried_out(tmp_path: Path, gate: Gate) -> None:
    """Cancels by the engine itself; others by its owner, whose result is stored as the outcome."""
    served: list[Request] = []

    def serve(request: Request) -> str:
        served.append(request)
        if request.target == "bad":
            raise ValueError("no such run")
        return "r1-2"

    bench = Bench(tmp_path / "ledger.db", gate, on_request=serve)
    bench.engine.start()
    bench.accept("a", key="k")
    bench.accept("b", key="k")
    requests = Requests(bench.path)
    numbers = [
        requests.add_request("cancel", "b-1", "ada", "wrong stack"),
        requests.add_request("rerun", "r1", "ada", "flaky"),
        requests.add_request("rerun", "bad", "ada", None),
    ]
    assert bench.ending("b") == Ending("cancelled", "cancelled by ada: wrong stack")
    outcomes = eventually(lambda: all(found := [requests.outcome(number) for number in numbers]) and found)
    assert outcomes == ["done", "r1-2", "failed: no such run"]
    assert [request.target for request in served] == ["r1", "bad"]
    gate.let("a")
    bench.close()


@pytest.mark.parametrize("target", ["r1-" + "9" * 25, "r1-" + "9" * 5_000, "", "r1-1-1-"])
def test_an_invalid_request_is_answered_and_stops_nothing(bench: Bench, target: str) -> None:
    """Whatever its row contains, the next request is taken and the next run begins."""
    requests = Requests(bench.path)
    numbers = [requests.add_request("cancel", each, "ada", None) for each in (target, "r2")]
    assert eventually(lambda: all(requests.outcome(number) for number in numbers))
    bench.functions["a"] = lambda _durable, _execution: Ending("success", "done")
    bench.accept("a")
    assert bench.ending("a").verdict == "success"


def test_an_accepted_run_without_a_notification_is_found(bench: Bench) -> None:
    """The delivery was answered and the notification lost: the run begins all the same, without a restart."""
    bench.functions["a"] = lambda _durable, _execution: Ending("success", "done")
    bench.accept("a", tell=False)
    assert bench.ending("a").verdict == "success"


def test_a_few_hanging_runs_do_not_delay_the_others(tmp_path: Path) -> None:
    """Scripts that take an hour, a host that never answers: when every thread is busy, another is made."""
    gate = Gate()
    bench = Bench(tmp_path / "ledger.db", gate, threads=2)
    bench.engine.start()
    bench.functions["quick"] = lambda _durable, _execution: Ending("success", "done")
    for name in ("a", "b", "c"):
        bench.accept(name)
    bench.accept("quick")
    assert bench.ending("quick").verdict == "success"
    for name in ("a", "b", "c"):
        gate.let(name)
        bench.ending(name)
    assert bench.engine.stop(2.0), "the threads that were added end as well"
    bench.close()


# --- defects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), SystemExit(1), KeyboardInterrupt(), StepFailed("x", "y", "z")], ids=repr
)
def test_an_error_of_the_run_function_ends_the_run(bench: Bench, gate: Gate, error: BaseException) -> None:
    """As a failure with its reason, once; the threads live on and the key is free."""
    calls: list[int] = []

    def broken(durable: Durable, execution: Execution) -> Ending:
        calls.append(1)
        raise error

    bench.functions["a"] = broken
    bench.accept("a", key="k")
    ending = bench.ending("a")
    assert (ending.verdict, type(error).__name__ in ending.summary) == ("failure", True)
    assert len(calls) == 1
    for number in range(9):
        bench.accept(f"next{number}", key="k")
        gate.let(f"next{number}")
    assert bench.ending("next8").verdict == "success"


def test_an_error_that_has_no_utf8_form_ends_the_run(bench: Bench) -> None:
    """Python keeps bytes of a file's name that it cannot decode in such texts."""

    def raises(durable: Durable, execution: Execution) -> Ending:
        raise ValueError("no such file: \udcff")

    bench.functions["a"] = raises
    bench.functions["b"] = lambda durable, execution: Ending("failure", "no such file: \udcff")
    for name in ("a", "b"):
        bench.accept(name)
        assert bench.ending(name).summary.endswith("no such file: \\udcff")


@pytest.mark.parametrize("given", [None, "success", Ending("splendid", "x"), ("success", "x")], ids=repr)
def test_a_run_function_without_an_ending_fails(bench: Bench, given: Any) -> None:
    """A verdict is one of four."""
    bench.functions["a"] = lambda durable, execution: given
    bench.accept("a")
    assert bench.ending("a").verdict == "failure"


def test_the_end_of_a_run_is_reported(tmp_path: Path, gate: Gate) -> None:
    """With its record, after it is stored."""
    told: list[Finished] = []
    bench = Bench(tmp_path / "ledger.db", gate, on_finish=told.append)
    bench.engine.start()
    gate.let("a")
    bench.accept("a")
    [finished] = eventually(lambda: told)
    assert (finished.ending.verdict, finished.execution.id) == ("success", "a-1")
    assert [operation.name for operation in finished.operations] == ["hold"]
    bench.close()


# --- stopping and starting ----------------------------------------------------------------------------


def test_one_engine_per_ledger(bench: Bench) -> None:
    """A second process learns which one holds it."""
    with pytest.raises(LedgerInUse):
        Bench(bench.path)


def test_a_stop_lets_an_operation_finish_and_the_run_continues_later(tmp_path: Path) -> None:
    """At the next start, after the recorded operations; no crash is counted."""
    calls: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def run(durable: Durable, execution: Execution) -> Ending:
        durable.record("first", then(None, lambda: calls.append("first"), inside.set, lambda: go_on.wait(30)))
        durable.record("second", lambda: calls.append("second"))
        return Ending("success", "done")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("a")
    inside.wait(30)
    threading.Timer(0.1, go_on.set).start()
    assert bench.engine.stop(5)
    assert calls == ["first"]
    bench.close()
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("a").verdict == "success"
    assert calls == ["first", "second"]
    assert following.operations("a")["second"].tries == 1
    following.close()


def test_a_hanging_operation_is_abandoned_and_no_crash_is_counted(tmp_path: Path) -> None:
    """`stop` returns in time; the operation runs again at the next start."""
    go_on = threading.Event()
    calls: list[int] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        durable.record(
            "hang", then(None, lambda: calls.append(1), lambda: len(calls) == 1 and go_on.wait(10))
        )
        return Ending("success", "done")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("a")
    eventually(lambda: calls)
    begun = time.monotonic()
    assert not bench.engine.stop(0.1)
    assert time.monotonic() - begun < 8, "stop waited for what hangs for 10 s"
    bench.close(timeout=0.0)
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("a").verdict == "success"
    assert following.operations("a")["hang"].tries == 1
    go_on.set()
    following.close()


def test_after_a_crash_a_run_continues_after_its_record(tmp_path: Path) -> None:
    """Finished operations are not repeated; the interrupted one is, with its attempts counted."""
    calls: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def run(durable: Durable, execution: Execution) -> Ending:
        durable.record("first", lambda: calls.append("first"))
        durable.record(
            "second", then(None, lambda: calls.append("second"), inside.set, lambda: go_on.wait(10))
        )
        return Ending("success", "done")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("a")
    inside.wait(30)
    bench.crash()
    go_on.set()
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("a").verdict == "success"
    assert calls == ["first", "second", "second"]
    assert following.operations("a")["second"].tries == 2
    following.close()


def test_the_queue_survives_a_crash_in_its_order(tmp_path: Path, gate: Gate) -> None:
    """The holder of a key is resumed first, then the others, in order of acceptance."""
    bench = Bench(tmp_path / "ledger.db", gate)
    bench.engine.start()
    for name in ("a", "b", "c"):
        bench.accept(name, key="pr-17")
    eventually(lambda: gate.begun == ["a"])
    bench.crash()
    for name in ("a", "b", "c"):
        gate.let(name)
    time.sleep(0.05)
    following = Bench(bench.path, gate)
    following.engine.start()
    following.ending("c")
    assert gate.begun == ["a", "a", "b", "c"]
    following.close()


def test_waits_and_cancels_survive_a_crash(tmp_path: Path) -> None:
    """A waiting run continues at its time; one that was cancelled while no engine ran learns of it at the start."""
    calls: list[str] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        try:
            durable.sleep("pause", 0.2 if execution.automation == "a" else 3_600)
        except RunCancelled:
            return Ending("cancelled", "told")
        calls.append(execution.automation)
        return Ending("success", "slept")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("a")
    bench.accept("b")
    eventually(lambda: bench.state("a") == bench.state("b") == "waiting")
    bench.crash()
    Requests(bench.path).add_request("cancel", "b", "ada", None)
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("b").verdict == "cancelled"
    assert following.ending("a").verdict == "success"
    assert calls == ["a"]
    following.close()


def test_a_crash_does_not_reset_retries(tmp_path: Path) -> None:
    """The counter is in the ledger."""
    calls: list[int] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        def call() -> None:
            calls.append(1)
            raise busy(retry_after=0.15)

        try:
            durable.record("delete", call, Retry(attempts=2))
        except StepFailed as error:
            return Ending("failure", error.message)
        return Ending("success", "")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("a")
    eventually(lambda: bench.state("a") == "waiting")
    bench.crash()
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("a") == Ending("failure", "slow down")
    assert len(calls) == 2
    following.close()


def test_outcomes_that_wait_for_a_full_ledger_are_stored_later(bench: Bench, gate: Gate) -> None:
    """An effect that happened is recorded, however long the ledger refuses writes; it is not repeated."""
    bench.accept("a")
    eventually(lambda: gate.begun)
    writer = bench.ledger._writer()
    pages = writer.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    writer.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    big = new_delivery("big", body=bytes(range(256)) * 4_000)

    def fill() -> None:
        for number in range(100):
            bench.ledger.accept_wait(big._replace(guid=f"big{number}"), [])

    with pytest.raises(StoreUnavailable, match="cannot be written now"):
        fill()
    gate.let("a")
    time.sleep(0.2)
    writer.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert bench.ending("a").verdict == "success"
    assert gate.begun == ["a"]
    accepted = bench.ledger.accept_wait(big, [new_run("b")])
    assert accepted.started == ("b-1",)


def test_a_run_that_lost_its_turn_does_not_regain_it_by_a_crash(tmp_path: Path) -> None:
    """What it learned in its first execution still applies after the restart."""
    told: list[bool] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.automation == "holder":
            durable.sleep("long", 3_600)
        told.append(execution.queue_expired)
        durable.sleep("pause", 0.2)
        return Ending("failure", "it never had its turn")

    bench = Bench(tmp_path / "ledger.db", run)
    bench.engine.start()
    bench.accept("holder", key="pr-17")
    bench.accept("late", key="pr-17", queue_timeout=0.02)
    eventually(lambda: bench.state("late") == "waiting")
    bench.crash()
    following = Bench(bench.path, run)
    following.engine.start()
    assert following.ending("late").verdict == "failure"
    assert told == [True, True]
    following.close()
