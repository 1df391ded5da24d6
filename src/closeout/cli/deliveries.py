"""`closeout deliveries`: what GitHub sent, what it started, and how to have it handled again.

A delivery is kept even if nothing matched it, so that `explain` and `replay` work on it later.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeout.cli import options, output, preview, requests
from closeout.cli.commands import Command, Group
from closeout.cli.confirm import confirm
from closeout.core.errors import NotFound

if TYPE_CHECKING:
    from closeout.adapters.ledger.views import Views


@click.group(
    "deliveries",
    cls=Group,
    short_help="List, show and replay deliveries.",
    examples=("closeout deliveries list --limit 20", "closeout deliveries show 12 --payload > closed.json"),
)
def deliveries() -> None:
    """List, show and replay deliveries: the webhook requests that were verified and stored."""


@deliveries.command("list", cls=Command, examples=("closeout deliveries list --json",))
@options.config
@options.db
@options.limit
@options.as_json
def list_(config: Path, db: Path | None, limit: int | None, as_json: bool) -> None:
    """List deliveries, the newest first: all of them, unless --limit cuts the list.

    With --json: [{"id", "guid", "hook", "event", "action", "runs": [...], …}].
    """
    found = [delivery.to_json() for delivery in _views(db, config).deliveries(limit=limit)]
    if as_json:
        output.print_json(found)
        return
    now = time.time()
    output.table(
        ("ID", "EVENT", "REPOSITORY", "RUNS", "AGE", "GUID"),
        [
            (
                str(row["id"]),
                _event(row),
                row["repository"] or "-",
                str(len(row["runs"])),
                output.ago(row["received_at"], now),
                row["guid"],
            )
            for row in found
        ],
    )


@deliveries.command(
    "show",
    cls=Command,
    examples=(
        "closeout deliveries show 12",
        "closeout deliveries show 12 --payload > push.json",
    ),
)
@click.argument("delivery", type=int, metavar="ID")
@options.config
@options.db
@click.option("--payload", is_flag=True, help="Print the payload's JSON and nothing else.")
@options.as_json
def show(delivery: int, config: Path, db: Path | None, payload: bool, as_json: bool) -> None:
    """Show one delivery and the runs that it has; with --payload what it carried."""
    views = _views(db, config)
    row = _find(views, delivery)
    if payload:
        click.echo(views.body(delivery))
    elif as_json:
        output.print_json(row)
    else:
        output.say(
            f"delivery {row['id']}  {_event(row)}, {output.clean(row['repository'] or 'no repository')}"
        )
        output.say(f"  received  {output.moment(row['received_at'])}")
        output.say(f"  guid      {row['guid']}")
        output.say(f"  hook      {row['hook']}")
        output.say(f"  runs      {', '.join(row['runs']) or 'none: no automation matched'}")


@deliveries.command("replay", cls=Command, examples=("closeout deliveries replay 12",))
@click.argument("delivery", type=int, metavar="ID")
@options.config
@options.db
@options.reason
@options.yes
@options.as_json
def replay(
    *, delivery: int, config: Path, db: Path | None, reason: str | None, yes: bool, as_json: bool
) -> None:
    """Match a delivery again with today's configuration, and run what matches as the next attempt.

    Shows the plan first and asks; --yes does neither. Who asked is recorded.
    """
    path = options.existing_ledger(db, config)
    views = _views(db, config)
    row = _find(views, delivery)
    if not yes:
        output.note(f"Delivery {delivery} ({_event(row)}, {row['repository'] or 'no repository'}) would do:")
        preview.show(config, row["event"], views.body(delivery))
    confirm("Replay it?", yes=yes)
    requests.send(path, "replay", str(delivery), reason, done="The replay is asked for.", as_json=as_json)


def _views(db: Path | None, config: Path) -> Views:
    from closeout import wiring

    return wiring.views(options.existing_ledger(db, config))


def _find(views: Views, delivery: int) -> dict[str, Any]:
    found = views.delivery(delivery)
    if found is None:
        raise NotFound(
            f"The ledger has no delivery {delivery}; `closeout deliveries list` shows what it has."
        )
    return found.to_json()


def _event(row: dict[str, Any]) -> str:
    return f"{row['event']} {row['action']}" if row["action"] else str(row["event"])
