"""The durable worker: it advances a run, and lets Lambda invoke it again when the next invocation is due.

Lambda starts an execution once by name, waits for hours without a process, and restarts after a crash. The ledger holds the
run's definition and its records (`docs/adr/0012`). An execution gets 3,000 operations, and each poll is one
(`docs/adr/0020`): a run that waits for its turn is suspended on a callback, and a run that polls for very long continues in
another execution. Only this module imports the durable SDK; `lambdas.run`, Lambda's entry, imports this module last.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, cast

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from aws_durable_execution_sdk_python.exceptions import CallbackError
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from closeout.engine.key_queue import next_check
from closeout.engine.lambda_ import LambdaEngine

RUN = "run"
"""The first durable operation's name. It must never change, because executions in flight have it."""
MOST_OPERATIONS = 2_500
"""Operations after which another execution continues the run: 500 are left for crashes, each of which counts, too."""


def next_invocation(outcome: dict[str, Any], now: float) -> WaitForConditionDecision:
    """Return whether another invocation is due, and in how many whole seconds: at least one."""
    if "wake" not in outcome or "queued" in outcome:
        return WaitForConditionDecision.stop_polling()
    return WaitForConditionDecision.continue_waiting(_from_now(outcome["wake"], now))


def work(
    event: dict[str, Any],
    context: DurableContext,
    engine: LambdaEngine,
    most: int = MOST_OPERATIONS,
    *,
    first: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Advance the execution that the event names until it has ended, or another durable execution continues it.

    `first` is the engine's result for this invocation's first check, if that was made already.
    """
    execution, number = str(event["execution"]), int(event.get("number", 0))
    known = [] if first is None else [first]

    def remaining() -> float:
        invocation = context.lambda_context
        return float(invocation.get_remaining_time_in_millis()) / 1000.0 if invocation else math.inf

    def advance(name: str, begun: int, callback: str | None = None) -> dict[str, Any]:
        """Advance until it has ended or waits for its turn; `begun` operations have begun, including this one."""

        def check(state: dict[str, Any], checked: WaitForConditionCheckContext) -> dict[str, Any]:
            # Earlier releases stored no count and had only this operation.
            operations = state.get("operations", checked.attempt) + 1
            if operations >= most:  # do not advance: after the handover, another execution owns the run
                outcome = engine.hand_over(execution, number)
            elif known:
                outcome = known.pop()
            else:
                outcome = engine.advance(execution, remaining, callback)
            return {**outcome, "operations": operations}

        def strategy(outcome: dict[str, Any], _attempt: int) -> WaitForConditionDecision:
            return next_invocation(outcome, engine.clock.now())

        config = WaitForConditionConfig(wait_strategy=strategy, initial_state={"operations": begun})
        advanced: dict[str, Any] = context.wait_for_condition(check, config, name=name)
        return advanced

    outcome = advance(RUN, 1)
    turn = 0
    while "queued" in outcome:
        turn += 1
        now = engine.clock.now()
        timeout = _from_now(next_check(**outcome["queued"], now=now), now)
        callback = context.create_callback(f"turn-{turn}", CallbackConfig(timeout=timeout))
        outcome = advance(f"{RUN}-{turn}", outcome["operations"] + 2, callback.callback_id)
        if "queued" in outcome:
            with contextlib.suppress(CallbackError):  # not completed in time: the run checks the queue
                callback.result()
    return {"execution": execution}


def _from_now(at: float, now: float) -> Duration:
    return Duration.from_seconds(max(1, math.ceil(at - now)))


def carry_out(engine: LambdaEngine, *, first: dict[str, Any] | None = None) -> Callable[[Any, Any], Any]:
    """Return the SDK's handler, which advances an execution with an engine. `first` as in `work`."""

    @durable_execution
    def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return work(event, context, engine, first=first)

    return cast("Callable[[Any, Any], Any]", handler)
