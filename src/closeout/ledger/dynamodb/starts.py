"""Start executions of the durable worker by name, and ask Lambda for their status.

A second start of one name changes nothing while Lambda remembers the first:
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
Lambda may refuse it, at the latest when another version of the worker is deployed. So the run's row keeps the ARN that the
first start returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.adapters.aws import translated
from closeout.core.errors import ServiceError
from closeout.ledger.dynamodb.attempts import Attempts
from closeout.stack.invocation import ALIVE
from closeout.stack.table import durable_name, execution_name, worker_event

STARTED = "DurableExecutionAlreadyStartedException"
GONE = "ResourceNotFoundException"


class LambdaStarts:
    """Starts executions with boto3's client of Lambda. `worker` is its alias; `attempts` are the runs' rows."""

    def __init__(self, client: Any, worker: str, *, now: Callable[[], float], attempts: Attempts) -> None:
        self._client = client
        self._worker = worker
        self._now = now
        self._attempts = attempts

    def start(self, execution: str) -> None:
        """Start an execution by its name, and store that. Raises `ServiceError` or `StoreUnavailable`."""
        arn = None
        try:
            arn = self._invoke(execution, execution)
        except ServiceError as error:
            if error.reason != STARTED:
                raise
        self._attempts.mark_started(execution, arn)

    def ensure(self, execution: str) -> str:
        """Start an execution if it was never started; return its status. Raises `ServiceError`.

        Start one anew that Lambda no longer knows. When its ARN is not known, start it by name: Lambda answers with the
        execution that is there.
        """
        arn = self._attempts.arn(execution)
        if arn is not None:
            try:
                return self._status(arn)
            except ServiceError as error:
                if error.reason != GONE:
                    raise
        arn = self._invoke(execution, execution)
        self._attempts.mark_started(execution, arn)
        return self._status(arn)

    def revive(self, execution: str) -> None:
        """Start another execution for it, if Lambda's is over: under another name, because its own is used up."""
        if self.ensure(execution) in ALIVE:
            return
        arn = self._invoke(execution, execution_name(execution, self._now()))
        self._attempts.mark_started(execution, arn)

    def _status(self, arn: str) -> str:
        with translated("lambda", "GetDurableExecution", self._now):
            return str(self._client.get_durable_execution(DurableExecutionArn=arn)["Status"])

    def _invoke(self, execution: str, name: str) -> str:
        with translated("lambda", "Invoke", self._now):
            answer = self._client.invoke(
                FunctionName=self._worker,
                InvocationType="Event",
                DurableExecutionName=durable_name(self._worker, name),
                Payload=worker_event(execution),
            )
        return str(answer.get("DurableExecutionArn", ""))
