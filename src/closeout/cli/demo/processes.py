"""The demo's child processes: started with this interpreter, known by pid, asked over plain HTTP, and always ended.

Each child gets a session of its own, so that Ctrl-C reaches the demo alone and the demo ends them in order. HTTP is the standard
library's: the demo must not see closeout through closeout's own client.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from closeout.core.errors import Unavailable

START_SECONDS = 30.0
END_SECONDS = 8.0
TIMEOUT = 10.0
_URL = re.compile(r"(https?://[\w.:-]+).*\n")


class Child:
    """One process: `python -m MODULE ARGUMENTS`, whose first line with a URL says where it listens."""

    def __init__(self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = module
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter, our own module
                [sys.executable, "-m", module, *arguments],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def url(self) -> str:
        """Wait until it says where it listens; return that URL. Raises `Unavailable` with its last lines."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = _URL.search(self._log.read_text("utf-8", "replace"))
            if found:
                return found[1].rstrip(".")
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise Unavailable(f"{self.name} did not start: {self.last_output() or 'it wrote nothing'}")

    def last_output(self, lines: int = 5) -> str:
        """Return the last lines of its output."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])

    def kill(self) -> None:
        """`kill -9`: no handler runs, nothing is flushed."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Ask it to end, and kill it if it does not in time."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


class Children:
    """All children; leaving the context ends them, the last one started first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave a process behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for child in reversed(self._all):
                child.end()
        finally:
            signal.signal(signal.SIGINT, before)

    def start(self, module: str, *arguments: str, env: Mapping[str, str]) -> Child:
        """Start one; its output goes to a file in the demo's folder."""
        child = Child(module, arguments, env, self._folder / f"{len(self._all)}-{module}.log")
        self._all.append(child)
        return child

    def last_output(self, module: str) -> str:
        """Return the end of what the newest child of this module wrote."""
        return next((child.last_output(20) for child in reversed(self._all) if child.name == module), "")


class Answer(NamedTuple):
    """A status and the body."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


def request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request to a server of the demo. Raises `OSError` if nothing answers."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read().decode("utf-8", "replace"))


def call(method: str, url: str, value: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Call a control API: JSON in, JSON out. Raises `RuntimeError` for anything but a 2xx."""
    body = None if value is None else json.dumps(value).encode()
    answer = request(method, url, body, {"Content-Type": "application/json", **(headers or {})})
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{method} {url}: {answer.status} {answer.text[:200]}")
    return answer.json if answer.text else None
