"""Lambda as far as a durable worker sees it, with processes that can be killed.

The official local runner keeps executions and asks for invocations over HTTP; here each invocation is a process of its
own (`tests/aws/worker_process.py`), as in Lambda after a crash. One that dies answers as Lambda does for it: an
unhandled function error, after which the runner invokes again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aws_durable_execution_sdk_python_testing.model import StartDurableExecutionInput
from aws_durable_execution_sdk_python_testing.runner import WebRunner, WebRunnerConfig
from aws_durable_execution_sdk_python_testing.web.server import WebServiceConfig

from closeout.stack.table import worker_event
from tests.emulator.meter import RETRIES

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("worker_process.py")


class LambdaHost:
    """The runner and the host of processes, as a context manager. `environment` is what each process gets."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.exits: list[int] = []
        """How each process ended: 0, or the signal that killed it as a negative number."""

    def __enter__(self) -> Self:
        """Start both."""
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                """Invoke."""
                event = self.rfile.read(int(self.headers["content-length"]))
                failed, answer = host.invoke(event)
                self.send_response(200)
                if failed:
                    self.send_header("X-Amz-Function-Error", "Unhandled")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._host = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._host.serve_forever, args=(0.05,), daemon=True).start()
        config = WebRunnerConfig(
            web_service=WebServiceConfig(host="127.0.0.1", port=0),
            lambda_endpoint=f"http://127.0.0.1:{self._host.server_port}",
            local_runner_region="us-east-1",
            skip_time=True,
        )
        self._runner = WebRunner(config)
        self._runner.start()
        assert self._runner._executor is not None
        assert self._runner._server is not None
        self._executor = self._runner._executor
        # The runner waits five real seconds before it invokes again; Lambda's own times are no part of these tests.
        self._executor.RETRY_BACKOFF_SECONDS = 0
        self._executor.MAX_CONSECUTIVE_FAILED_ATTEMPTS = 1 + RETRIES
        self._service = f"http://127.0.0.1:{self._runner._server.server_port}"
        threading.Thread(target=self._runner.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both."""
        self._runner.stop()
        self._host.shutdown()
        self._host.server_close()

    def invoke(self, event: bytes) -> tuple[bool, bytes]:
        """Run one invocation in a process; return whether it failed, and its answer."""
        environment = {
            **os.environ,
            **self._environment,
            "AWS_ENDPOINT_URL_LAMBDA": self._service,
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        }
        process = subprocess.run(
            [sys.executable, str(PROGRAM)], input=event, env=environment, stdout=subprocess.PIPE, timeout=60
        )
        self.exits.append(process.returncode)
        if process.returncode == 0:
            return False, process.stdout
        text = f"the process ended with {signal.Signals(-process.returncode).name if process.returncode < 0 else process.returncode}"
        return True, json.dumps({"errorType": "Runtime.ExitError", "errorMessage": text}).encode()

    def run(self, execution: str, seconds: float = 60.0) -> str:
        """Start an execution by its name and wait for its end; return Lambda's status of it."""
        start = StartDurableExecutionInput(
            account_id="123456789012",
            function_name="worker",
            function_qualifier="$LATEST",
            execution_name=execution,
            execution_timeout_seconds=86_400,
            execution_retention_period_days=1,
            invocation_id="first",
            input=worker_event(execution).decode(),
        )
        arn = str(self._executor.start_execution(start).execution_arn)
        assert self._executor.wait_until_complete(arn, seconds), (
            f"{execution} did not end; exits {self.exits}"
        )
        return str(self._executor.get_execution_details(arn).status)
