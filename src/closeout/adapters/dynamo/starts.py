"""Start executions of the durable worker by name, and ask Lambda what became of them.

A second start of one name changes nothing while Lambda remembers the first:
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.adapters.aws import translated
from closeout.core.errors import ServiceError
from closeout.core.table import worker_event

STARTED = "DurableExecutionAlreadyStartedException"


class LambdaStarts:
    """Over boto3's client of Lambda and the worker's alias. `started` notes on the row that a start was made."""

    def __init__(
        self, client: Any, worker: str, *, now: Callable[[], float], started: Callable[[str], None]
    ) -> None:
        self._client = client
        self._worker = worker
        self._now = now
        self._started = started

    def start(self, execution: str) -> None:
        """Start an execution by its name. Raises `ServiceError`, or what noting it raises."""
        try:
            self._invoke(execution)
        except ServiceError as error:
            if error.reason != STARTED:
                raise
        self._started(execution)

    def ensure(self, execution: str) -> str:
        """Start an execution if it was never started, and say how it stands. Raises `ServiceError`.

        Lambda answers a start by a name that is there with that execution, running or over.
        """
        arn = self._invoke(execution)
        self._started(execution)
        with translated("lambda", "GetDurableExecution", self._now):
            return str(self._client.get_durable_execution(DurableExecutionArn=arn)["Status"])

    def _invoke(self, execution: str) -> str:
        with translated("lambda", "Invoke", self._now):
            answer = self._client.invoke(
                FunctionName=self._worker,
                InvocationType="Event",
                DurableExecutionName=execution,
                Payload=worker_event(execution),
            )
        return str(answer.get("DurableExecutionArn", ""))
