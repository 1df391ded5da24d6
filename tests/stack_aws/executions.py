"""Durable executions as far as who starts them sees: a start that happens once by its name, and a state to ask for.

Nothing is run: a test looks at what was started (`GET /_closeout/executions`) and may say how an execution stands.
Pages, under https://docs.aws.amazon.com/lambda/latest/: api/API_Invoke.html (the header
`X-Amz-Durable-Execution-Name`), dg/durable-execution-idempotency.html (same name and payload: the same execution;
another payload: DurableExecutionAlreadyStartedException), api/API_GetDurableExecution.html,
api/API_SendDurableExecutionCallbackSuccess.html (a second time: CallbackTimeoutException). Every callback is open until it
is completed.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from closeout.testing.aws.calls import Answer, Call, Request

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_ASK = re.compile(r"/2025-12-01/durable-executions/(.+)")
_COMPLETE = re.compile(r"/2025-12-01/durable-execution-callbacks/(.+)/succeed")


class Executions:
    """Every durable execution that was started, by function and name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.started: list[dict[str, Any]] = []
        self.completed: list[str] = []
        """The ids of callbacks, in the order in which they were completed."""

    def clear(self) -> None:
        """Forget all."""
        with self.lock:
            self.started.clear()
            self.completed.clear()

    def seen(self) -> list[dict[str, Any]]:
        """Return all: function, name, payload, status, and how often each was started."""
        with self.lock:
            return [dict(entry) for entry in self.started]

    def turn(self, order: Mapping[str, Any]) -> None:
        """Set the status of an execution: `{"name", "status"}`. The name may be without the stack's digest."""
        with self.lock:
            for entry in self.started:
                if entry["name"].endswith(order["name"]):
                    entry["status"] = order["status"]

    def named(self, call: Call, request: Request) -> Call:
        """Return a call of Lambda by the name of its operation."""
        if request.method == "POST" and request.path.endswith("/invocations"):
            return replace(call, operation="Invoke")
        if request.method == "GET" and "/durable-executions/" in request.path:
            return replace(call, operation="GetDurableExecution")
        if request.method == "POST" and "/durable-execution-callbacks/" in request.path:
            return replace(call, operation="SendDurableExecutionCallbackSuccess")
        return call

    def answer(self, request: Request) -> Answer | None:
        """Answer a call that is about a durable execution; None for any other."""
        method, path, _, headers, body = request
        invoked, asked, completed = (pattern.fullmatch(path) for pattern in (_INVOKE, _ASK, _COMPLETE))
        name = headers.get("x-amz-durable-execution-name")
        if method == "POST" and invoked and name:
            return self._start(unquote(invoked[1]), name, body.decode())
        if method == "GET" and asked:
            return self._state(unquote(asked[1]))
        if method == "POST" and completed:
            return self._complete(unquote(completed[1]))
        return None

    def _complete(self, callback: str) -> Answer:
        with self.lock:
            if callback in self.completed:
                return _error(400, "CallbackTimeoutException")
            self.completed.append(callback)
        return 200, {"Content-Type": "application/json"}, b"{}"

    def _start(self, function: str, name: str, payload: str) -> Answer:
        with self.lock:
            for entry in self.started:
                if (entry["function"], entry["name"]) == (function, name):
                    if entry["payload"] != payload:
                        return _error(409, "DurableExecutionAlreadyStartedException")
                    entry["starts"] += 1
                    return _accepted(entry)
            entry = {
                "function": function,
                "name": name,
                "payload": payload,
                "status": "RUNNING",
                "starts": 1,
            }
            self.started.append(entry)
            return _accepted(entry)

    def _state(self, arn: str) -> Answer:
        with self.lock:
            for entry in self.started:
                if entry["name"] in arn.split("/"):
                    answer = {
                        "DurableExecutionArn": arn,
                        "DurableExecutionName": entry["name"],
                        "FunctionArn": entry["function"],
                        "Status": entry["status"],
                        "StartTimestamp": 0,
                    }
                    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        return _error(404, "ResourceNotFoundException")


def _accepted(entry: Mapping[str, Any]) -> Answer:
    # Lambda's names the version, and never the alias.
    function = f"function:{entry['function'].removesuffix(':live').rpartition(':')[2]}:1"
    arn = f"arn:aws:lambda:us-east-1:123456789012:{function}/durable-execution/{entry['name']}/00000000"
    return 202, {"X-Amz-Durable-Execution-Arn": arn}, b""


def _error(status: int, code: str) -> Answer:
    text = json.dumps({"Type": "User", "message": code})
    return status, {"Content-Type": "application/json", "x-amzn-errortype": code}, text.encode()
