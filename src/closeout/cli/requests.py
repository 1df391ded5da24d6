"""How a command asks for something: a request in the ledger, with who and why.

One engine process owns a ledger's file, so there the command line never acts itself; what it wrote waits for the
server. On a stack the request is carried out at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from closeout.cli import output
from closeout.cli.confirm import who
from closeout.cli.ledger_option import Where

if TYPE_CHECKING:
    from closeout.ports import Requests

NO_SERVER = "No server is running on this ledger; the next one that starts takes the request."
PATIENCE = 3.0
"""Seconds to wait for a running server's word on what became of a request."""


def ask(
    ledger: Requests, kind: str, target: str | None, by: str, reason: str | None, patience: float = PATIENCE
) -> tuple[bool, str | None]:
    """Write the request; return whether a server is there, and its word if it comes within `patience` seconds."""
    number = ledger.add_request(kind, target, by, reason)
    running = ledger.server_running()
    outcome = None
    deadline = time.monotonic() + (patience if running else 0.0)
    while outcome is None and time.monotonic() < deadline:
        outcome = ledger.outcome(number)
        time.sleep(0.02)
    return running, outcome


def send(
    where: Where, kind: str, target: str | None, reason: str | None, *, done: str, as_json: bool
) -> None:
    """Write the request and say `done`, with the answer to it, or that there is no server to take it."""
    by = who()
    running, outcome = ask(where.requests(kind), kind, target, by, reason)
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
    said = output.clean(f" {where.carrier} says: {outcome}.") if outcome not in (None, "done") else ""
    output.say(done + said)
    if not running:
        output.note(NO_SERVER)
