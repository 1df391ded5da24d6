"""The durable worker: one durable execution for each run, one operation in it however long the run takes.

Lambda starts an execution once by name, waits for hours without a process, and restarts after a crash. What a run does and
what it has recorded is in the ledger (`docs/adr/0012`). Each invocation advances the run and returns when the next one is
due. This is the only module that imports the durable SDK.
"""

from __future__ import annotations

import math
import os
from functools import cache
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from closeout.actions.general.python import anything_running
from closeout.engine.lambda_ import LambdaEngine
from closeout.wiring.stack_runtime import open_stack_runtime

RUN = "run"
"""The durable operation's name; it is never changed, since executions in flight have it."""

runtime = cache(open_stack_runtime)
"""Returns this environment's objects; the first invocation makes them."""


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


@durable_execution
def carry_out(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Advance an execution with this environment's objects."""
    return work(event, context, runtime().engine)


def handler(event: Any, context: Any) -> Any:
    """Lambda's entry.

    A function that ran over its time is frozen with its environment and continues when that is used again: after its run has
    ended, beside one that holds its key now. So this process exits, and Lambda invokes again in a new one.
    """
    if anything_running():
        os._exit(1)
    return carry_out(event, context)
