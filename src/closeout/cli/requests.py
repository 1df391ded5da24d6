"""How a command asks the server for something: a row in the ledger, with who and why.

One engine process owns a ledger, so the command line never acts itself; what it wrote waits for the server.
"""

from __future__ import annotations

from pathlib import Path

from closeout.cli import output
from closeout.cli.confirm import who

NO_SERVER = "No server is running on this ledger; it will act when it starts."


def send(path: Path, kind: str, target: str | None, reason: str | None, *, done: str, as_json: bool) -> None:
    """Write the request and say `done`; say too if no server is there to take it."""
    from closeout import wiring

    ledger = wiring.ledger_requests(path)
    by = who()
    ledger.add_request(kind, target, by, reason)
    running = ledger.server_running()
    if as_json:
        output.print_json(
            {"request": kind, "target": target, "by": by, "reason": reason, "server_running": running}
        )
        return
    output.say(done)
    if not running:
        output.note(NO_SERVER)
