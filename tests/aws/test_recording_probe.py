"""The recording's durable function on AWS's own runner: it does what its event asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from tests.aws.deployment import ROOT


@pytest.fixture
def handler() -> Iterator[Any]:
    """Yield the function as its bundle has it: a module at the top."""
    folder = str(ROOT / "tests/live/code")
    sys.path.insert(0, folder)
    yield import_module("recording_probe").handler
    sys.path.remove(folder)
    del sys.modules["recording_probe"]


ENDS: list[tuple[dict[str, Any], InvocationStatus, list[tuple[str, int | None]]]] = [
    ({"do": "wait", "seconds": 2}, InvocationStatus.SUCCEEDED, [("wait", None)]),
    ({"do": "poll", "times": 4}, InvocationStatus.SUCCEEDED, [("poll", 4)]),
    ({"do": "steps", "times": 2}, InvocationStatus.SUCCEEDED, [("step-0", 1), ("step-1", 1)]),
    ({"do": "raise"}, InvocationStatus.FAILED, []),
]
"""An event, how its execution ends, and its operations with their attempts."""


@pytest.mark.parametrize(("event", "status", "operations"), ENDS)
def test_it_does_what_is_asked(
    handler: Any, event: dict[str, Any], status: InvocationStatus, operations: list[tuple[str, int | None]]
) -> None:
    """A poll hands its count to the next one; the recording counts on it."""
    with DurableFunctionTestRunner(handler=handler, skip_time=True, poll_interval=0.01) as runner:
        result = runner.run(input=event)
    assert result.status is status
    assert [(one.name, getattr(one, "attempt", None)) for one in result.operations] == operations
