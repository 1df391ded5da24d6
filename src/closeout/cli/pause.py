"""`closeout pause` and `closeout resume`: a request in the ledger that stops every destructive call.

It works with and without a running server, since each destructive call reads the ledger's switch first.
"""

from __future__ import annotations

from pathlib import Path

import click

from closeout.cli import options
from closeout.cli.commands import Command
from closeout.cli.requests import send


@click.command(
    "pause",
    cls=Command,
    short_help="Stop destructive calls until `closeout resume`.",
    examples=('closeout pause --reason "the account is being moved"',),
)
@options.config
@options.db
@options.reason
@options.as_json
def pause(config: Path, db: Path | None, reason: str | None, as_json: bool) -> None:
    """Stop every destructive call at its next boundary; runs wait, and their statuses say "paused".

    Deliveries are still received and stored. Who paused and why is recorded.
    """
    path = options.existing_ledger(db, config)
    send(path, "pause", None, reason, done="Paused: no destructive call will be made.", as_json=as_json)


@click.command(
    "resume",
    cls=Command,
    short_help="Let destructive calls go on after `closeout pause`.",
    examples=("closeout resume",),
)
@options.config
@options.db
@options.reason
@options.as_json
def resume(config: Path, db: Path | None, reason: str | None, as_json: bool) -> None:
    """Let destructive calls go on; waiting runs continue where they stopped, behind every guard."""
    path = options.existing_ledger(db, config)
    send(path, "resume", None, reason, done="Resumed: destructive calls go on.", as_json=as_json)
