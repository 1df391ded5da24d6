"""`closeout status`: what needs you, what is running, and how fresh everything is, from the ledger only.

It shows what the overview of the server's pages shows, with or without a running server.
"""

from __future__ import annotations

import time
from pathlib import Path

from closeout.actions.registry import builtin
from closeout.cli import exits, options, output
from closeout.cli.commands import command
from closeout.config.load import load
from closeout.core.errors import CloseoutError
from closeout.core.json_times import with_iso_times
from closeout.ledger.sqlite import Requests, Views
from closeout.patrol.marks import REPORT
from closeout.ports import RunView
from closeout.server.pages import overview_facts, overview_page
from closeout.server.pages.overview_page import AttentionItem, OverviewData

SHOWN = 10
"""Runs that are listed."""
SHORT = 8
"""Characters of a run's id that name it in a list."""
RUNS = "/runs/"


@command("status", "closeout status", "closeout status --db /var/lib/closeout/closeout.db --json")
@options.config
@options.db
@options.as_json
def status(*, config: Path, db: Path | None, as_json: bool) -> int:
    """Show what needs you, what is running, and when the last delivery, patrol and drill were.

    Needs you: failed runs that nobody repaired, a pause, a queue that does not move, a patrol or drill that is late, orphans,
    and runs near their time limit. Exit code 0 if nothing needs you, 1 if something does. With --json: {"server": true or false, "needs": [{"title",
    "text", "fix", "path", "since"}], "running": [...], "running_count", "paused", "queue_age", "last_delivery", "last_patrol",
    "last_drill", "orphans", "unknown", "days": [{"day", "closings", "torn_down", "left", "recovered"}]}.
    """
    path = options.existing_ledger(db, config)
    serves = Requests(path).server_running()
    views = Views(path)
    try:
        now, patrols = time.time(), _patrols(config, views)
        facts = overview_facts.read_facts(views, views.marks, now, patrols=patrols)
    finally:
        views.close()
    needs = overview_page.shown(facts).needs
    if as_json:
        output.print_json({"server": serves, **with_iso_times(overview_facts.to_json(facts))})
    else:
        _show(facts, needs, serves=serves)
    return exits.FAILED if needs else exits.OK


def _patrols(config: Path, views: Views) -> bool:
    """Return whether patrol reads lists of closed pull requests; if the file cannot be read, whether it has read any."""
    try:
        return load(config, builtin(), modules=False).settings.patrol.state is not None
    except CloseoutError:
        return "lists" in views.marks(REPORT)


def _show(facts: OverviewData, needs: tuple[AttentionItem, ...], *, serves: bool) -> None:
    if not serves:
        output.say(output.style("No server runs on this ledger: start `closeout serve`.", fg="yellow"))
    if not needs:
        output.say(output.style("Nothing needs you." if serves else "Nothing else needs you.", fg="green"))
    for need in needs:
        colour = "red" if need.tone == "bad" else "yellow"
        output.say(output.style(output.clean(need.title), fg=colour))
        output.say(output.wrapped(output.clean(need.text), "  ", "  "))
        output.say(output.wrapped(output.clean(need.fix), "  ", "  "))
        for about, path in _runs_of(need):
            output.say(output.clean(f"  {about}closeout runs show {path.removeprefix(RUNS)[:SHORT]}"))
        if need.more:
            output.say(f"  and {need.more:,} more")
    output.say("")
    output.say(f"server         {'runs' if serves else 'does not run'}")
    output.say(f"open runs      {facts.open_count}")
    rows = [_row(run, facts.now) for run in facts.open_runs[:SHOWN]]
    if rows:
        output.table(("STATE", "RUN", "AUTOMATION", "ABOUT", "FOR", "LIMIT"), rows, shrink=(2, 3))
    for label, at in (
        ("last delivery", facts.last_delivery),
        ("last patrol", facts.patrol_ended),
        ("last drill", facts.drill_ended),
    ):
        output.say(f"{label:14} {output.ago(at, facts.now)}{'' if at is None else ' ago'}")


def _runs_of(need: AttentionItem) -> list[tuple[str, str]]:
    """Return the items of a need, each with the path of its run, to which a page would link."""
    if need.items:
        pairs = [(f"{item.label}: ", item.url or "") for item in need.items]
    else:
        pairs = [("", need.url or "")]
    return [(about, path) for about, path in pairs if path.startswith(RUNS)]


def _row(run: RunView, now: float) -> tuple[str, ...]:
    since = run.accepted_at if run.started_at is None else run.started_at
    limit = run.queue_timeout if run.started_at is None else run.timeout
    remaining = "-" if limit is None else output.ago(now - limit, now)
    return (run.state, run.id[:SHORT], run.automation, run.about, output.ago(since, now), remaining)
