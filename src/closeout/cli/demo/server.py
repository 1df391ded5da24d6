"""The real `closeout serve` of the demo: started, killed, started again, and read through its ledger.

The demo sees only what a user can see: HTTP answers, and the ledger's views.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from closeout.cli.demo.processes import Answer, Child, Children, request
from closeout.ledger.sqlite import Views

PATIENCE = 25.0
"""Seconds that a run of the demo may take; after that its check fails."""
ABSENT: dict[str, Any] = {"id": "none", "state": "absent", "verdict": None, "steps": []}
"""A run that does not exist."""


class Server:
    """One `closeout serve` on one ledger, over several starts."""

    def __init__(self, children: Children, config: Path, db: Path, env: dict[str, str]) -> None:
        self._children = children
        self._config = config
        self._env = env
        self.db = db
        self.url = ""
        self._child: Child | None = None

    def start(self) -> float:
        """Start it, on the same port as before; return the seconds until it listened."""
        port = self.url.rpartition(":")[2] or "0"
        began = time.monotonic()
        arguments = ("serve", "--config", str(self._config), "--db", str(self.db), "--port", port)
        self._child = self._children.start("closeout", *arguments, env=self._env)
        self.url = self._child.url()
        return time.monotonic() - began

    def kill(self) -> int:
        """`kill -9`; return the pid that it had."""
        assert self._child is not None
        self._child.kill()
        return self.pid

    @property
    def pid(self) -> int:
        """The process id since its last start."""
        assert self._child is not None
        return self._child.pid

    @property
    def webhook(self) -> str:
        """The address that a hook is given."""
        return f"{self.url}/webhook"

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a request to the webhook."""
        return request("POST", self.webhook, body, headers)

    def acknowledged(self) -> tuple[int, float]:
        """Return how many deliveries it acknowledged so far, and the seconds that this took, as it measured them."""
        text = request("GET", f"{self.url}/metrics").text
        count = re.search(r"^closeout_ack_seconds_count (\S+)", text, re.MULTILINE)
        seconds = re.search(r"^closeout_ack_seconds_sum (\S+)", text, re.MULTILINE)
        return (int(count[1]), float(seconds[1])) if count and seconds else (0, 0.0)

    # --- the ledger -----------------------------------------------------------------------------------

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as `closeout runs show --json` does."""
        found = Views(self.db).run(run_id)
        return found.to_json() if found is not None else ABSENT

    def runs(self) -> list[dict[str, Any]]:
        """Return every run."""
        return [run.to_json() for run in Views(self.db).runs()]

    def wait_for_run(self, number: int) -> dict[str, Any]:
        """Return the run of a pull request as soon as there is one, or `ABSENT` if there is none in time."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = next((run for run in self.runs() if run["number"] == number), None)
            if found is not None:
                return found
            time.sleep(0.1)
        return ABSENT

    def logs(self, run_id: str, after: int = 0) -> list[dict[str, Any]]:
        """Return a run's log lines after that one."""
        return [line.to_json() for line in Views(self.db).logs(run_id, after=after)]

    def operations(self, run_id: str) -> dict[str, tuple[Any, ...]]:
        """Return the finished operations of a run's latest attempt: name → (state, tries, ended at)."""
        rows = Views(self.db).operations(run_id)
        return {row.name: (row.state, row.tries, row.ended_at) for row in rows if row.ended_at is not None}
