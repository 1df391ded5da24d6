"""Serve the emulator over loopback HTTP, in a thread of this process or in one of its own, and talk to it.

Tests over real HTTP meet the same botocore, timeouts and broken connections that production meets.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from closeout.testing.aws.app import Emulator

REGION = "us-east-1"


class _Handler(MotoRequestHandler):
    """moto's handler, quiet. A connection serves many calls, as AWS's do; werkzeug would close it after each.

    A dropped call is a `ConnectionError`, which closes the socket.
    """

    connections: ClassVar[set[socket.socket]]
    wbufsize = -1  # one packet for an answer: a second one waits for the first one's acknowledgment

    def setup(self) -> None:
        """Begin with a connection."""
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        """End with a connection."""
        self.connections.discard(self.connection)
        super().finish()

    def run_wsgi(self) -> None:
        """Answer one call. The application reads the whole body, so the next call begins after it."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        self.environ = self.make_environ()
        begun: list[Any] = []
        answer: Any = self.server.app
        body = b"".join(answer(self.environ, lambda *line: begun.extend(line)))
        status, headers = begun
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            if self.command == "HEAD" or name.lower() != "content-length":
                self.send_header(name, value)
        if self.command != "HEAD" and code != "204":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: Any) -> None:
        """Write nothing: the journal has it."""

    def connection_dropped(self, *_: Any) -> None:
        """Write nothing: killed clients and dropped calls are expected here."""
        self.close_connection = True


def make(emulator: Emulator, host: str = "127.0.0.1", port: int = 0) -> BaseWSGIServer:
    """Return a bound threaded server; port 0 takes a free one (`server.server_port`)."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    handler = type("BoundHandler", (_Handler,), {"connections": set()})
    return make_server(host, port, emulator, threaded=True, request_handler=handler)


class FakeAws:
    """An emulated AWS as a context manager: `.url` is what `AWS_ENDPOINT_URL` takes.

    With `process=True` it runs as `python -m closeout.testing.aws`; leaving the context ends it. In this process it
    runs in daemon threads, one world exists at a time, and `clock` (seconds from anywhere) may say how time passes
    for what takes time.
    """

    emulator: ClassVar[type[Emulator]] = Emulator

    def __init__(
        self,
        *,
        delete_seconds: float = 1.0,
        process: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = ""
        self._clock = clock
        self._delete_seconds = delete_seconds
        self._process = process
        self._server: BaseWSGIServer | None = None
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        if self._process:
            command = [sys.executable, "-m", "closeout.testing.aws", "--port", "0"]
            command += ["--delete-seconds", str(self._delete_seconds)]
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            line = self._child.stdout.readline() if self._child.stdout else ""
            if not line:
                message = "the emulator did not start: is moto[server] installed?"
                raise RuntimeError(message)
            self.url = line.split()[-1]
        else:
            self._server = make(self.emulator(delete_seconds=self._delete_seconds, clock=self._clock))
            threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
            ).start()
            self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            handler: Any = self._server.RequestHandlerClass
            for connection in tuple(handler.connections):
                with contextlib.suppress(OSError):  # it may have ended by itself
                    connection.shutdown(socket.SHUT_RDWR)
        if self._child is not None:
            self._child.terminate()
            self._child.wait(60)
            if self._child.stdout:
                self._child.stdout.close()

    @property
    def application(self) -> Any:
        """The emulator as a WSGI application, while it runs in this process."""
        assert self._server is not None
        return self._server.app

    def environment(self) -> dict[str, str]:
        """Return the variables under which any AWS SDK talks to this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # --- control --------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Start a new, empty world."""
        self.control("POST", "reset")

    def fault(self, **order: Any) -> None:
        """Order a fault: the fields of `faults.Fault`."""
        self.control("POST", "faults", order)

    def clear_faults(self) -> None:
        """Forget faults and release held calls."""
        self.control("DELETE", "faults")

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the journal's entries after that number."""
        answer: list[dict[str, Any]] = self.control("GET", f"requests?after={after}")
        return answer

    def stack_status(
        self, stack: str, status: str, *, seconds: float, then: str, region: str = REGION
    ) -> None:
        """Put a stack into a state for some seconds."""
        order = {"stack": stack, "status": status, "seconds": seconds, "then": then, "region": region}
        self.control("POST", "stacks", order)

    def undeletable(self, stack: str, logical_id: str, reason: str, times: int = 1_000_000) -> None:
        """Make a resource fail to delete, `times` times over."""
        order = {"stack": stack, "logical_id": logical_id, "reason": reason, "times": times}
        self.control("POST", "undeletable", order)

    def deletable(self) -> None:
        """Undo every `undeletable`."""
        self.control("DELETE", "undeletable")

    def build_outcome(self, project: str, **outcome: Any) -> None:
        """Set how builds of a project end: `seconds`, `status`, `phase`, `message`."""
        self.control("POST", "builds", {"project": project, **outcome})

    def delete_takes(self, seconds: float) -> None:
        """Set how long a stack takes to delete from now on."""
        self.control("POST", "settings", {"delete_seconds": seconds})

    def delay_events(self, seconds: float) -> None:
        """Set how long it takes from now on until the event of a stack's resource can be read."""
        self.control("POST", "settings", {"events_late": seconds})

    def stop_deletes_at_the_end(self) -> None:
        """Stop each delete after its last resource: the stack stays DELETE_IN_PROGRESS."""
        self.control("POST", "settings", {"unending": True})

    def let_deletes_end(self) -> None:
        """Undo `stop_deletes_at_the_end`."""
        self.control("POST", "settings", {"unending": False})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a control request and return its answer."""
        data = None if body is None else json.dumps(body).encode()
        if self._server is not None:
            resource, _, query = path.partition("?")
            status, _, text = self.application.control(method, resource, query, data or b"")
            if status != 200:
                raise ValueError(text.decode())
            return json.loads(text)
        request = urllib.request.Request(f"{self.url}/_closeout/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())
