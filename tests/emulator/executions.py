"""Lambda's side of durable executions, the largest of the emulator's patches. `patches` lists it.

ministack has the state of an execution and the calls that the SDK makes; what starts an execution once, invokes its
function until it ends, and tells others of its end, is here.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
import uuid
from collections import defaultdict
from typing import Any

from ministack.services import eventbridge, sqs
from ministack.services import lambda_durable as durable
from ministack.services import lambda_svc as functions

from tests.emulator.meter import EXCEEDED, RETRIES, Meter

RETRY_FIRST, RETRY_MOST = 0.5, 60.0
"""Seconds between two tries of an invocation that failed: AWS documents that they grow, and not how."""
STATUSES = ("FAILED", "STOPPED", "TIMED_OUT")


class Executions:
    """Starts durable executions once by name, invokes them until they end, and publishes their end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._driven: set[str] = set()
        self._meters: dict[str, Meter] = defaultdict(Meter)
        self._original = functions._invoke
        self._checkpoint = durable.handle_checkpoint

    async def invoke(
        self, name: str, event: Any, headers: dict[str, str], path_qualifier: Any = None, query: Any = None
    ) -> Any:
        """Answer Invoke: of a durable function as AWS documents it, of any other as ministack does."""
        given = {key.lower(): value for key, value in headers.items()}
        qualifier = functions._qualifier_from_path_or_query(path_qualifier, query) or "$LATEST"
        found = self.version(name, qualifier)
        kind = given.get("x-amz-invocation-type", "RequestResponse")
        if found is None or not found[0]["config"].get("DurableConfig") or kind == "DryRun":
            return await self._original(name, event, headers, path_qualifier, query)
        record, version = found
        wanted = given.get("x-amz-durable-execution-name")
        with self._lock:
            execution = self._by_name(name, wanted)
            if execution is not None and json.loads(execution["InputPayload"]) != event:
                message = f"a durable execution {wanted} was started with another payload"
                return functions.error_response_json("DurableExecutionAlreadyStartedException", message, 409)
            fresh = execution is None
            if execution is None:
                execution = durable.create_execution_for_invoke(
                    function_arn=functions._func_arn(name),
                    version=version,
                    input_payload=json.dumps(event),
                    name=wanted,
                    execution_timeout=record["config"]["DurableConfig"].get("ExecutionTimeout"),
                )
        if fresh:
            execution["_asynchronous"] = kind == "Event"
            self.tell(execution)
            self.drive(execution)
        arn = execution["DurableExecutionArn"]
        answer = {"X-Amz-Executed-Version": execution["Version"], "X-Amz-Durable-Execution-Arn": arn}
        while kind != "Event" and execution["Status"] == "RUNNING":
            await asyncio.sleep(0.02)
        return (202, answer, b"") if kind == "Event" else (200, answer, str(execution["Result"]).encode())

    def drive(self, execution: dict[str, Any]) -> None:
        """Invoke the function on a thread until the execution ends or waits; one thread an execution at most."""
        arn = execution["DurableExecutionArn"]
        with self._lock:
            if arn in self._driven:
                return
            self._driven.add(arn)
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._drive, execution), daemon=True).start()

    def _drive(self, execution: dict[str, Any]) -> None:
        arn, retries = execution["DurableExecutionArn"], 0
        answer: dict[str, Any] | None = None
        while execution["Status"] == "RUNNING":
            answer = self._invoke_once(execution)
            if answer is not None:
                break
            if retries == RETRIES or not self._meters[arn].retry():
                answer = {"Status": "FAILED", "Error": {"ErrorType": "RetriesExhausted"}}
                break
            due = time.time() + min(RETRY_FIRST * 2**retries, RETRY_MOST)
            while time.time() < due:  # by the emulated clock, which may be set forward
                time.sleep(0.05)
            retries += 1
        with self._lock:
            self._driven.discard(arn)
        if answer is None:
            return
        if answer["Status"] == "PENDING":
            durable.schedule_resume(arn)
            return
        failure = answer.get("Error") or {"ErrorType": "Unknown"} if answer["Status"] == "FAILED" else None
        durable.mark_execution_completed(arn, answer.get("Result"), failure)

    def _invoke_once(self, execution: dict[str, Any]) -> dict[str, Any] | None:
        """Invoke the version that the execution was started on; None if that failed and is to be tried again."""
        name = execution["FunctionArn"].rsplit(":", 1)[-1]
        found = self.version(name, execution["Version"])
        if found is None:
            return {"Status": "FAILED", "Error": {"ErrorType": "ResourceNotFoundException"}}
        execution["CheckpointToken"] = token = durable.new_checkpoint_token()
        arn = execution["DurableExecutionArn"]
        functions._durable_ctx.set({"arn": arn, "token": token, "name": execution["DurableExecutionName"]})
        operations = durable._serialize_operations(execution["Operations"], for_event=True)
        for operation in operations:
            due = operation.get("StepDetails", {}).get("NextAttemptTimestamp")
            if operation["Status"] == "STARTED" and due is not None:
                operation["Status"] = "READY" if due <= time.time() * 1_000 else "PENDING"
        state = {"Operations": operations, "NextMarker": ""}
        event = {"DurableExecutionArn": arn, "CheckpointToken": token, "InitialExecutionState": state}
        began = time.time()
        result = functions._execute_function_with_config_scope(found[0], event)
        failed = result.get("body") if result.get("error") else None
        durable.record_invocation_completed(arn, began, uuid.uuid4().hex, failed)
        body = result.get("body")
        known = isinstance(body, dict) and body.get("Status") in ("PENDING", "SUCCEEDED", "FAILED")
        return body if known and not result.get("error") else None

    def checkpoint(self, arn_path: str, body: bytes) -> Any:
        """Answer CheckpointDurableExecution; refuse updates beyond the limit of operations and fail their execution."""
        arn, asked = durable._parse_execution_arn(arn_path), json.loads(body or b"{}")
        execution, updates = durable._executions.get(arn), asked.get("Updates") or ()
        if execution is not None and not self._meters[arn].checkpoint(updates):
            durable.mark_execution_completed(arn, None, {"ErrorType": "Unknown", "ErrorMessage": EXCEEDED})
            return functions.error_response_json("InvalidParameterValueException", EXCEEDED, 400)
        for update in updates:  # a timeout of 0 is none
            options = update.get("CallbackOptions") or {}
            update["CallbackOptions"] = {name: seconds for name, seconds in options.items() if seconds}
        begun = {update["Id"] for update in updates if update["Action"] == "START"}
        for step in execution["Operations"] if execution is not None else ():
            if step["Id"] in begun:
                step.get("StepDetails", {}).pop("NextAttemptTimestamp", None)
        answer = self._checkpoint(arn_path, json.dumps(asked).encode())
        if execution is not None and answer[0] == 200:
            for update in updates:
                if (update["Type"], update["Action"]) == ("STEP", "RETRY"):
                    _keep_attempt(execution, update)
                elif (update["Type"], update["Action"]) == ("CALLBACK", "START"):
                    _tell_timeouts(execution, update)
        return answer

    def under_way(self, arn: str) -> bool:
        """Whether an invocation of an execution is under way, and its time is not over."""
        deadline = durable._executions[arn].get("_TimeoutDeadline") if arn in durable._executions else None
        with self._lock:
            return arn in self._driven and (deadline is None or time.time() < deadline)

    def resume(self, _function: str, arn: str, _event: Any) -> None:
        """Continue an execution that has waited."""
        execution = durable._executions.get(arn)
        if execution is not None:
            self.drive(execution)

    def tell(self, execution: dict[str, Any]) -> None:
        """Publish a status, and send the event of a failed execution to the function's dead-letter queue."""
        status = execution["Status"]
        detail = {
            "durableExecutionArn": execution["DurableExecutionArn"],
            "durableExecutionName": execution["DurableExecutionName"],
            "functionArn": f"{execution['FunctionArn']}:{execution['Version']}",
            "status": status,
            "startTimestamp": _iso(execution["StartTimestamp"]),
        }
        if execution.get("EndTimestamp"):
            detail["endTimestamp"] = _iso(execution["EndTimestamp"])
        entry = {
            "Source": "aws.lambda",
            "DetailType": "Durable Execution Status Change",
            "Detail": json.dumps(detail),
        }
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        found = self.version(execution["FunctionArn"].rsplit(":", 1)[-1], execution["Version"])
        target = ((found[0]["config"] if found else {}).get("DeadLetterConfig") or {}).get("TargetArn")
        queue = sqs._queue_by_arn(target) if target and status in STATUSES else None
        if queue is not None and execution.get("_asynchronous"):
            sqs._act_send_message({"MessageBody": execution["InputPayload"]}, queue["url"])

    def version(self, name: str, qualifier: str) -> tuple[dict[str, Any], str] | None:
        """Return the record that a version's number or an alias stands for, and the number."""
        function = functions._functions.get(name)
        if function is None:
            return None
        alias = function.get("aliases", {}).get(qualifier)
        version = str(alias["FunctionVersion"]) if alias else qualifier
        record = function if version == "$LATEST" else function["versions"].get(version)
        return None if record is None else (record, version)

    def _by_name(self, function: str, wanted: str | None) -> dict[str, Any] | None:
        of, every = functions._func_arn(function), list(durable._executions.values())
        return next(
            (e for e in every if wanted and e["DurableExecutionName"] == wanted and e["FunctionArn"] == of),
            None,
        )


def _keep_attempt(execution: dict[str, Any], update: dict[str, Any]) -> None:
    """Keep what an attempt of a step brings for the next one, with its event; ministack keeps its time only."""
    step = next(one for one in execution["Operations"] if one["Id"] == update["Id"])
    details = step.setdefault("StepDetails", {})
    details["Attempt"] = details.get("Attempt", 0) + 1
    retry = {
        "CurrentAttempt": details["Attempt"],
        "NextAttemptDelaySeconds": update["StepOptions"]["NextAttemptDelaySeconds"],
    }
    ended = "StepFailed" if update.get("Error") else "StepSucceeded"
    if ended == "StepFailed":
        outcome = {"Error": {"Payload": update["Error"], "Truncated": False}}
    else:
        details["Result"] = update.get("Payload")
        outcome = {"Result": {"Payload": update.get("Payload") or "", "Truncated": False}}
    durable._emit_history_event(
        execution,
        ended,
        f"{ended}Details",
        {**outcome, "RetryDetails": retry},
        name=update.get("Name"),
        parent_id=update.get("ParentId"),
        sub_type=update.get("SubType"),
        event_id=update["Id"],
    )


def _tell_timeouts(execution: dict[str, Any], update: dict[str, Any]) -> None:
    """Add a callback's timeouts to the event of its start."""
    options = update["CallbackOptions"]
    started = next(one for one in reversed(execution["History"]) if one.get("Id") == update["Id"])
    for name, detail in (("TimeoutSeconds", "Timeout"), ("HeartbeatTimeoutSeconds", "HeartbeatTimeout")):
        if name in options:
            started["CallbackStartedDetails"][detail] = options[name]


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
