"""The demo's child processes: started with this interpreter, known by pid, ended whatever happens.

Each child gets a session of its own, so that Ctrl-C reaches the demo alone and the demo ends them in order.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from closeout.core.errors import Unavailable

START_SECONDS = 30.0
END_SECONDS = 8.0
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
        """Wait until it says where it listens; return that URL. Raises `Unavailable` with its last words."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = _URL.search(self._log.read_text("utf-8", "replace"))
            if found:
                return found[1].rstrip(".")
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise Unavailable(f"{self.name} did not start: {self.last_words() or 'it said nothing'}")

    def last_words(self, lines: int = 5) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])

    def kill(self) -> None:
        """`kill -9`: no handler runs, nothing is flushed."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Ask it to end, and insist after a while."""
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

    def last_words(self, module: str) -> str:
        """Return the end of what the newest child of this module wrote."""
        return next((child.last_words(20) for child in reversed(self._all) if child.name == module), "")
