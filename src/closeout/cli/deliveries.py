"""`closeout deliveries`: what GitHub sent, what it started, and how to handle it again.

A delivery is kept even if nothing matched it, so that `explain` and `replay` work on it later. Only a person can decide that
an old push or comment that did not arrive still counts, so `replay` shows the plan of one of those, too, before it asks.
"""

from __future__ import annotations

import json
import time
from typing import Any

import click

from closeout.cli import options, output, plan, requests, suggestions
from closeout.cli.commands import group
from closeout.cli.confirm import confirm
from closeout.cli.ledger_option import SelectedLedger, ledger
from closeout.core.errors import NotFound, UsageError
from closeout.core.json_times import with_iso_times
from closeout.ledger import filters
from closeout.stack.table import delivery_id
from closeout.wiring import recovery
from closeout.wiring.preview import github_of


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
    is_flag=True,
    help="List instead the deliveries that did not arrive and that patrol ignored.",
)
@options.as_json
def list_(
    *, selected: SelectedLedger, limit: int | None, ignored: bool, as_json: bool, **given: str | None
) -> None:
    """List deliveries, the newest first. --limit shortens the list.

    Options narrow the list together. A time is 2026-03-14, 2026-03-14T09:26Z (UTC unless it says otherwise), or a
    duration such as 2d: two days ago.

    HEARD says how closeout learned of a delivery: by a webhook, or from GitHub's API. With --json: [{"id", "guid",
    "hook", "event", "action", "heard", "closing", "runs": [...], …}].

    --ignored lists deliveries of the last three days that did not arrive and that patrol does not recover by
    itself, with the reason. With --json: [{"delivered_at", "hook", "guid", "event", "action", "repository",
    "reason"}].
    """
    if ignored and options.given(given):
        raise UsageError("--ignored lists what did not arrive, and takes no filter.")
    if ignored:
        _show_ignored(selected, limit, as_json=as_json)
        return
    wanted = filters.delivery_filter(options.given(given), time.time())
    found = [delivery.to_json() for delivery in selected.views.deliveries(limit, wanted)]
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
    shown = 6 if any(isinstance(row["id"], str) for row in found) else 7
    output.table(headings[:shown], [row[:shown] for row in rows], shrink=(1, 3, 6)[: shown - 4])
    count = len(recovery.left_alone(selected.patrol_marks, time.time()))
    if count:
        listed = "`closeout deliveries list --ignored` shows them."
        output.note(f"{count} more did not arrive, and patrol ignored them. {listed}")


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
def show(delivery: str, selected: SelectedLedger, payload: bool, as_json: bool) -> None:
    """Show one delivery and the runs that it started; --payload prints its payload."""
    row = _find(selected, delivery)
    if payload:
        output.print_document(selected.views.body(row["id"]))
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
        for run in filter(None, map(selected.views.run, row["runs"])):
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
def replay(*, delivery: str, selected: SelectedLedger, reason: str | None, yes: bool, as_json: bool) -> None:
    """Match a delivery again with the current configuration, and run what matches as the next attempt.

    Shows the plan and asks first, unless you give --yes. The ledger records who asked. With --stack, the current
    configuration is the deployed one; a file that you name with --config must be equal to it.

    ID is a delivery's id, or the GUID of one that `deliveries list --ignored` shows: the server then reads that delivery
    from GitHub and stores it as recovered. On a stack, patrol's function reads and stores it before the plan is shown, and
    starts nothing; without your confirmation it stays in the list of deliveries.
    """
    if "-" in delivery and not selected.on_stack:
        _recover(selected, delivery, reason, yes=yes, as_json=as_json)
        return
    if "-" in delivery:
        delivery = _stored_by_patrol(selected, delivery)
    row = _find(selected, delivery)
    current = selected.current_config
    if not yes:
        output.note(output.clean(f"Delivery {delivery} ({_about(row)}) would do{current.description}:"))
        plan.preview(current, row["event"], selected.views.body(row["id"]))
    confirm("Replay it?", yes=yes)
    requests.send(selected, "replay", str(row["id"]), reason, done="Replay queued.", as_json=as_json)


def _show_ignored(selected: SelectedLedger, limit: int | None, *, as_json: bool) -> None:
    """Print what did not arrive and patrol left alone, the newest first."""
    found = recovery.left_alone(selected.patrol_marks, time.time())[:limit]
    if as_json:
        output.print_json([with_iso_times(each.to_json()) for each in found])
        return
    now = time.time()
    rows = [
        (
            output.event(each.event, each.action),
            each.repository or "-",
            output.ago(each.delivered_at, now),
            each.guid,
            each.reason,
        )
        for each in found
    ]
    output.table(("EVENT", "REPOSITORY", "AGE", "GUID", "WHY"), rows, shrink=(1, 4, 0))


def _recover(selected: SelectedLedger, guid: str, reason: str | None, *, yes: bool, as_json: bool) -> None:
    """Show what a delivery would do, ask, and request that the server recovers it. Raises `NotFound` or `NotConfirmed`."""
    each = recovery.find(selected.patrol_marks, time.time(), guid)
    if not yes:
        text = f"Delivery {guid} ({_about(each._asdict())}), of {output.moment(each.delivered_at)}, would do:"
        output.note(output.clean(text))
        payload = recovery.read(github_of(selected.current_config.load()), each)
        plan.preview(selected.current_config, each.event, json.dumps(payload).encode())
    confirm("Recover and replay it?", yes=yes)
    requests.send(selected, recovery.KIND, guid, reason, done="Recovery queued.", as_json=as_json)


def _stored_by_patrol(selected: SelectedLedger, guid: str) -> str:
    """Have a stack's patrol read a delivery from GitHub and store it, without a run; return the delivery's id.

    The command does not have the stack's token. Storing starts nothing. Raises `NotFound`, or `Unavailable` with the reason
    why it is not stored.
    """
    selected.current_config.load()  # what raises here must do so before anything is stored
    marks = selected.patrol_marks
    each = recovery.named(marks, time.time(), guid)
    if marks.has_delivery(str(each.hook), guid):
        return delivery_id(str(each.hook), guid)
    stored = selected.stack.recover(guid)
    output.note(f"Patrol's function read it from GitHub and stored it as {stored}. Nothing has started.")
    return stored


def _find(selected: SelectedLedger, delivery: str) -> dict[str, Any]:
    found = selected.views.delivery(selected.delivery_id(delivery))
    if found is None:
        raise NotFound(
            f"The ledger has no delivery {delivery}; `closeout deliveries list` shows what it has."
        )
    return found.to_json()


def _about(row: dict[str, Any]) -> str:
    return f"{output.event(row['event'], row['action'])}, {row['repository'] or 'no repository'}"
