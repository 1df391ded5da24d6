"""`closeout patrol --once`: look now for missed closings and deliveries.

A server that runs on the ledger patrols by itself and is asked to do so now; without one the command looks, and leaves
the runs that it starts to the next server. With `--stack` the stack's own function patrols.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from closeout.actions.registry import builtin
from closeout.cli import exits, options, output, requests
from closeout.cli.commands import command
from closeout.cli.ledger_option import SelectedLedger, ledger
from closeout.config.load import load
from closeout.core.errors import LedgerInUse, UsageError
from closeout.server.details import BASE_SETTING
from closeout.stack.patrol import BUSY, EVERYTHING
from closeout.wiring.patrols import patrol_without_server
from closeout.wiring.stack import Stack

PATIENCE = 3_600.0
"""Seconds to wait for the server. A round over many repositories takes minutes."""
BUSY_POLL = 2.0
"""Seconds until a stack whose patrol is under way is asked again."""


@command(
    "patrol",
    "closeout patrol --once",
    "closeout patrol --once --json",
    "closeout patrol --once --stack closed-pr-event-stack",
)
@click.option("--once", is_flag=True, help="Look once, now. A server patrols by itself and needs no command.")
@ledger
@options.as_json
def patrol(*, selected: SelectedLedger, once: bool, as_json: bool) -> int:
    """Read GitHub's delivery logs and lists of closed pull requests; start the runs that are missing.

    Patrol covers a repository from the moment it first reads it, and starts nothing for pull requests closed before. If a
    server runs on the ledger, it does the work and this command waits; otherwise the next `closeout serve` carries out the
    runs. With --stack the deployed function does the work with the deployed configuration; --once is not needed.

    It also looks for orphans as `closeout orphans` does, and starts runs for those of automations that say `patrol: repair`.

    Exit code 0 if there was nothing to find, 1 if something was found or started, 4 if GitHub or AWS did not answer
    everything. With --json: {"deliveries": {"seen", "recovered", "ignored", "gaps"}, "closings": {"seen", "started"},
    "orphans": {"found", "started", "unknown"}, "errors": [...]}.
    """
    if not once and not selected.on_stack:
        raise UsageError(
            "Add --once. `closeout serve` patrols by itself; see the key `patrol` of the configuration."
        )
    report = (
        _by_the_stack(selected.stack) if selected.on_stack else _patrol(selected.config, selected.path_if_any)
    )
    for note in report.pop("notes"):
        output.note(output.wrapped(output.clean(note)))
    if as_json:
        output.print_json(report)
    else:
        _show(report)
    if report["errors"]:
        return exits.UNAVAILABLE
    deliveries, closings, orphans = report["deliveries"], report["closings"], report["orphans"]
    found = deliveries["recovered"] or deliveries["gaps"] or closings["started"] or orphans["found"]
    return exits.FAILED if found else exits.OK


def _patrol(config: Path, ledger: Path) -> dict[str, Any]:
    loaded = load(config, builtin())
    options.check_folder(ledger)
    try:
        return patrol_without_server(loaded, ledger, BASE_SETTING).with_notes()
    except LedgerInUse:
        report: dict[str, Any] = requests.via_server(ledger, "patrol", PATIENCE)
        return report


def _by_the_stack(stack: Stack) -> dict[str, Any]:
    """Let the stack's function patrol, after a patrol that is under way, and wait for its report."""
    deadline = time.monotonic() + PATIENCE
    while True:
        report: dict[str, Any] = stack.execute(stack.output("PatrolAlias"), EVERYTHING, deadline)
        if report != BUSY:
            return report
        time.sleep(BUSY_POLL)


def _show(report: dict[str, Any]) -> None:
    deliveries, closings = report["deliveries"], report["closings"]
    output.say(
        f"Delivery logs: {deliveries['seen']} new deliveries, {deliveries['recovered']} recovered,"
        f" {deliveries['ignored']} ignored, {deliveries['gaps']} gaps."
    )
    output.say(
        f"Closed pull requests: {closings['seen']} since the last patrol, {closings['started']} started."
    )
    orphans = report["orphans"]
    output.say(
        f"Orphans: {orphans['found']} found, {orphans['started']} started, {orphans['unknown']} unknown."
    )
    for error in dict.fromkeys(report["errors"]):  # lists and logs may report the same one
        output.note(output.wrapped(f"Not read: {output.clean(error)}"))
