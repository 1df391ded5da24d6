"""`closeout orphans`: what exists under the names of closed pull requests; the audit before adoption and once a month.

It reads only. What is not an orphan beyond doubt is listed as unknown, with its reason.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from closeout.cli import exits, options, output
from closeout.cli.commands import Command

if TYPE_CHECKING:
    from closeout.orphans.audit import Report, Row


@click.command(
    "orphans",
    cls=Command,
    short_help="Find what closed pull requests left behind; change nothing.",
    examples=("closeout orphans", "closeout orphans --json > orphans.json"),
)
@options.config
@options.db
@options.as_json
def orphans(config: Path, db: Path | None, as_json: bool) -> int:
    """List the resources that exist under the names of closed pull requests. Reads only.

    A resource is an orphan only if a step gives exactly its name for a pull request that GitHub calls closed, if the
    automation's triggers and conditions match, and if it was created while the pull request was open, or within a day
    after. What belongs to an open pull request is counted; everything else is unknown, with the reason. `closeout
    check` says which steps can be audited. If the ledger is there, a pull request with an unfinished run is left out of
    the orphans.

    Exit code 1 if there are orphans, 0 if there are none, 4 if AWS or GitHub could not be asked for some of it. With
    --json: {"orphans": [{"resource", "repository", "pull_request", "automation", "created", "age_seconds"}],
    "unknown": [{"resource", "reason"}]}.
    """
    from closeout.actions.registry import builtin
    from closeout.config.load import load
    from closeout.wiring.orphans import audit

    loaded = load(config, builtin())
    ledger = options.existing_ledger(db, config) if db is not None else options.ledger_path(None, config)
    now = time.time()
    report = audit(loaded, ledger if ledger.exists() else None, now, output.note)
    if as_json:
        output.print_json(
            {
                "orphans": [row.to_json(now) for row in report.of("orphan")],
                "unknown": [{"resource": row.resource, "reason": row.reason} for row in report.of("unknown")],
            }
        )
    else:
        _show(report, now)
    for error in report.errors:
        output.note(output.wrapped(f"Not asked: {error}"))
    if report.errors:
        return exits.UNAVAILABLE
    return exits.FAILED if report.of("orphan") else exits.OK


def _show(report: Report, now: float) -> None:
    """Print a table of what is an orphan, and the reasons of what is unknown below."""
    found = report.of("orphan")
    if found:
        output.table(
            ("RESOURCE", "PULL REQUEST", "STATE", "AUTOMATION", "CREATED", "AGE"),
            [_cells(row, now) for row in found],
            shrink=(0, 1, 3),
        )
    for row in report.of("unknown"):
        output.say(
            output.wrapped(f"unknown: {output.clean(row.resource)}: {output.clean(row.reason)}", "", "  ")
        )
    output.say(
        f"{_count(len(found), 'orphan')}, {len(report.of('unknown'))} unknown, {len(report.of('open'))} of open pull requests."
    )


def _cells(row: Row, now: float) -> tuple[str, ...]:
    created = time.strftime("%Y-%m-%d", time.localtime(row.created)) if row.created else "-"
    return (
        row.resource,
        f"{row.repository}#{row.pull_request}",
        "closed",
        row.automation,
        created,
        output.ago(row.created, now),
    )


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
