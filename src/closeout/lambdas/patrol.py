"""Patrol's function on AWS: a schedule or a command starts a durable execution of it, and `patrol_events` handles its event.

Lambda restarts a killed execution. A round may be repeated, and its lease lets one patrol work at a time.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.retries import RetryDecision

from closeout.lambdas import patrol_events
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.lambdas.rechecks import recheck
from closeout.wiring.stack_patrols import StackPatrols, open_stack_patrols

T = TypeVar("T")
ONCE = StepConfig(retry_strategy=lambda _error, _attempt: RetryDecision.no_retry())
"""A failed step is not tried again at once: the next patrol, or the person who asked, repeats it. A killed one is tried again."""


class Steps(NamedTuple):
    """`patrol_events.Steps` over the SDK."""

    arn: str
    context: DurableContext
    made: StackPatrols

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do some work once."""
        result: T = self.context.step(lambda _step: work(), name, ONCE)
        return result

    def recheck(self, asked: Mapping[str, Any]) -> None:
        """Wait and look, with the SDK's own operation."""
        recheck(asked, self.context, self.made.rechecker)

    def remaining(self) -> float:
        """Return the seconds that this invocation has left."""
        invocation = self.context.lambda_context
        return float(invocation.get_remaining_time_in_millis()) / 1000.0 if invocation else math.inf


@cache
def patrols() -> StackPatrols:
    """Return this environment's patrols."""
    writer = DeliveryWriter(AwsClient(), Destination.of(os.environ), time.sleep)
    return open_stack_patrols(writer.accept)


def handler(event: Any, context: Any) -> Any:
    """Carry out the event's execution."""
    return carry_out(patrols(), str(event["DurableExecutionArn"]))(event, context)


def carry_out(made: StackPatrols, execution: str) -> Callable[[Any, Any], Any]:
    """Return the SDK's handler for one execution."""

    @durable_execution
    def work(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        return patrol_events.carry_out(event, Steps(execution, context, made), made)

    return cast("Callable[[Any, Any], Any]", work)
