"""Lambda's entry for runs: an execution's first invocation goes as far as it can before it imports the durable SDK.

The SDK and boto3 take longer to import than a run needs to post `pending`. What a run does is recorded in the ledger, and
its fencing token, not the SDK, keeps two invocations of one execution apart (`docs/adr/0012`). So nothing waits for the SDK
until Lambda needs the result of the invocation. A later invocation is not urgent, and goes through the SDK.

Import little and late here and in the modules below: a test lists what may be imported before `pending`.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any

import closeout.adapters.github
import closeout.adapters.secrets
import closeout.adapters.transport  # noqa: F401 - posts the status; imported before an invocation has to wait for it
from closeout.lambdas.lazy_clients import lazy_clients
from closeout.wiring.stack_runtime import StackRuntime, open_stack_runtime


@cache
def runtime() -> StackRuntime:
    """Return this environment's objects, while connections are being made."""
    return open_stack_runtime(client=lazy_clients(os.environ["AWS_REGION"]))


# Lambda gives an environment more processor time while it starts than during an invocation.
if "CLOSEOUT_TABLE" in os.environ:
    runtime()


def handler(event: Any, context: Any) -> Any:
    """Advance the execution of the event, and return its state to Lambda.

    Lambda freezes a function that exceeded its time together with the environment. It would continue in the next invocation,
    while another run may hold the key. So this process exits, and Lambda invokes again in a new one.
    """
    calls = sys.modules.get("closeout.actions.general.python")
    if calls is not None and calls.anything_running():
        os._exit(1)
    engine, outcome = runtime().engine, None
    execution = first_invocation(event)
    if execution is not None:
        outcome = engine.advance(execution, lambda: context.get_remaining_time_in_millis() / 1000.0)
    from closeout.lambdas import worker  # noqa: PLC0415 - it imports the SDK, and with it boto3

    return worker.carry_out(engine, first=outcome)(event, context)


def first_invocation(event: Any) -> str | None:
    """Return the execution of a first invocation; None for a later invocation and for any other event.

    In a first invocation the only operation is the execution itself, which has the payload of its start.
    https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
    """
    try:
        state = event["InitialExecutionState"]
        (operation,) = state["Operations"]
        if operation["Type"] != "EXECUTION" or state.get("NextMarker"):
            return None
        return str(json.loads(operation["ExecutionDetails"]["InputPayload"])["execution"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
