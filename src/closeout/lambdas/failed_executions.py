"""Finalize runs whose execution failed, timed out, was stopped or never began, and post their status.

EventBridge calls the handler for each such change of status, and SQS for each message of the dead-letter queue. The handler
is idempotent: it does not touch a run that is finished in the ledger.
https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from closeout.core.errors import Unavailable
from closeout.lambdas.lazy_clients import lazy_clients
from closeout.stack.table import named_execution
from closeout.wiring.stack_runtime import StackRuntime, open_stack_runtime

DRAIN = 10.0
"""Seconds before the end of an invocation in which nothing new begins: the event is retried."""
ENDS = frozenset(("FAILED", "TIMED_OUT", "STOPPED"))


@cache
def runtime() -> StackRuntime:
    """Return this environment's objects."""
    return open_stack_runtime(modules=False, drain=DRAIN, client=lazy_clients(os.environ["AWS_REGION"]))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry. Raises `Unavailable` when a run could not be ended, so that the event comes again."""
    return handle(event, context, runtime())


def handle(event: Mapping[str, Any], context: Any, objects: StackRuntime) -> dict[str, Any]:
    """Finalize the runs in the event; return their executions."""

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000.0

    handled: list[str] = []
    left: list[str] = []
    for execution, change in about(event):
        if change is not None and objects.ledger.attempts.is_current(execution, change.name, change.arn):
            ended = objects.end(execution, change.status, remaining)
        else:  # only its start was lost, or another durable execution continues it
            ended = objects.lost(execution, remaining)
        (handled if ended else left).append(execution)
    if not handled and not left:
        objects.journal.report(f"an event is about no execution that failed: {json.dumps(event)[:1_000]}")
    if left:
        raise Unavailable(f"not finalized yet, to be retried: {', '.join(left)}")
    return {"executions": handled}


class Change(NamedTuple):
    """How a durable execution ended."""

    name: str
    arn: str
    status: str
    """The status that Lambda reports."""


def about(event: Mapping[str, Any]) -> Iterator[tuple[str, Change | None]]:
    """Yield the executions of an event with what happened in Lambda, or None when only the start was lost.

    An event comes from EventBridge, or is a batch of the queue. A message of the queue is an EventBridge event that could
    not be delivered, or the payload of an execution that was not started.
    """
    for record in event.get("Records", ()):
        try:
            message = json.loads(record["body"])
        except ValueError:
            continue
        if isinstance(message, dict):
            yield from about(message)
    detail = event.get("detail")
    if isinstance(detail, Mapping):
        if detail.get("status") in ENDS and detail.get("durableExecutionName"):
            name, arn = str(detail["durableExecutionName"]), str(detail.get("durableExecutionArn", ""))
            yield named_execution(name), Change(name, arn, str(detail["status"]))
    elif isinstance(event.get("execution"), str):
        yield event["execution"], None
