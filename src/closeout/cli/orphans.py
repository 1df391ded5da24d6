"""`closeout orphans`: find what closed pull requests left behind, before you adopt closeout and once a month.

A resource that is not certainly an orphan is listed as unknown, with the reason. The audit reads only; with `--clean` it asks
the server or the stack for runs, after the plan and a confirmation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from closeout.cli import exits, options, output, plan, requests
from closeout.cli.commands import command
from closeout.cli.confirm import confirm, who
from closeout.cli.ledger_option import SelectedLedger, ledger
from closeout.config.load import Loaded
from closeout.orphans.audit import Report, Row, Target
from closeout.wiring.cleaning import KIND
from closeout.wiring.orphans import audit
from closeout.wiring.preview import Planner


@command(
    "orphans",
    "closeout orphans",
    "closeout orphans --json > orphans.json",
    "closeout orphans --clean --limit 3",
)
@ledger
@click.option("--clean", is_flag=True, help="Start a run for each orphan, after the plan and a confirmation.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="With --clean: at most N runs, for the oldest orphans.",
)
@options.reason
@options.yes
@options.as_json
def orphans(
    *, selected: SelectedLedger, clean: bool, limit: int, reason: str | None, yes: bool, as_json: bool
) -> int:
    """List the resources that exist under the names of closed pull requests. Reads only, unless you give --clean.

    A resource is an orphan only if a step makes exactly its name for a pull request that GitHub calls closed, if the
    automation's triggers and conditions match, and if it was created while the pull request was open, or before the
    automation's last `recheck`. Resources of open pull requests are counted; all others are unknown, with the reason.
    `closeout check` says which steps can be audited. If there is a ledger, resources of a pull request with an unfinished
    run are not called orphans. With --stack, the configuration is the deployed one, and you list with your own rights.

    --clean shows the plans of the oldest orphans, asks, and leaves a request in the ledger for each. The server, or the
    stack's function for patrol, reads the pull request again and starts one run, of the orphan's automation only; the run
    makes its own plan and checks everything again.

    Exit code 1 if there are orphans, 0 if there are none, 4 if AWS or GitHub did not answer everything. With --json: {"orphans": [{"resource", "repository", "pull_request", "automation", "created", "age_seconds"}],
    "unknown": [{"resource", "reason"}]}; --clean adds "requests": [{"target", "outcome"}].
    """
    loaded, now = selected.current_config.load(), time.time()
    if clean and not selected.on_stack:
        _ = selected.path  # raises if there is no ledger that could take the requests
    report = audit(loaded, selected.views_if_any, now, output.note)
    if not as_json:
        _show(report, now)
    for error in report.errors:
        output.note(output.wrapped(f"Not asked: {error}"))
    asked = _clean(selected, loaded, report, limit, reason, yes=yes) if clean else []
    if as_json:
        content: dict[str, Any] = {
            "orphans": [row.to_json(now) for row in report.of("orphan")],
            "unknown": [{"resource": row.resource, "reason": row.reason} for row in report.of("unknown")],
        }
        output.print_json(content | ({"requests": asked} if clean else {}))
    else:
        for row in asked:
            output.say(output.clean(f"{row['target']}: {row['outcome'] or 'queued'}"))
    if report.errors:
        return exits.UNAVAILABLE
    return exits.FAILED if report.of("orphan") else exits.OK


def _clean(
    selected: SelectedLedger, loaded: Loaded, report: Report, limit: int, reason: str | None, *, yes: bool
) -> list[dict[str, str | None]]:
    """Show the plans, ask, and request a run for each of the oldest; return the requests with their outcomes.

    Raises `NotConfirmed`, or the error of a pull request that cannot be read for its plan: then nothing is requested.
    """
    targets = report.targets()
    for target in sorted({row.target for row in report.of("orphan")} & report.spared):
        output.note(
            output.clean(f"{target} is left out: its run would also delete something that is not an orphan.")
        )
    chosen = targets[:limit]
    if not chosen:
        return []
    if len(chosen) < len(targets):
        output.note(f"{len(targets)} runs would clean up; the limit is {limit}: the oldest are first.")
    if not yes:
        _show_plans(loaded, chosen)
    confirm(f"Start {_count(len(chosen), 'run')}?", yes=yes)
    by, asked = who(), selected.requests(KIND)
    found: list[dict[str, str | None]] = []
    for target in chosen:
        running, outcome = requests.ask(asked, KIND, str(target), by, reason)
        found.append({"target": str(target), "outcome": outcome})
    if not running:
        output.note(requests.NO_SERVER)
    return found


def _show_plans(loaded: Loaded, targets: Sequence[Target]) -> None:
    plans = Planner(loaded)
    for target in targets:
        output.note(output.clean(f"{target.repository}#{target.number} would do:"))
        plan.show_aside(plans.plan_cleaning(target))


def _show(report: Report, now: float) -> None:
    """Print a table of the orphans, and below it why the others are unknown."""
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
    counts = f"{_count(len(found), 'orphan')}, {len(report.of('unknown'))} unknown, {len(report.of('open'))} of open pull requests."
    output.say(f"Not a complete audit: {counts}" if report.errors else counts)


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
