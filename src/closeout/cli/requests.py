"""How a command asks the server for something: a row in the ledger, with who and why.

One engine process owns a ledger, so the command line never acts itself; what it wrote waits for the server.
"""

from __future__ import annotations

import time
from pathlib import Path

from closeout.cli import output
from closeout.cli.confirm import who

NO_SERVER = "No server is running on this ledger; it will act when it starts."
PATIENCE = 3.0
"""Seconds to wait for a running server's word on what became of a request."""


def ask(
    path: Path, kind: str, target: str | None, by: str, reason: str | None, patience: float = PATIENCE
) -> tuple[bool, str | None]:
    """Write the request; give whether a server is there, and its word if it comes within `patience` seconds."""
    from closeout import wiring

    ledger = wiring.ledger_requests(path)
    number = ledger.add_request(kind, target, by, reason)
    running = ledger.server_running()
    outcome = None
    deadline = time.monotonic() + (patience if running else 0.0)
    while outcome is None and time.monotonic() < deadline:
        outcome = ledger.outcome(number)
        time.sleep(0.02)
    return running, outcome


def send(path: Path, kind: str, target: str | None, reason: str | None, *, done: str, as_json: bool) -> None:
    """Write the request and say `done`, with the server's word on it, or that there is no server to take it."""
    by = who()
    running, outcome = ask(path, kind, target, by, reason)
    if as_json:
        output.print_json(
            {
                "request": kind,
                "target": target,
                "by": by,
                "reason": reason,
                "server_running": running,
                "outcome": outcome,
            }
        )
        return
    output.say(f"{done} The server says: {outcome}." if outcome not in (None, "done") else done)
    if not running:
        output.note(NO_SERVER)
