"""Rechecks on the official durable test runner: the SDK's own waits, over an emulated ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from closeout.lambdas.rechecks import recheck
from tests.contract.remote_harness import RemoteBench
from tests.emulator.meter import Meter
from tests.stack_aws import StackAws
from tests.unit.run.world import AUTOMATION, Scene
from tests.unit.wiring.test_stack_rechecker import DAY, HOUR, RUN, Bench


class Skipping:
    """Looks after which the clock jumps to when the next is due: the runner skips just that."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.now = bench.scene.clock.now
        self.wakes: list[float] = []

    def advance(self, asked: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        """Look, and jump."""
        if self.wakes:
            self._bench.scene.clock.advance(max(0.0, self.wakes[-1] - self.now()))
        found = self._bench.rechecker.advance(asked, state)
        if "wake" in found:
            self.wakes.append(found["wake"])
        return found


def test_a_day_of_rechecks_is_one_operation_with_few_polls(aws: StackAws, meters: dict[str, Meter]) -> None:
    """One for each look, and one that finds out when they are due."""
    scene = Scene(automation=replace(AUTOMATION, name="cleanup"))
    scene.world.resources.clear()
    bench = Bench(RemoteBench(aws, clock=scene.clock), scene)
    bench.ends(bench.accepts())
    began, rechecker = scene.clock.now(), Skipping(bench)

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> None:
        recheck(event["recheck"], context, rechecker)  # type: ignore[arg-type]

    asked = json.dumps({"recheck": {"run_id": RUN, "attempt": 1}})
    with DurableFunctionTestRunner(handler=handler, skip_time=True, poll_interval=0.01) as runner:
        result = runner.run(input=asked, execution_name=f"recheck-{RUN}-1", execution_timeout=2 * 86_400)
    assert result.status is InvocationStatus.SUCCEEDED, result.error
    assert [at - began for at in rechecker.wakes] == [900.0, HOUR, DAY]
    assert scene.world.log.count("plan") == 3
    assert [(operation.name, operation.attempt) for operation in result.operations] == [("recheck", 4)]
    assert [meter.operations for meter in meters.values()] == [6]


class Asked:
    """A durable context that keeps how its one operation waits, and a clock at 1,000."""

    def wait_for_condition(self, _check: Any, config: Any, *, name: str) -> dict[str, Any]:
        """Keep it."""
        self.name, self.strategy = name, config.wait_strategy
        return {}

    def now(self) -> float:
        """Return the time."""
        return 1_000.0


def test_a_wait_has_whole_seconds_and_at_least_one() -> None:
    """Lambda refuses a wait of none: what is due now, or was, is looked for in a second."""
    asked = Asked()
    recheck({}, asked, asked)  # type: ignore[arg-type]
    waits = [
        asked.strategy({"wake": at}, 1).delay.seconds for at in (900.0, 1_000.0, 1_000.2, 1_001.0, 1_001.5)
    ]
    assert (asked.name, waits) == ("recheck", [1, 1, 1, 1, 2])
    assert not asked.strategy({}, 1).should_continue
