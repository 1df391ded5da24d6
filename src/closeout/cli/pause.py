"""`closeout pause` and `closeout resume`: a request in the ledger that stops every destructive call.

It works with and without a running server, and on a stack, since each destructive call reads the ledger's switch
first.
"""

from __future__ import annotations

import click

from closeout.cli import options
from closeout.cli.commands import Command
from closeout.cli.requests import send
from closeout.cli.where import Where, ledger


@click.command(
    "pause",
    cls=Command,
    short_help="Stop destructive calls until `closeout resume`.",
    examples=('closeout pause --reason "the account is being moved"',),
)
@ledger
@options.reason
@options.as_json
def pause(where: Where, reason: str | None, as_json: bool) -> None:
    """Stop every destructive call at its next boundary; runs wait, and their statuses say "paused".

    Deliveries are still received and stored. Who paused and why is recorded.
    """
    send(where, "pause", None, reason, done="Paused: no destructive call will be made.", as_json=as_json)


@click.command(
    "resume",
    cls=Command,
    short_help="Let destructive calls go on after `closeout pause`.",
    examples=("closeout resume",),
)
@ledger
@options.reason
@options.as_json
def resume(where: Where, reason: str | None, as_json: bool) -> None:
    """Let destructive calls go on; waiting runs continue where they stopped, behind every guard."""
    send(where, "resume", None, reason, done="Resumed: destructive calls go on.", as_json=as_json)
