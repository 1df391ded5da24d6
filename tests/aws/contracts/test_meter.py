"""Operations counted by AWS's table, and executions that end at the limit: on the runner, the host, and the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python.retries import RetryDecision
from aws_durable_execution_sdk_python.types import StepContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from tests.aws.contracts.emulated import Functions
from tests.emulator import meter
from tests.emulator.meter import Meter

Work = Callable[[DurableContext], Any]


def wait_for(context: DurableContext, polls: int) -> Any:
    """Poll so often."""

    def strategy(state: int, _attempt: int) -> WaitForConditionDecision:
        if state >= polls:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(1))

    return context.wait_for_condition(
        lambda state, _context: state + 1, WaitForConditionConfig(wait_strategy=strategy, initial_state=0)
    )


def retried(context: DurableContext, times: int) -> Any:
    """Run a step that fails so often and then succeeds."""

    def attempt(step: StepContext) -> str:
        if step.attempt <= times:
            raise RuntimeError
        return "done"

    config = StepConfig(retry_strategy=lambda _error, _attempt: RetryDecision(True, Duration.from_seconds(1)))
    return context.step(attempt, config=config)


def callback(context: DurableContext) -> Any:
    """Wait for a callback that nobody completes."""
    made = context.create_callback(config=CallbackConfig(timeout=Duration.from_seconds(1)))
    try:
        return made.result()
    except Exception:
        return "timed out"


def play(work: Work, name: str) -> Any:
    """Run a function on the runner; return its result."""

    @durable_execution
    def handler(_event: Any, context: DurableContext) -> Any:
        return work(context)

    with DurableFunctionTestRunner(handler=handler, skip_time=True, poll_interval=0.01) as runner:
        return runner.run(input="{}", execution_name=name, execution_timeout=86_400, timeout=60)


CASES: dict[str, tuple[int, Work]] = {
    "nothing": (1, lambda _context: None),
    "a step": (2, lambda context: retried(context, 0)),
    "a step with two retries": (4, lambda context: retried(context, 2)),
    "a wait": (2, lambda context: context.wait(Duration.from_seconds(3))),
    "a condition, met at once": (3, lambda context: wait_for(context, 1)),
    "a condition with seven polls": (9, lambda context: wait_for(context, 7)),
    "a callback": (2, callback),
    "two branches": (
        4,
        lambda context: context.parallel([lambda _context: 1, lambda _context: 2]).get_results(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_counts_as_an_operation(meters: dict[str, Meter], name: str) -> None:
    """Each row of the table that the SDK can make: one for the execution, and what its operations add."""
    expected, work = CASES[name]
    assert play(work, name.replace(" ", "-")).status is InvocationStatus.SUCCEEDED
    assert meters[name.replace(" ", "-")].operations == expected


def test_a_callback_that_waits_for_its_submitter_is_three_operations() -> None:
    """The context, the callback and the step, with N retries of the step; its completion is free."""
    counted = Meter()
    of = {"CONTEXT": ["START"], "CALLBACK": ["START"], "STEP": ["START", "RETRY", "START", "SUCCEED"]}
    updates = [
        {"Id": kind, "Type": kind, "Action": action, "SubType": "WaitForCallback"}
        for kind, actions in of.items()
        for action in actions
    ]
    updates.append({"Id": "CONTEXT", "Type": "CONTEXT", "Action": "SUCCEED"})
    assert counted.checkpoint(updates)
    assert counted.operations == 1 + 3 + 1


@pytest.mark.parametrize(("polls", "status"), [(8, "SUCCEEDED"), (9, "FAILED")])
def test_an_execution_ends_at_its_limit(
    meters: dict[str, Meter], monkeypatch: pytest.MonkeyPatch, polls: int, status: str
) -> None:
    """One more poll than the limit allows fails the whole execution. The limit is small here, since polls take time."""
    monkeypatch.setattr(meter, "LIMIT", 10)
    result = play(lambda context: wait_for(context, polls), "long")
    assert result.status.name == status, result.error
    assert (meters["long"].operations > meter.LIMIT) is (status == "FAILED")


CHECKPOINTS = """
import boto3

def handler(event, context):
    updates = [{"Id": str(n), "Type": "STEP", "Action": "SUCCEED"} for n in range(%d)]
    boto3.client("lambda").checkpoint_durable_execution(
        DurableExecutionArn=event["DurableExecutionArn"], CheckpointToken=event["CheckpointToken"], Updates=updates
    )
    return {"Status": "SUCCEEDED", "Result": "all"}
"""


@pytest.mark.parametrize(("steps", "status"), [(meter.LIMIT - 1, "SUCCEEDED"), (meter.LIMIT, "FAILED")])
def test_an_execution_ends_at_its_limit_on_the_emulator(
    functions: Functions, steps: int, status: str
) -> None:
    """There the limit is AWS's own; one checkpoint brings as many steps as an execution may have."""
    arn = functions.start(CHECKPOINTS % steps, whole=True)
    found = functions.ended(arn)
    assert found["Status"] == status, found
