"""A Lambda Runtime API on loopback: starts a handler under AWS's own runtime client, as Lambda does.

For tests and for cold starts. What AWS adds around it (the sandbox, the placement of the code) is not here.
Pages: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for the variables,
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

DEADLINE = 30.0
"""Seconds that an invocation may take."""


class Answer(NamedTuple):
    """A handler's answer: `kind` is `response` or `error`, `seconds` count from the invocation."""

    kind: str
    payload: Any
    seconds: float


class _Server(ThreadingHTTPServer):
    """Ignores connections that end with the process which made them."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class RuntimeApi:
    """One execution environment. A context manager: leaving it ends the process.

    `python` is the interpreter that has `awslambdaric`; `code` the folder of the bundle; `environment` all that the
    function sees besides what Lambda sets. `command` starts another runtime client.
    """

    def __init__(
        self,
        code: Path,
        handler: str,
        environment: Mapping[str, str],
        *,
        python: str,
        command: Sequence[str] = (),
    ) -> None:
        self._code = code
        self._handler = handler
        self._environment = environment
        self._command = [*command] or [python, "-m", "awslambdaric", handler]
        self._waiting: queue.Queue[tuple[str, Any] | None] = queue.Queue()
        self._answers: dict[str, queue.Queue[tuple[str, Any]]] = {}
        self._server = _Server(("127.0.0.1", 0), self._handler_class())
        self._process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        """`time.perf_counter` when the process was started."""
        self.invoked = 0.0
        """The same clock when the last event was given."""
        self.ready: float | None = None
        """Seconds from there until it asked for its first event."""
        self.failed: Any = None
        """What the runtime reported if the handler could not be imported."""

    def __enter__(self) -> Self:
        """Start the environment; it is cold."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **self._environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "LAMBDA_TASK_ROOT": str(self._code),
            "_HANDLER": self._handler,
            "PYTHONPATH": str(self._code),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            cwd=self._code,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process and the API."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()

    def kill(self) -> None:
        """Let the environment die in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def invoke(self, event: Any, timeout: float = DEADLINE) -> Answer:
        """Invoke the function and wait for its answer. Raises `TimeoutError`."""
        request = str(uuid.uuid4())
        answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._answers[request] = answers
        self.invoked = began = time.perf_counter()
        self._waiting.put((request, event))
        try:
            kind, payload = answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no answer within {timeout:g} s; {self.failed or ''}") from None
        return Answer(kind, payload, time.perf_counter() - began)

    def _next(self) -> tuple[str, Any] | None:
        if self.ready is None:
            self.ready = time.perf_counter() - self.began
        return self._waiting.get()

    def _took(self, path: str, body: bytes) -> None:
        parts = path.strip("/").split("/")
        payload = json.loads(body or b"null")
        if parts[-3:-2] == ["invocation"]:
            self._answers[parts[-2]].put((parts[-1], payload))
        else:
            self.failed = payload

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            """The few paths of the Runtime API."""

            protocol_version = "HTTP/1.1"
            wbufsize = -1
            """Head and body in one piece: in two, the second waits 40 ms for an acknowledgement."""

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                """`/2018-06-01/runtime/invocation/next`: waits for an event."""
                given = api._next()
                if given is None:
                    self.close_connection = True
                    return
                request, event = given
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": request,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + DEADLINE) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:function",
                    "Content-Type": "application/json",
                }
                self._send(200, json.dumps(event).encode(), headers)

            def do_POST(self) -> None:
                """`…/response`, `…/error` and `…/init/error`."""
                api._took(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                self._send(202, b"{}", {})

            def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler
