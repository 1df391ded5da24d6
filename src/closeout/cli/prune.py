"""`closeout prune`: retention. What is old and finished goes; what still has something to do never does.

The ledger has one writer. With a server running, the request is left for it; without one, the command opens the
ledger itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import command
from closeout.cli.requests import answer, by_the_writer

PATIENCE = 300.0
"""Seconds to wait for the server: a large ledger is pruned in small pieces between deliveries."""


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
    outcome = by_the_writer(
        path, "prune", str(older_than), lambda ledger: json.dumps(ledger.prune(older_than)), PATIENCE
    )
    counts = answer("prune", outcome)
    if as_json:
        output.print_json(counts)
    else:
        told = [f"{count} {name}" for name, count in counts.items()]
        output.say(f"Removed {', '.join(told)}.")
