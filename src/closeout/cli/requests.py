"""How a command asks for something: a request in the ledger, with the person's name and the reason.

One engine process owns a ledger's file, so the command line never changes one itself; its request waits for the server. On
a stack the request is carried out at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closeout.adapters.clock import SystemClock
from closeout.cli import output
from closeout.cli.confirm import who
from closeout.cli.ledger_option import SelectedLedger
from closeout.core.errors import LedgerInUse, Unavailable
from closeout.ledger import sqlite
from closeout.ports import Requests

NO_SERVER = "No server is running on this ledger; the next one that starts takes the request."
PATIENCE = 3.0
"""Seconds to wait until a running server answers a request."""
POLL = 0.1


def ask(
    ledger: Requests, kind: str, target: str | None, by: str, reason: str | None
) -> tuple[bool, str | None]:
    """Write the request; return whether a server runs, and its answer if that comes in time."""
    number = ledger.add_request(kind, target, by, reason)
    running = ledger.server_running()
    outcome = None
    deadline = time.monotonic() + (PATIENCE if running else 0.0)
    while outcome is None and time.monotonic() < deadline:
        outcome = ledger.outcome(number)
        time.sleep(0.02)
    return running, outcome


def via_writer(
    path: Path, kind: str, target: str, alone: Callable[[sqlite.Ledger], str], patience: float
) -> str:
    """Return the result of `alone` on the ledger; if a server holds it, write a request and return the server's answer.

    Raises `Unavailable` if the server does not answer within `patience` seconds.
    """
    try:
        with sqlite.Ledger(path, clock=SystemClock()) as ledger:
            return alone(ledger)
    except LedgerInUse:
        return _word(path, kind, target, patience)


def via_server(ledger: Path, kind: str, patience: float) -> Any:
    """Ask the server that holds a ledger, and wait for its answer, which is JSON. Raises `Unavailable`."""
    return answer(kind, _word(ledger, kind, None, patience))


def _word(ledger: Path, kind: str, target: str | None, patience: float) -> str:
    """Write a request to the server that holds a ledger, and wait for its answer. Raises `Unavailable`."""
    requests = sqlite.Requests(ledger)
    return wait_for(requests, requests.add_request(kind, target, who(), None), kind, patience)


def wait_for(requests: Requests, number: int, kind: str, patience: float) -> str:
    """Return the outcome of a request. Raises `Unavailable` if the server stops first, or is not done within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        running = requests.server_running()  # read first: a server may store the outcome and then stop
        outcome = requests.outcome(number)
        if outcome is not None:
            return outcome
        if time.monotonic() > deadline:
            raise Unavailable(f"The server was asked for a {kind} and is still working.")
        if not running:
            raise Unavailable(f"The server stopped before its {kind} ended; the next one takes the request.")
        time.sleep(POLL)


def answer(kind: str, outcome: str) -> Any:
    """Decode a server's answer from JSON. Raises `Unavailable` if it is a sentence, which says what failed."""
    try:
        return json.loads(outcome)
    except ValueError:
        raise Unavailable(f"The server could not carry out the {kind}; it says: {outcome}.") from None


def send(
    selected: SelectedLedger, kind: str, target: str | None, reason: str | None, *, done: str, as_json: bool
) -> None:
    """Write the request and say `done`, with the answer to it, or that there is no server to take it."""
    by = who()
    running, outcome = ask(selected.requests(kind), kind, target, by, reason)
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
    said = (
        output.clean(f" The {'stack' if selected.on_stack else 'server'} says: {outcome}.")
        if outcome not in (None, "done")
        else ""
    )
    output.say(done + said)
    if not running:
        output.note(NO_SERVER)
