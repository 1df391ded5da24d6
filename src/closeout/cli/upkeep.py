"""`closeout pause`, `resume` and `prune`: the ledger's switch that stops every destructive call, and its retention.

Pausing works with and without a running server, and on a stack, since each destructive call reads the switch first. Pruning
writes, and a ledger has one writer: a running server does it, or else the command itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import command
from closeout.cli.ledger_option import SelectedLedger, ledger
from closeout.cli.requests import answer, send, via_writer

PATIENCE = 300.0
"""Seconds to wait for the server: a large ledger is pruned in small pieces between deliveries."""


@command("pause", 'closeout pause --reason "the account is being moved"')
@ledger
@options.reason
@options.as_json
def pause(selected: SelectedLedger, reason: str | None, as_json: bool) -> None:
    """Stop every destructive call before it begins. Runs wait, and their statuses say "paused".

    closeout still receives and stores deliveries. The ledger records who paused and why.
    """
    send(selected, "pause", None, reason, done="Paused: closeout makes no destructive call.", as_json=as_json)


@command("resume", "closeout resume")
@ledger
@options.reason
@options.as_json
def resume(selected: SelectedLedger, reason: str | None, as_json: bool) -> None:
    """Allow destructive calls again. Waiting runs continue where they stopped, and every guard still applies."""
    send(
        selected,
        "resume",
        None,
        reason,
        done="Resumed: destructive calls are allowed again.",
        as_json=as_json,
    )


@command("prune", "closeout prune --older-than 90d")
@click.option(
    "--older-than", callback=options.age, required=True, metavar="AGE", help="90d, 12h, 30m or 45s."
)
@options.config
@options.db
@options.as_json
def prune(older_than: float, config: Path, db: Path | None, as_json: bool) -> None:
    """Remove runs that finished longer ago than AGE, their logs, and deliveries without other runs.

    closeout no longer recognizes a removed delivery as a duplicate. GitHub can redeliver for three days, so keep
    more than that.
    """
    path = options.existing_ledger(db, config)
    outcome = via_writer(
        path, "prune", str(older_than), lambda ledger: json.dumps(ledger.prune(older_than)), PATIENCE
    )
    counts = answer("prune", outcome)
    if as_json:
        output.print_json(counts)
    else:
        parts = [f"{count} {name}" for name, count in counts.items()]
        output.say(f"Removed {', '.join(parts)}.")
