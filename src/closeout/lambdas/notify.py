"""The function that tells people what needs them: a schedule starts it each minute, and `closeout notify test` on demand.

It is not durable: what is to be said follows from the table at each look, so nothing has to survive an invocation.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from closeout.core.errors import UsageError
from closeout.stack.problems import TEST
from closeout.wiring.stack_notifying import StackNotifying, open_stack_notifying


@cache
def notifying() -> StackNotifying:
    """Return what this environment tells with."""
    return open_stack_notifying()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: look, or send a test message to each target and return the results."""
    return handle(event, str(context.aws_request_id), notifying())


def handle(event: dict[str, Any], invocation: str, made: StackNotifying) -> dict[str, Any]:
    """Do what the event asks for."""
    if event == TEST:
        return {"results": made.test()}
    if event:
        raise UsageError(f"the event says nothing that can be done; its keys are {sorted(event)}")
    made.look(invocation)
    return {}
