"""Lambda's durable service for one worker, in memory and in virtual time, which fails what is over the quota of operations.

It replays the worker's own driver (`closeout.lambdas.worker.work`) as the SDK does: operations return what is recorded of
them, and the first one that is not ready suspends the invocation. So 200 runs and a wait of a week take seconds. What the
SDK itself does is tested on its own runner (`test_durable_runner`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from aws_durable_execution_sdk_python.config import CallbackConfig
from aws_durable_execution_sdk_python.exceptions import CallbackTimeoutError
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig
from botocore.exceptions import ClientError

from closeout.testing.durable import FakeClock
from tests.emulator.meter import LIMIT, Meter

FOREVER = float("inf")
Work = Callable[[dict[str, Any], Any], dict[str, Any]]


class Suspend(BaseException):
    """Ends an invocation: the next one is due at `until`, or when a callback is completed."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


class Killed(BaseException):
    """Ends an invocation like `kill -9`: whatever raises it stands for the process's death."""


class DurableExecution:
    """One durable execution: what it has recorded, and when its next invocation is due."""

    def __init__(self, name: str, number: int, payload: str, clock: FakeClock) -> None:
        self.name = name
        self.arn = (
            f"arn:aws:lambda:us-east-1:123456789012:function:worker:1/durable-execution/{name}/id-{number}"
        )
        self.payload = payload
        self.clock = clock
        self.status = "RUNNING"
        self.due = clock.now()
        self.invocations = 0
        self.operations: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        """Their names, in the order in which they were reached first."""
        self.meter = Meter()

    @property
    def count(self) -> int:
        """The operations that AWS has counted."""
        return self.meter.operations

    def checkpoint(self, kind: str, action: str, name: str) -> None:
        """Count an update of a checkpoint."""
        polled = {"SubType": "WaitForCondition"} if kind == "STEP" else {}
        self.meter.checkpoint([{"Type": kind, "Action": action, "Id": name, **polled}])


class Context:
    """The part of the SDK's `DurableContext` that the worker uses, for one invocation."""

    lambda_context = None

    def __init__(self, execution: DurableExecution, client: Client) -> None:
        self._execution = execution
        self._client = client
        self._reached = 0

    def wait_for_condition(
        self,
        check: Callable[[Any, WaitForConditionCheckContext], Any],
        config: WaitForConditionConfig[Any],
        name: str,
    ) -> Any:
        """Poll once, and suspend unless that is enough."""
        begun = {"state": config.initial_state, "polls": 0, "due": 0.0, "result": None}
        operation = self._reach(name, begun)
        if operation["result"] is not None:
            return json.loads(operation["result"])
        now = self._execution.clock.now()
        if operation["due"] > now:
            raise Suspend(operation["due"])
        attempt = operation["polls"] + 1
        state = json.loads(json.dumps(operation["state"]))
        checked = json.dumps(check(state, WaitForConditionCheckContext(logger=None, attempt=attempt)))
        decision = config.wait_strategy(json.loads(checked), attempt)
        operation |= {"state": json.loads(checked), "polls": attempt}
        self._execution.checkpoint("STEP", "RETRY" if decision.should_continue else "SUCCEED", name)
        if not decision.should_continue:
            operation["result"] = checked
            return json.loads(checked)
        operation["due"] = self._execution.clock.now() + (decision.delay_seconds or 0)
        raise Suspend(operation["due"])

    def create_callback(self, name: str, config: CallbackConfig) -> Any:
        """Return a callback, whose id is the execution's and the operation's."""
        until = self._execution.clock.now() + config.timeout_seconds
        begun = {"until": until, "completed": False}
        if name not in self._execution.operations:
            self._execution.checkpoint("CALLBACK", "START", name)
        return _Callback(self._execution, name, self._reach(name, begun), self._client)

    def _reach(self, name: str, begun: dict[str, Any]) -> dict[str, Any]:
        """Return an operation, which a replay reaches in the order of the first time."""
        recorded, order = self._execution.operations, self._execution.order
        if name not in recorded:
            recorded[name] = begun
            order.append(name)
        assert order[self._reached] == name, "a replay reached other operations"
        self._reached += 1
        return recorded[name]


class _Callback:
    def __init__(
        self, execution: DurableExecution, name: str, operation: dict[str, Any], client: Client
    ) -> None:
        self.callback_id = base64.b64encode(f"{execution.arn} {name}".encode()).decode()
        self._execution = execution
        self._operation = operation
        client.callbacks[self.callback_id] = (execution, operation)

    def result(self) -> None:
        """Return if it is completed, raise if it timed out, suspend otherwise."""
        if self._operation["completed"]:
            return
        if self._execution.clock.now() >= self._operation["until"]:
            raise CallbackTimeoutError("Callback timed out")
        raise Suspend(self._operation["until"])


class Client:
    """The calls of boto3's Lambda client that `LambdaStarts` makes, and the driver of what they start."""

    def __init__(self, clock: FakeClock, work: Work) -> None:
        self.clock = clock
        self.work = work
        self.executions: dict[str, DurableExecution] = {}
        self.callbacks: dict[str, tuple[DurableExecution, dict[str, Any]]] = {}
        self.asked: list[str] = []
        """The ARNs that `GetDurableExecution` was asked about."""

    def invoke(self, **given: Any) -> dict[str, str]:
        """Start an execution by its name, once."""
        name, payload = given["DurableExecutionName"], given["Payload"].decode()
        found = self.executions.get(name)
        if found is None:
            found = DurableExecution(name, len(self.executions), payload, self.clock)
            self.executions[name] = found
        if found.payload != payload:
            raise _error("DurableExecutionAlreadyStartedException", 409)
        return {"DurableExecutionArn": found.arn}

    def get_durable_execution(self, **given: Any) -> dict[str, str]:
        """Return an execution's status."""
        self.asked.append(given["DurableExecutionArn"])
        for execution in self.executions.values():
            if execution.arn == given["DurableExecutionArn"]:
                return {"Status": execution.status}
        raise _error("ResourceNotFoundException", 404)

    def send_durable_execution_callback_success(self, **given: Any) -> dict[str, Any]:
        """Complete a callback, and let its execution go on now."""
        if given["CallbackId"] not in self.callbacks:
            raise _error("ResourceNotFoundException", 404)
        execution, operation = self.callbacks[given["CallbackId"]]
        if operation["completed"] or self.clock.now() >= operation["until"] or execution.status != "RUNNING":
            raise _error("CallbackTimeoutException", 400)
        operation["completed"] = True
        execution.due = self.clock.now()
        return {}

    def steps(self, most: int) -> Iterator[DurableExecution]:
        """Make one invocation after another, at its time, until none is due; yield each execution after it."""
        for _ in range(most):
            alive = [each for each in self.executions.values() if each.status == "RUNNING"]
            if not alive:
                return
            execution = min(alive, key=lambda each: each.due)
            if execution.due == FOREVER:
                raise AssertionError(f"nobody wakes {[each.name for each in alive]}")
            self.clock.advance(max(0.0, execution.due - self.clock.now()))
            self.invoke_again(execution)
            yield execution
        raise AssertionError(f"not over after {most} invocations")

    def run(self, most: int = 20_000) -> None:
        """Carry everything out that is started, to its end."""
        for _ in self.steps(most):
            pass

    def invoke_again(self, execution: DurableExecution) -> None:
        """Make an execution's next invocation."""
        execution.invocations += 1
        execution.due = FOREVER
        try:
            self.work(json.loads(execution.payload), Context(execution, self))
        except Suspend as suspend:
            # A callback that was completed meanwhile has set it to now.
            execution.due = min(execution.due, suspend.until)
        except Killed:
            execution.due = self.clock.now() + 1.0
        else:
            execution.status = "SUCCEEDED"
        if execution.count > LIMIT:
            execution.status = "FAILED"


def _error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Lambda")
