"""Invocations that crash: tried again on the emulator with growing delays, each for one operation, and not without end."""

from __future__ import annotations

import pytest

from tests.aws.contracts.emulated import Functions
from tests.emulator.meter import RETRIES

CRASHES = """
import os
path = {path!r}
with open(path, "a") as file:
    file.write("x")
if os.path.getsize(path) <= {times}:
    os._exit(1)

def handler(event, context):
    return {{"Status": "SUCCEEDED", "Result": str(os.path.getsize(path))}}
"""


@pytest.mark.parametrize("times", [RETRIES, RETRIES + 1])
def test_a_function_that_crashes_is_tried_again_and_not_for_ever(
    functions: Functions, tmp_path: str, times: int
) -> None:
    """It recovers with the last retry; with one crash more its execution fails, and nothing invokes it again."""
    arn = functions.start(CRASHES.format(path=f"{tmp_path}/crashes", times=times), whole=True)
    found = functions.ended(arn)
    recovered = {"Status": "SUCCEEDED", "Result": str(RETRIES + 1)}
    failed = {"Status": "FAILED", "Error": {"ErrorType": "RetriesExhausted"}}
    expected = recovered if times == RETRIES else failed
    assert {name: found.get(name) for name in expected} == expected
    events = functions.history(arn)
    assert sum(event["EventType"] == "InvocationCompleted" for event in events) == RETRIES + 1
