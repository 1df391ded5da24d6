"""The durable worker: one durable execution for each run, one operation in it however long the run takes.

Lambda starts an execution once by name, waits for hours without a process, and restarts after a crash. What a run does and
what it has recorded is in the ledger (`docs/adr/0012`). Each invocation advances the run and returns when the next one is
due. This is the only module that imports the durable SDK; `lambdas.run`, Lambda's entry, imports it last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from closeout.engine.lambda_ import LambdaEngine

RUN = "run"
"""The durable operation's name; it is never changed, since executions in flight have it."""


def next_invocation(outcome: dict[str, Any], now: float) -> WaitForConditionDecision:
    """Return whether another invocation is due, and in how many whole seconds: at least one."""
    if "wake" not in outcome:
        return WaitForConditionDecision.stop_polling()
    wait = max(1, math.ceil(outcome["wake"] - now))
    return WaitForConditionDecision.continue_waiting(Duration.from_seconds(wait))


def work(event: dict[str, Any], context: DurableContext, engine: LambdaEngine) -> dict[str, Any]:
    """Advance the execution that the event names until it has ended."""
    execution = str(event["execution"])

    def remaining() -> float:
        invocation = context.lambda_context
        return float(invocation.get_remaining_time_in_millis()) / 1000.0 if invocation else math.inf

    def check(_state: dict[str, Any], _context: WaitForConditionCheckContext) -> dict[str, Any]:
        return engine.advance(execution, remaining)

    def strategy(outcome: dict[str, Any], _attempt: int) -> WaitForConditionDecision:
        return next_invocation(outcome, engine.clock.now())

    context.wait_for_condition(
        check, WaitForConditionConfig(wait_strategy=strategy, initial_state={}), name=RUN
    )
    return {"execution": execution}


def carry_out(engine: LambdaEngine) -> Callable[[Any, Any], Any]:
    """Return the SDK's handler, which advances an execution with an engine."""

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return work(event, context, engine)

    return cast("Callable[[Any, Any], Any]", handler)
