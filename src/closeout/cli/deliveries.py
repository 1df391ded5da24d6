"""`closeout deliveries`: what GitHub sent, what it started, and how to have it handled again.

A delivery is kept even if nothing matched it, so that `explain` and `replay` work on it later.
"""

from __future__ import annotations

import time
from typing import Any

import click

from closeout.cli import ignored, options, output, plan, requests, suggestions
from closeout.cli.commands import group
from closeout.cli.confirm import confirm
from closeout.cli.ledger_option import Where, ledger
from closeout.core.errors import NotFound, UsageError
from closeout.core.json_times import with_iso_times
from closeout.ledger import filters


@group(
    "deliveries", "closeout deliveries list --limit 20", "closeout deliveries show 12 --payload > closed.json"
)
def deliveries() -> None:
    """List, show and replay deliveries: the webhooks that were verified and stored, and what was recovered."""


@deliveries.command(
    "list", examples=("closeout deliveries list --json", "closeout deliveries list --ignored")
)
@ledger
@options.filters
@click.option("--event", metavar="NAME", help="Only deliveries of this event.")
@click.option("--guid", metavar="GUID", help="Only deliveries of the event with this GUID.")
@options.limit
@click.option(
    "--ignored",
    "left_alone",
    is_flag=True,
    help="List instead the deliveries that did not arrive and that patrol ignored.",
)
@options.as_json
def list_(*, where: Where, limit: int | None, left_alone: bool, as_json: bool, **given: str | None) -> None:
    """List deliveries, the newest first. --limit shortens the list.

    Options narrow the list together. A time is 2026-03-14, 2026-03-14T09:26Z (UTC unless it says otherwise), or a
    duration such as 2d: two days ago.

    HEARD says how closeout learned of a delivery: by a webhook, or from GitHub's API. With --json: [{"id", "guid",
    "hook", "event", "action", "heard", "closing", "runs": [...], …}].

    --ignored lists deliveries of the last three days that did not arrive and that patrol does not recover by
    itself, with the reason. With --json: [{"delivered_at", "hook", "guid", "event", "action", "repository",
    "reason"}].
    """
    if left_alone and options.given(given):
        raise UsageError("--ignored lists what did not arrive, and takes no filter.")
    if left_alone:
        ignored.show_list(where, limit, as_json=as_json)
        return
    wanted = filters.delivery_filter(options.given(given), time.time())
    found = [delivery.to_json() for delivery in where.views.deliveries(limit, wanted)]
    if as_json:
        output.print_json([with_iso_times(row) for row in found])
        return
    now = time.time()
    rows = [
        (
            str(row["id"]),
            output.event(row["event"], row["action"]),
            row["heard"],
            row["repository"] or "-",
            str(len(row["runs"])),
            output.ago(row["received_at"], now),
            row["guid"],
        )
        for row in found
    ]
    headings = ("ID", "EVENT", "HEARD", "REPOSITORY", "RUNS", "AGE", "GUID")
    # On a stack the GUID is part of the id.
    count = 6 if any(isinstance(row["id"], str) for row in found) else 7
    output.table(headings[:count], [row[:count] for row in rows], shrink=(1, 3, 6)[: count - 4])
    ignored.note_count(where)


@deliveries.command(
    "show",
    examples=(
        "closeout deliveries show 12",
        "closeout deliveries show 12 --payload > push.json",
    ),
)
@click.argument("delivery", metavar="ID", shell_complete=suggestions.deliveries)
@ledger
@click.option("--payload", is_flag=True, help="Print the payload's JSON and nothing else.")
@options.as_json
def show(delivery: str, where: Where, payload: bool, as_json: bool) -> None:
    """Show one delivery and the runs that it started; --payload prints its payload."""
    row = _find(where, delivery)
    if payload:
        output.print_document(where.views.body(row["id"]))
    elif as_json:
        output.print_json(with_iso_times(row))
    else:
        output.say(output.clean(f"delivery {row['id']}  {_about(row)}"))
        output.say(f"  received  {output.moment(row['received_at'])}")
        output.say(f"  guid      {row['guid']}")
        output.say(f"  hook      {row['hook']}")
        output.say(f"  heard by  {row['heard']}")
        runs = ", ".join(row["runs"]) or "none: no automation matched"
        output.say(output.wrapped(runs, "  runs      ", "            "))
        for run in filter(None, map(where.views.run, row["runs"])):
            if run.verdict == "skipped":
                said = f"{run.automation} was skipped: {run.summary}"
                output.say(output.wrapped(output.clean(said), "            ", "              "))


@deliveries.command(
    "replay",
    examples=(
        "closeout deliveries replay 12",
        "closeout deliveries replay 5f3a6c10-0000-11f0-8b2c-3f1d0a9e7b42",
    ),
)
@click.argument("delivery", metavar="ID", shell_complete=suggestions.deliveries)
@ledger
@options.reason
@options.yes
@options.as_json
def replay(*, delivery: str, where: Where, reason: str | None, yes: bool, as_json: bool) -> None:
    """Match a delivery again with the current configuration, and run what matches as the next attempt.

    Shows the plan and asks first, unless you give --yes. The ledger records who asked. With --stack, the current
    configuration is the deployed one; a file that you name with --config must be equal to it.

    ID is a delivery's id, or the GUID of one that `deliveries list --ignored` shows: the server then reads that delivery
    from GitHub and stores it as recovered. On a stack, patrol's function reads and stores it before the plan is shown, and
    starts nothing; without your confirmation it stays in the list of deliveries.
    """
    if "-" in delivery and not where.on_stack:
        ignored.replay(where, delivery, reason, yes=yes, as_json=as_json)
        return
    if "-" in delivery:
        delivery = ignored.take_in(where, delivery)
    row = _find(where, delivery)
    today = where.today
    if not yes:
        output.note(output.clean(f"Delivery {delivery} ({_about(row)}) would do{today.told}:"))
        plan.preview(today, row["event"], where.views.body(row["id"]))
    confirm("Replay it?", yes=yes)
    requests.send(where, "replay", str(row["id"]), reason, done="Replay queued.", as_json=as_json)


def _find(where: Where, delivery: str) -> dict[str, Any]:
    found = where.views.delivery(where.delivery_id(delivery))
    if found is None:
        raise NotFound(
            f"The ledger has no delivery {delivery}; `closeout deliveries list` shows what it has."
        )
    return found.to_json()


def _about(row: dict[str, Any]) -> str:
    return f"{output.event(row['event'], row['action'])}, {row['repository'] or 'no repository'}"
