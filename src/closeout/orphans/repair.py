"""Patrol's handling of orphans: report them, or start a few runs; above the limit start none and ask a person.

A tool that deletes on its own initiative should begin small. After an incomplete audit nothing is started, because the number
that is compared with the limit would be too low.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from closeout.core.errors import CloseoutError
from closeout.orphans.audit import Report, Row, Target

Begun = Callable[[Row], bool]
"""Returns whether patrol had begun, for the automation and the repository, when the pull request was closed."""
Start = Callable[[Target], tuple[bool, str]]
"""Starts the run that cleans up; returns whether it did, and a sentence or the execution. Raises `CloseoutError`."""


class RepairReport(NamedTuple):
    """The orphans that a patrol found and handled. `notes` are for people; `errors` name what could not be asked or started."""

    found: int
    started: int
    unknown: int
    notes: tuple[str, ...]
    errors: tuple[str, ...]
    kept: tuple[Mapping[str, Any], ...] = ()
    """The first `MOST_KEPT` orphans and unknown resources, as the pages show them until the next audit."""


MOST_KEPT, MOST_TEXT = 200, 300
"""Rows of a state, and characters of a reason: together they are one item of the table on AWS, of 400 KB at most."""


def repair(
    report: Report, modes: Mapping[str, str], limit: int, *, begun: Begun, start: Start
) -> RepairReport:
    """Start runs for automations in mode `repair`, if they are no more than `limit`; report everything that was found.

    Pull requests that were closed before patrol began are left to a person.
    """
    orphans, unknown = report.of("orphan"), report.of("unknown")
    notes = [f"{row.resource} was left behind by {row.repository}#{row.pull_request}" for row in orphans]
    errors = list(report.errors)
    owned = [row for row in orphans if modes.get(row.automation) == "repair"]
    recent = {row.target for row in owned if begun(row)}
    targets = tuple(target for target in report.targets() if target in recent)
    old = {row.target for row in owned} - recent
    if old:
        notes.append(
            f"patrol starts nothing for {len(old)} of them, closed before it began: use `closeout orphans --clean`"
        )
    notes += [
        f"{target} is not cleaned up: its run would also delete something that is not an orphan"
        for target in recent & report.spared
    ]
    started = 0
    if targets and errors:
        notes.append("nothing was started for orphans, because the audit could not ask for all of it")
    elif len(targets) > limit:
        notes.append(
            f"{len(targets)} runs would clean up orphans, and the limit is {limit}: none was started. Look at them with"
            " `closeout orphans`, and start them with `closeout orphans --clean`"
        )
    else:
        for target in targets:
            try:
                starts, message = start(target)
            except CloseoutError as error:
                errors.append(error.message)
                continue
            started += starts
            notes.append(f"{target}: {message}")
    kept = tuple(_kept(row) for row in (*orphans[:MOST_KEPT], *unknown[:MOST_KEPT]))
    return RepairReport(len(orphans), started, len(unknown), tuple(notes), tuple(errors), kept)


def _kept(row: Row) -> Mapping[str, Any]:
    return {
        "resource": row.resource,
        "state": row.state,
        "reason": row.reason[:MOST_TEXT],
        "repository": row.repository,
        "pull_request": row.pull_request,
        "automation": row.automation,
        "created": row.created,
    }
