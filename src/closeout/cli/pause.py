"""`closeout pause` and `closeout resume`: a request in the ledger that stops every destructive call.

It works with and without a running server, and on a stack, since each destructive call reads the ledger's switch
first.
"""

from __future__ import annotations

from closeout.cli import options
from closeout.cli.commands import command
from closeout.cli.ledger_option import Where, ledger
from closeout.cli.requests import send


@command("pause", 'closeout pause --reason "the account is being moved"')
@ledger
@options.reason
@options.as_json
def pause(where: Where, reason: str | None, as_json: bool) -> None:
    """Stop every destructive call before it begins. Runs wait, and their statuses say "paused".

    closeout still receives and stores deliveries. The ledger records who paused and why.
    """
    send(where, "pause", None, reason, done="Paused: closeout makes no destructive call.", as_json=as_json)


@command("resume", "closeout resume")
@ledger
@options.reason
@options.as_json
def resume(where: Where, reason: str | None, as_json: bool) -> None:
    """Allow destructive calls again. Waiting runs continue where they stopped, and every guard still applies."""
    send(where, "resume", None, reason, done="Resumed: destructive calls are allowed again.", as_json=as_json)
