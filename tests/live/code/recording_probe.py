"""The recording's durable function: it does what its event asks for, and nothing else."""

from __future__ import annotations

import os
import time
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

HOUR = 3600.0


@durable_execution
def handler(event: dict[str, Any], context: DurableContext) -> str:
    """Wait, poll, count steps, fail, crash or hang."""
    match event["do"]:
        case "wait":
            context.wait(Duration.from_seconds(event["seconds"]), name="wait")
        case "poll":
            poll(context, event["times"])
        case "steps":
            for number in range(event["times"]):
                context.step(lambda _context: None, name=f"step-{number}")
        case "raise":
            raise RuntimeError("the event asked for an error")
        case "crash":
            os._exit(1)
        case "hang":
            time.sleep(HOUR)
    return "done"


def poll(context: DurableContext, times: int) -> None:
    """Poll each second, as closeout's worker does, until it was often enough."""
    decision = WaitForConditionDecision

    def strategy(count: int, _attempt: int) -> WaitForConditionDecision:
        return (
            decision.stop_polling() if count >= times else decision.continue_waiting(Duration.from_seconds(1))
        )

    config = WaitForConditionConfig(wait_strategy=strategy, initial_state=0)
    context.wait_for_condition(lambda count, _context: count + 1, config, name="poll")
