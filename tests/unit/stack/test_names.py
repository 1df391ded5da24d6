"""Names of durable executions: unique for an account and region, and read again as the execution that they are for."""

from __future__ import annotations

import re

import pytest

from closeout.core.ids import MAX_DIGITS, execution_id
from closeout.stack.table import durable_name, execution_name, named_execution

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:{}:live"
ONE, OTHER = "closed-pr-event-stack-FunctionsWorker8C5E072F-abc", "staging-FunctionsWorker8C5E072F-def"
EXECUTION = execution_id("a2b3c4d5e6f7a2b3c4d5e6f7ab", 1)


def test_a_stack_has_names_of_its_own() -> None:
    """The receiver knows the alias by its ARN, and the worker by its function's name: both make the same name."""
    assert durable_name(ARN.format(ONE), EXECUTION) == durable_name(f"{ONE}:live", EXECUTION)
    assert durable_name(ARN.format(ONE), EXECUTION) != durable_name(ARN.format(OTHER), EXECUTION)


@pytest.mark.parametrize("attempt", [1, 10**MAX_DIGITS - 1])
def test_a_name_fits_and_is_read_again(attempt: int) -> None:
    """Lambda takes 64 characters of these; the execution's suffix is no part of its name."""
    execution = execution_id("a2b3c4d5e6f7a2b3c4d5e6f7ab", attempt)
    for name in (execution, execution_name(execution, 999)):
        made = durable_name(ARN.format(ONE), name)
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", made)
        assert named_execution(made) == execution


def test_names_of_earlier_releases_are_read() -> None:
    """An execution that was started before the upgrade ends after it."""
    for name in (EXECUTION, f"{EXECUTION}_1795000000"):
        assert named_execution(name) == EXECUTION
