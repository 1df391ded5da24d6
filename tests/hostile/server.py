"""A real `closeout serve` without AWS and GitHub: started in a folder of its own, ended by its process id."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from closeout.testing import deliveries
from tests.until import until

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-for-the-hostile-tour"
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  note:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    status: false
    steps:
      - uses: shell
        destructive: false
        with: { argv: ['true'] }
"""
IDLE = CONFIG.replace("acme/shop", "acme/never-sends")
"""Deliveries are stored and start nothing."""
GOOD, ATTACKER = "127.0.0.3", "127.0.0.2"
"""Whom connections come from. Linux answers on all of 127.0.0.0/8; 127.0.0.1 may be taken for a trusted proxy."""


class Server:
    """A serving process. `program` is what Python runs as the command line, `files` its limit on descriptors.

    `options` are of `closeout serve`.
    """

    def __init__(
        self,
        folder: Path,
        config: str = CONFIG,
        *,
        program: Sequence[str] = ("-m", "closeout"),
        options: Sequence[str] = (),
        files: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.db = folder / "closeout.db"
        self.log_file = folder / "server.log"
        self.port = 0
        self._program = program
        self._options = options
        self._files = files
        self._process: subprocess.Popen[bytes] | None = None
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CLOSEOUT_"))
        }
        own = {"CLOSEOUT_WEBHOOK_SECRET": SECRET, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        self.environment = {**kept, **own, **(variables or {})}
        (folder / "closeout.yaml").write_text(config, encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of closeout with these arguments."""
        return [sys.executable, *self._program, *arguments]

    def start(self, seconds: float = 30.0) -> None:
        """Start it and wait until it listens; over restarts the port stays the same."""
        where = ("--db", str(self.db), "--host", "127.0.0.1", "--port", str(self.port))
        serve = self.command("serve", *where, *self._options)
        before = len(self.log())
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                serve,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=self._limit if self._files else None,  # noqa: PLW1509 - before any thread is made there
            )

        def listening() -> str | None:
            text = self.log()[before:].decode()
            assert self._process is not None
            assert self._process.poll() is None, f"the server ended:\n{text}"
            return next((line for line in text.splitlines() if "listens on" in line), None)

        line: str = until("the server's start", listening, seconds)
        self.port = int(line.rsplit(":", 1)[1].split(maxsplit=1)[0].rstrip("/."))

    def _limit(self) -> None:
        assert self._files is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process is not None and self._process.poll() is None

    def ended(self) -> int | None:
        """Return the exit code of a process that ended by itself; None if it runs."""
        return self._process.poll() if self._process is not None else None

    def end(self) -> int | None:
        """End it by SIGTERM, and by SIGKILL if that takes too long; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(10)

    def log(self) -> bytes:
        """Return what the server wrote."""
        return self.log_file.read_bytes() if self.log_file.exists() else b""

    def cli(self, *arguments: str, seconds: float = 15.0) -> tuple[int | None, str]:
        """Run the real command line; return exit code and all it said, None if it did not end within `seconds`."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        code: int | None = None
        try:
            said, _ = process.communicate(timeout=seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate(timeout=30)
        return code, said.decode("utf-8", "replace")

    def connect(self, source: str = ATTACKER, seconds: float = 5.0) -> socket.socket:
        """Open a connection from an address of this machine. Raises OSError."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds, source_address=(source, 0))

    def exchange(self, request: bytes, source: str = ATTACKER, seconds: float = 5.0) -> bytes:
        """Send bytes and return all that comes until the server closes or `seconds` are over. Never raises OSError."""
        received = b""
        try:
            with self.connect(source, seconds) as connection:
                connection.sendall(request)
                while part := connection.recv(65536):
                    received += part
        except OSError:
            pass
        return received


def delivery(number: int, guid: str, *, keep_alive: bool = False) -> bytes:
    """Return the whole request of a signed delivery: pull request `number` of acme/shop, closed."""
    return signed(deliveries.encode(deliveries.pull_request(number=number)), guid, keep_alive=keep_alive)


def signed(body: bytes, guid: str, *, event: str = "pull_request", keep_alive: bool = False) -> bytes:
    """Return the whole request of a delivery with this body and a right signature."""
    headers = deliveries.signed_headers(event, body, SECRET, guid)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    closing = "" if keep_alive else "Connection: close\r\n"
    head = f"POST /webhook HTTP/1.1\r\nHost: closeout\r\n{lines}{closing}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status_of(answer: bytes) -> int:
    """Return the status of an answer, 0 when none came."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") and answer[9:12].isdigit() else 0
