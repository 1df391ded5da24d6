"""The function that notifies people of problems: a schedule starts it each minute, and `closeout notify test` on demand.

It is not durable: each look computes the messages from the table, so nothing has to survive an invocation. It uses the clients
of a worker's start, so most invocations import neither boto3 nor the library that sends messages.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from closeout.core.errors import UsageError
from closeout.lambdas.lazy_clients import lazy_clients
from closeout.stack.problems import CHECK, TEST
from closeout.wiring.stack_notifying import StackNotifying, open_stack_notifying


@cache
def notifying() -> StackNotifying:
    """Return this environment's notifier."""
    # Libraries' logs may contain a part of a URL, and Lambda would keep them. closeout's own log takes another way.
    logging.getLogger().handlers = [logging.NullHandler()]
    return open_stack_notifying(lazy_clients(os.environ["AWS_REGION"]))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: look, or send a test message to each target or check each URL, and return the results."""
    return handle(event, str(context.aws_request_id), notifying())


def handle(event: dict[str, Any], invocation: str, made: StackNotifying) -> dict[str, Any]:
    """Do what the event requests."""
    if event == TEST:
        return {"results": made.test()}
    if event == CHECK:
        return {"results": made.check()}
    if event:
        raise UsageError(f"the event says nothing that can be done; its keys are {sorted(event)}")
    made.look(invocation)
    return {}
