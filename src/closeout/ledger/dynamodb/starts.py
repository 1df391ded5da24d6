"""Start executions of the durable worker by name, wake them, and ask Lambda for their status.

A second start of the same name has no effect while Lambda remembers the first:
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
Later, at the latest after a deployment of another version of the worker, Lambda may refuse it. So the run's row keeps the ARN
that the first start returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.adapters.aws import translated
from closeout.core.errors import ServiceError
from closeout.ledger.dynamodb.attempts import Attempts, InLambda
from closeout.stack.invocation import ALIVE
from closeout.stack.table import durable_name, execution_name, worker_event

STARTED = "DurableExecutionAlreadyStartedException"
GONE = "ResourceNotFoundException"
CLOSED = "CallbackTimeoutException"


def start_by_name(client: Any, now: Callable[[], float], function: str, payload: bytes, name: str) -> str:
    """Start a durable execution of a function, by its alias; return its ARN. Raises `ServiceError`."""
    with translated("lambda", "Invoke", now):
        answer = client.invoke(
            FunctionName=function, InvocationType="Event", DurableExecutionName=name, Payload=payload
        )
    return str(answer.get("DurableExecutionArn", ""))


class LambdaStarts:
    """Starts executions with boto3's client of Lambda. `worker` is the function's alias; `attempts` are the runs' rows."""

    def __init__(self, client: Any, worker: str, *, now: Callable[[], float], attempts: Attempts) -> None:
        self._client = client
        self._worker = worker
        self._now = now
        self._attempts = attempts

    def start(self, execution: str, number: int = 0) -> None:
        """Start an execution by its name, and store that. Raises `ServiceError` or `StoreUnavailable`."""
        arn = None
        try:
            arn = self._invoke(execution, number)
        except ServiceError as error:
            if error.reason != STARTED:
                raise
        self._attempts.mark_started(execution, arn, number)

    def ensure(self, execution: str) -> str:
        """Start an execution if it was never started; return its status. Raises `ServiceError`.

        Start an execution again that Lambda no longer knows. If its ARN is not known, start it by name: Lambda answers with
        the existing execution.
        """
        current = self._attempts.in_lambda(execution)
        status = self._current_status(execution, current)
        if status not in ALIVE and self._attempts.in_lambda(execution).number != current.number:
            return self.ensure(execution)  # it ended because another one continues it since
        return status

    def _current_status(self, execution: str, current: InLambda) -> str:
        if current.arn is not None:
            try:
                return self._status(current.arn)
            except ServiceError as error:
                if error.reason != GONE:
                    raise
        arn = self._invoke(execution, current.number)
        self._attempts.mark_started(execution, arn, current.number)
        return self._status(arn)

    def wake(self, execution: str) -> None:
        """Make a waiting execution check the queue now; start it if it was never started."""
        wake_up = self._attempts.wake_up(execution)
        if wake_up is None:
            if not self._attempts.is_started(execution):
                self.start(execution)
            return
        try:
            with translated("lambda", "SendDurableExecutionCallbackSuccess", self._now):
                self._client.send_durable_execution_callback_success(CallbackId=wake_up.callback)
        except ServiceError as error:
            if error.reason not in (
                CLOSED,
                GONE,
            ):  # in these two cases it has checked the queue, or does so now
                raise

    def hand_over(self, execution: str, number: int) -> None:
        """Start the durable execution that continues number `number`. Repeated calls start it once.

        Lambda starts a name only once, so the new name contains the next number. Raises `ServiceError` or `StoreUnavailable`.
        """
        if self._attempts.continue_after(execution, number) == number + 1:
            self.start(execution, number + 1)

    def revive(self, execution: str) -> None:
        """Let another durable execution continue an execution, if its current one has ended."""
        number = self._attempts.in_lambda(
            execution
        ).number  # before the status is read, because another process may revive it, too
        if self.ensure(execution) not in ALIVE:
            self.hand_over(execution, number)

    def _status(self, arn: str) -> str:
        with translated("lambda", "GetDurableExecution", self._now):
            return str(self._client.get_durable_execution(DurableExecutionArn=arn)["Status"])

    def _invoke(self, execution: str, number: int) -> str:
        name = durable_name(self._worker, execution_name(execution, number))
        return start_by_name(self._client, self._now, self._worker, worker_event(execution, number), name)
