"""Deliveries that did not arrive and that patrol left alone: list them, and have one recovered.

Only a person may decide that an old push or comment still counts, so the plan comes before the question, as for a replay.
"""

from __future__ import annotations

import json
import time

from closeout.cli import output, plan, requests
from closeout.cli.confirm import confirm
from closeout.cli.ledger_option import Where
from closeout.core.json_times import with_iso_times
from closeout.patrol.ignored import Ignored
from closeout.stack.table import delivery_id
from closeout.wiring.preview import github_of
from closeout.wiring.recovery import KIND, find, left_alone, named, read

LISTED = "`closeout deliveries list --ignored` shows them."


def show_list(where: Where, limit: int | None, *, as_json: bool) -> None:
    """Print them, the newest first."""
    found = _left_alone(where)[:limit]
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


def note_count(where: Where) -> None:
    """Say how many there are, below the list of all others."""
    count = len(_left_alone(where))
    if count:
        output.note(f"{count} more did not arrive, and patrol ignored them. {LISTED}")


def replay(where: Where, guid: str, reason: str | None, *, yes: bool, as_json: bool) -> None:
    """Show what a delivery would do, ask, and request that the server recovers it. Raises `NotFound` or `NotConfirmed`."""
    each = find(where.patrol_marks, time.time(), guid)
    if not yes:
        about = f"{output.event(each.event, each.action)}, {each.repository or 'no repository'}"
        output.note(
            output.clean(f"Delivery {guid} ({about}), of {output.moment(each.delivered_at)}, would do:")
        )
        payload = read(github_of(where.today.load()), each)
        plan.preview(where.today, each.event, json.dumps(payload).encode())
    confirm("Recover and replay it?", yes=yes)
    requests.send(where, KIND, guid, reason, done="Recovery queued.", as_json=as_json)


def take_in(where: Where, guid: str) -> str:
    """Have a stack's patrol read a delivery from GitHub and store it, without a run; return the delivery's id.

    The command has not the stack's token, and what is stored starts nothing. Raises `NotFound`, or `Unavailable` with what
    kept it from being stored.
    """
    where.today.load()  # what raises here must do so before anything is stored
    marks = where.patrol_marks
    each = named(marks, time.time(), guid)
    if marks.has_delivery(str(each.hook), guid):
        return delivery_id(str(each.hook), guid)
    stored = where.stack.recover(guid)
    output.note(f"Patrol's function read it from GitHub and stored it as {stored}. Nothing has started.")
    return stored


def _left_alone(where: Where) -> list[Ignored]:
    return left_alone(where.patrol_marks, time.time())
