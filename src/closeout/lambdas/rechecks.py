"""Rechecks over the durable SDK: a single operation waits until each look is due.

A waiting execution costs nothing and occupies no function. Each look is one more of an execution's 3,000 operations:
about forty if GitHub answers none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aws_durable_execution_sdk_python import DurableContext
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from closeout.wiring.stack_rechecker import StackRechecker, State

NAME = "recheck"
"""The operation's name. It must never change, because executions in flight have it."""


def recheck(asked: Mapping[str, Any], context: DurableContext, rechecker: StackRechecker) -> None:
    """Look again at the event's teardown whenever a look is due."""

    def check(state: State, _checked: WaitForConditionCheckContext) -> State:
        return rechecker.advance(asked, state)

    def strategy(state: State, _attempt: int) -> WaitForConditionDecision:
        if "wake" not in state:
            return WaitForConditionDecision.stop_polling()
        seconds = max(1, math.ceil(state["wake"] - rechecker.now()))
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(seconds))

    config = WaitForConditionConfig(wait_strategy=strategy, initial_state=dict[str, Any]())
    context.wait_for_condition(check, config, name=NAME)
