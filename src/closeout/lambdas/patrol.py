"""Patrol's function on AWS: a schedule, or a command, starts a durable execution of it.

Its event has one key, which says what is to be done: `{"patrol": {}}` makes a round of what is due, and
`{"patrol": {"everything": true}}` one of everything. `{"recheck": {…}}` looks again after a teardown (`rechecks`), and `{"clean": {"target": …, "by": …}}`
starts the run that deletes an orphan. `{"recover": {"guid": …}}` stores a delivery that a round left alone, and starts nothing.
Lambda starts an execution again that was killed; a round may be repeated, and its lease lets one patrol work at a time.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.retries import RetryDecision

from closeout.core.errors import UsageError
from closeout.lambdas import patrol_log
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.lambdas.rechecks import recheck
from closeout.ledger.dynamodb.journal import to_stdout
from closeout.stack.patrol import BUSY
from closeout.wiring.stack_patrols import StackPatrols, open_stack_patrols

ONCE = StepConfig(retry_strategy=lambda _error, _attempt: RetryDecision.no_retry())
"""A step that fails is not tried again at once: the next patrol, or the person who asked, repeats it. One that was killed is."""


@cache
def patrols() -> StackPatrols:
    """Return this environment's patrols."""
    writer = DeliveryWriter(AwsClient(), Destination.of(os.environ), time.sleep)
    return open_stack_patrols(writer.accept)


def handler(event: Any, context: Any) -> Any:
    """Carry out the execution of the event."""
    return carry_out(patrols(), str(event["DurableExecutionArn"]))(event, context)


def carry_out(made: StackPatrols, execution: str) -> Callable[[Any, Any], Any]:
    """Return the SDK's handler for one execution."""

    @durable_execution
    def work(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
        match event:
            case {"patrol": dict(asked)} if len(event) == 1:
                return patrol(asked, context, made, execution)
            case {"clean": {"target": str(target), "by": str(by)}} if len(event) == 1:
                return {"outcome": context.step(lambda _step: made.clean(target, by), "clean", ONCE)}
            case {"recover": {"guid": str(guid)}} if len(event) == 1:
                found: dict[str, str] = context.step(lambda _step: made.recover(guid), "recover", ONCE)
                return found
            case {"recheck": dict(asked)} if len(event) == 1:
                return recheck(asked, context, made.looks)
        raise UsageError(f"patrol's event says nothing that can be done; its keys are {sorted(event)}")

    return cast("Callable[[Any, Any], Any]", work)


def patrol(
    asked: dict[str, Any], context: DurableContext, made: StackPatrols, execution: str
) -> dict[str, Any]:
    """Make one round; return its report with its notes, or `BUSY`."""

    def remaining() -> float:
        invocation = context.lambda_context
        return float(invocation.get_remaining_time_in_millis()) / 1000.0 if invocation else math.inf

    def work(_step: Any) -> dict[str, Any]:
        found = made.patrol(execution, remaining, everything=bool(asked.get("everything")))
        if found is None:
            return dict(BUSY)
        for line in patrol_log.lines(found, os.environ["CLOSEOUT_METRICS"], time.time()):
            to_stdout(line)
        return patrol_log.shortened(found.report)

    report: dict[str, Any] = context.step(work, "patrol", ONCE)
    return report
