"""The two runtimes as parity sees them: `closeout serve` and the deployed stack, on one file, each with its own GitHub.

Both get the very same bytes. What comes of them is read the same way, and what must differ (times, ids, addresses) is
taken out by one function, so that nothing else can be.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from closeout.ledger.sqlite import Views
from closeout.testing.github.server import FakeGitHub
from tests.aws.world import TOKEN, Answer, World

START = 30.0
TIMES = ("accepted_at", "started_at", "finished_at", "ended_at")
_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"https?://127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b\d{7,}\b|(?<=issuecomment-)\d+"), "ID"),
    (re.compile(r"\(\d+(\.\d+)? m?s\)"), "(TIME)"),
)


class Side(Protocol):
    """One runtime."""

    name: str
    github: FakeGitHub
    secret: str
    """The webhook's."""

    def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request to its webhook."""
        ...

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as `closeout runs show --json` does."""
        ...


class Deployed:
    """A stack in the emulated account."""

    name = "aws"

    def __init__(self, world: World) -> None:
        self._world = world
        self.github = world.github
        self.secret = world.secret

    def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send through the API's gateway."""
        return Answer(*self._world.cloud.request(method, self._world.webhook, body, headers))

    def run(self, run_id: str) -> dict[str, Any]:
        """Read the table."""
        return self._world.run(run_id)


class Local:
    """A real `closeout serve` on the same file, as a context manager."""

    name = "local"

    def __init__(self, world: World, code: Path) -> None:
        self._folder = world.folder / "local"
        self._world = world
        self._code = code
        self.secret = world.secret
        self._db = self._folder / "closeout.db"
        self.github = FakeGitHub(token=TOKEN, full=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._folder.mkdir()
        shutil.copy(self._world.folder / "closeout.yaml", self._folder)
        shutil.copytree(self._code, self._folder, dirs_exist_ok=True)
        self.github.start()
        log = self._folder / "serve.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOSEOUT_")}
        command = [
            "serve",
            "--config",
            str(self._folder / "closeout.yaml"),
            "--db",
            str(self._db),
            "--port",
            "0",
        ]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "closeout", *command],
                env={
                    **kept,
                    "CLOSEOUT_WEBHOOK_SECRET": self._world.secret,
                    "CLOSEOUT_GITHUB_TOKEN": TOKEN,
                    "GITHUB_API": self.github.url,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"listens on (http://[\w.]+:\d+)\s", log.read_text("utf-8"))
            if found:
                self._url = found[1]
                return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError(f"closeout serve did not start: {log.read_text('utf-8')}")

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.github.stop()

    def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it to the server."""
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request(method, "/webhook", body, dict(headers))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def run(self, run_id: str) -> dict[str, Any]:
        """Read the ledger."""
        found = Views(self._db).run(run_id)
        return found.to_json() if found is not None else {"state": "absent", "verdict": None, "steps": []}


def ended(side: Side, run_id: str, patience: float = 60.0) -> dict[str, Any]:
    """Wait until a run has finished; return it. Raises `AssertionError` when patience ends."""
    deadline = time.monotonic() + patience
    while True:
        run = side.run(run_id)
        if run["state"] == "finished":
            return run
        if time.monotonic() > deadline:
            raise AssertionError(f"on {side.name}, not within {patience:g} s: {run}")
        time.sleep(0.05)


def comparable(value: Any) -> Any:
    """Take out what must differ: times, the delivery's own id, ids that another service gave out, addresses."""
    if isinstance(value, Mapping):
        return {
            key: comparable(part) for key, part in value.items() if key not in TIMES and key != "delivery"
        }
    if isinstance(value, list | tuple):
        return [comparable(part) for part in value]
    if isinstance(value, str):
        for pattern, mask in _MASKS:
            value = pattern.sub(mask, value)
    return value


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Say where two values differ, a line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [
            line
            for key in keys
            for line in differences(one.get(key, "nothing"), other.get(key, "nothing"), f"{path}.{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [line for at, pair in enumerate(pairs) for line in differences(*pair, f"{path}[{at}]")]
    return [] if one == other else [f"{path}: {one!r} != {other!r}"]
