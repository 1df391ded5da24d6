"""The contract of `Durable` on the official durable test runner: the worker's own driver over the Lambda engine."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from closeout.engine.lambda_ import LambdaEngine
from closeout.lambdas import worker
from closeout.ports import Durable, Ending, Execution, RunFunction
from closeout.stack.table import worker_event
from tests.contract.durable_suite import DurableSuite
from tests.contract.remote_harness import RemoteBench
from tests.emulator.meter import Meter
from tests.stack_aws import StackAws


def play(engine: LambdaEngine, execution: str) -> Any:
    """Run an execution on the runner, whose timers are skipped; return its result."""

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return worker.work(event, context, engine)

    with DurableFunctionTestRunner(handler=handler, skip_time=True, poll_interval=0.01) as runner:
        return runner.run(
            input=worker_event(execution).decode(), execution_name=execution, execution_timeout=86_400
        )


class RunnerHarness:
    """`durable_suite.Harness` on the runner. Invocations that come too early, since time is skipped, do nothing."""

    tick = 0.01

    def __init__(self, aws: StackAws) -> None:
        self._bench = RemoteBench(aws)
        self._count = 0

    def run(self, function: RunFunction, body: bytes = b"{}") -> Ending:
        """Run a function from acceptance to its end."""
        self._count += 1
        name = f"run{self._count}"
        self._bench.functions[name] = function
        execution = self._bench.accept(name, body=body)
        result = play(self._bench.engine, execution)
        assert result.status is InvocationStatus.SUCCEEDED, result.error
        assert json.loads(result.result) == {"execution": execution}
        return self._bench.ending(execution)


class TestOnTheRunner(DurableSuite):
    """Every test of the suite."""

    @pytest.fixture
    def harness(self, aws: StackAws) -> RunnerHarness:
        """The runner over a fresh table."""
        return RunnerHarness(aws)


class SkippingClock:
    """A clock that goes on by as much as the worker says that it waits: the runner skips just that."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.ahead


class SkippingEngine:
    """An engine after whose invocations the clock jumps to when the next is due, once the worker has read it."""

    def __init__(self, engine: LambdaEngine, clock: SkippingClock) -> None:
        self._engine = engine
        self.clock = clock
        self.count = 0

    def advance(self, execution: str, remaining: Any, callback: str | None) -> dict[str, Any]:
        """Advance an execution."""
        self.count += 1
        outcome = self._engine.advance(execution, remaining, callback)
        if "wake" in outcome:
            self.clock.ahead += max(0.0, outcome["wake"] - self.clock.now())
        return outcome


def test_a_run_that_waits_for_twenty_minutes_is_one_operation(
    aws: StackAws, meters: dict[str, Meter]
) -> None:
    """In the history, however often it polls. AWS counts each poll."""
    clock = SkippingClock()
    bench = RemoteBench(aws, clock=clock)
    polls: list[float] = []

    def run(durable: Durable, execution: Execution) -> Ending:
        def poll() -> bool | None:
            polls.append(clock.now())
            return True if polls[-1] - polls[0] >= 1_200 else None

        durable.wait_until("gone", poll, 30.0, 7_200.0)
        return Ending("success", "gone")

    bench.functions["waits"] = run
    engine = SkippingEngine(bench.engine, clock)
    began = time.monotonic()
    result = play(engine, bench.accept("waits"))  # type: ignore[arg-type]
    assert result.status is InvocationStatus.SUCCEEDED
    assert [(operation.name, operation.attempt) for operation in result.operations] == [("run", engine.count)]
    assert [meter.operations for meter in meters.values()] == [2 + engine.count]
    assert 40 <= len(polls) <= 42
    assert time.monotonic() - began < 60


def test_a_run_that_waits_for_its_turn_is_suspended_on_a_callback_until_it_is_woken(aws: StackAws) -> None:
    """With the SDK's own callbacks: the first times out, since nobody wakes the run; the second is completed."""
    bench = RemoteBench(aws)

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.automation == "first":
            durable.sleep("work", 3_600.0)
        return Ending("success", "done")

    bench.functions |= {"first": run, "next": run}
    first, waits = bench.accept("first", key="k"), bench.accept("next", key="k", queue_timeout=3_600.0)
    bench.engine.advance(first, lambda: 840.0)

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return worker.work(event, context, Hurried(bench.engine))  # type: ignore[arg-type]

    with DurableFunctionTestRunner(handler=handler, poll_interval=0.01) as runner:
        arn = runner.run_async(input=worker_event(waits).decode(), execution_name=waits)
        second = runner.wait_for_callback(arn, name="turn-2", timeout=60)
        assert bench.engine.end(first, lambda _durable, _execution: Ending("failure", "over"), lambda: 840.0)
        known = bench.store.wake_up(waits)
        assert known is not None
        assert known.callback == second
        assert aws.callbacks()[-1] == second, "what ended the first one completed it"
        runner.send_callback_success(second)
        result = runner.wait_for_result(arn, timeout=60)
    assert result.status is InvocationStatus.SUCCEEDED, result.error
    assert bench.ending(waits) == Ending("success", "done")
    found = {operation.name: operation.status.value for operation in result.operations}
    assert (found["turn-1"], found["turn-2"], found["turn-3"]) == ("TIMED_OUT", "SUCCEEDED", "STARTED")
    assert (found["run"], found["run-3"]) == ("SUCCEEDED", "SUCCEEDED")


def test_what_was_advanced_before_the_sdk_was_there_is_not_advanced_again(aws: StackAws) -> None:
    """`lambdas.run` brings the outcome along; a second advance would find whatever has changed since."""
    bench = RemoteBench(aws, lambda _durable, _execution: Ending("success", "done"))
    execution = bench.accept("a")
    outcome = bench.engine.advance(execution, lambda: 840.0)
    unasked: Any = SimpleNamespace(clock=bench.clock)

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return worker.work(event, context, unasked, first=outcome)

    with DurableFunctionTestRunner(handler=handler, poll_interval=0.01) as runner:
        result = runner.run(input=worker_event(execution).decode(), execution_name=execution)
    assert result.status is InvocationStatus.SUCCEEDED, result.error
    assert bench.ending(execution) == Ending("success", "done")


class Hurried:
    """An engine whose queued runs look for themselves after a second the first time, and after an hour the second."""

    def __init__(self, engine: LambdaEngine) -> None:
        self._engine = engine
        self.clock = engine.clock

    def advance(self, execution: str, remaining: Any, callback: str | None) -> dict[str, Any]:
        """Advance an execution."""
        outcome = self._engine.advance(execution, remaining, callback)
        if "queued" in outcome:
            seconds = 1.0 if callback is None else 3_600.0
            outcome["queued"] = {"accepted_at": 0.0, "queue_timeout": self.clock.now() + seconds}
        return outcome


def test_the_worker_asks_for_whole_seconds_and_one_at_least() -> None:
    """Lambda knows no shorter wait; an invocation that is late already comes as soon as it can."""
    waits = {
        wake: worker.next_invocation({"wake": wake}, 100.0).delay_seconds
        for wake in (90.0, 100.0, 100.5, 130.2)
    }
    assert waits == {90.0: 1, 100.0: 1, 100.5: 1, 130.2: 31}
    assert not worker.next_invocation({"done": True}, 100.0).should_continue
