"""Read what needs a person, what is running and when each part last ran: for the overview, the JSON API and `closeout status`.

If one read fails, all of it fails: an overview that left a part out would suggest that nothing is wrong there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from closeout.core.units import DAY
from closeout.patrol.marks import DRILL, LAST, REPORT
from closeout.ports import EVERY_DELIVERY, PageReader, RunFilter, RunView
from closeout.server.pages import overview_page
from closeout.server.pages.overview_page import MOST_OPEN, OverviewData

_SHOWN = (
    *("id", "execution", "automation", "repository", "number", "state", "reason"),
    *("accepted_at", "started_at", "until", "timeout", "queue_timeout"),
)
"""The fields of a run under way in JSON."""
_OPEN = ("running", "waiting", "queued")


def read_facts(
    views: PageReader,
    marks: Callable[[str], Mapping[str, Mapping[str, Any]]],
    now: float,
    *,
    patrols: bool,
) -> OverviewData:
    """Read everything. `marks` reads what patrol and the drill stored; `patrols` says whether patrol lists closed pull requests.

    Raises `StoreUnavailable` or `LedgerError`.
    """
    stats = views.stats()
    newest = views.delivery_page(EVERY_DELIVERY, None, 1).rows
    patrol, drill = marks(REPORT), marks(DRILL).get(LAST, {})
    states, orphans = drill.get("states", {}), patrol.get("orphans", {})
    return OverviewData(
        now=now,
        paused=views.paused(),
        open_runs=tuple(_open_runs(views)),
        open_count=sum(stats.get("runs_by_state", {}).values()),
        queue_age=stats.get("queue_age", 0.0),
        problems=tuple(views.problem_causes(overview_page.MOST_NAMED)),
        last_delivery=newest[0].received_at if newest else None,
        patrol_ended=patrol.get("lists", {}).get("ended_at"),
        patrol_watches=patrols,
        drill_ended=drill.get("ended_at") if states else None,
        drill_wrong=sorted(name for name, state in states.items() if state == "wrong"),
        orphans=orphans.get("found", 0),
        unknown=orphans.get("unknown", 0),
        days=views.days(now - (overview_page.SHOWN_DAYS - 1) * DAY),
    )


def to_json(facts: OverviewData) -> dict[str, Any]:
    """Return the object of the JSON API and of `closeout status --json`, with times in seconds."""
    return {
        "needs": [
            {"title": need.title, "text": need.text, "fix": need.fix, "path": need.url, "since": need.since}
            for need in overview_page.shown(facts).needs
        ],
        "running": [{name: getattr(run, name) for name in _SHOWN} for run in facts.open_runs],
        "running_count": facts.open_count,
        "paused": facts.paused,
        "queue_age": facts.queue_age,
        "last_delivery": facts.last_delivery,
        "last_patrol": facts.patrol_ended,
        "last_drill": facts.drill_ended,
        "orphans": facts.orphans,
        "unknown": facts.unknown,
        "days": [day._asdict() for day in facts.days],
    }


def _open_runs(views: PageReader) -> Iterable[RunView]:
    """Return some runs of each state, each once: one may change its state between two reads, and the later read counts."""
    pages = (views.run_page(RunFilter(state=state), None, MOST_OPEN) for state in _OPEN)
    return {run.execution: run for page in pages for run in page.rows}.values()
