"""AWS's meter on the official local runner, which has none: it counts operations and ends an execution at its limit."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from aws_durable_execution_sdk_python.lambda_service import ErrorObject
from aws_durable_execution_sdk_python_testing.checkpoint.core import CheckpointCore
from aws_durable_execution_sdk_python_testing.exceptions import InvalidParameterValueException
from aws_durable_execution_sdk_python_testing.executor import Executor

from tests.emulator.meter import EXCEEDED, Meter


def meter_runners(monkeypatch: pytest.MonkeyPatch) -> dict[str, Meter]:
    """Meter every execution of every runner; return the meters by the executions' names.

    A checkpoint beyond the limit is an error of the client, at which the SDK fails the execution.
    """
    meters: dict[str, Meter] = defaultdict(Meter)
    apply, retry = CheckpointCore.apply, Executor._retry_invocation

    def of(execution: Any) -> Meter:
        return meters[execution.start_input.execution_name]

    def metered_apply(execution: Any, token: str, updates: list[Any], *rest: Any) -> Any:
        if not of(execution).checkpoint([update.to_dict() for update in updates]):
            raise InvalidParameterValueException(EXCEEDED)
        return apply(execution, token, updates, *rest)

    def metered_retry(self: Executor, execution: Any, error: ErrorObject, *rest: Any, **named: Any) -> None:
        if of(execution).retry():
            retry(self, execution, error, *rest, **named)
        else:
            self._fail_workflow(execution.durable_execution_arn, ErrorObject.from_message(EXCEEDED))

    monkeypatch.setattr(CheckpointCore, "apply", staticmethod(metered_apply))
    monkeypatch.setattr(Executor, "_retry_invocation", metered_retry)
    return meters
