"""The first page of somebody who is signed in: reads what the overview is made of.

`overview_page` says what it means. A failed read fails the page: an overview that leaves a part out would say that nothing
is wrong there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from closeout.core.problems import Problem
from closeout.core.units import DAY
from closeout.ports import EVERY_DELIVERY, PageReader, RunFilter, RunView
from closeout.ports.access import READ
from closeout.server import overview_page
from closeout.server.overview_page import MOST_OPEN, Facts, Start, Trouble
from closeout.server.parts import ServerParts
from closeout.server.rendering import Renderer
from closeout.server.site import Asked, Route
from closeout.server.wording import run_path
from closeout.wiring import drills, rounds

_OPEN = ("running", "waiting", "queued")


class Overview:
    """The route of `/`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (Route("GET", "/", READ, self._page),)

    async def _page(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        facts = await asyncio.to_thread(self._facts, asked.visitor.paused)
        return self._renderer.followed(
            asked.request,
            "overview.html",
            "_overview.html",
            asked.visitor,
            here="/",
            page=overview_page.shown(facts),
            start=self._start(asked),
        )

    def _facts(self, paused: str | None) -> Facts:
        """Read everything. Called in threads."""
        parts, views = self._parts, self._parts.views
        now, stats = parts.clock(), views.stats()
        newest = views.delivery_page(EVERY_DELIVERY, None, 1).rows
        marks, drill = parts.marks(rounds.LAST), parts.marks(drills.KIND).get(drills.LAST, {})
        states = drill.get("states", {})
        patrol = parts.loaded.settings.patrol if parts.loaded is not None else None
        lists, orphans = marks.get("lists", {}), marks.get("orphans", {})
        return Facts(
            now=now,
            paused=paused,
            open_runs=tuple(_open_runs(views)),
            open_count=sum(stats.get("runs_by_state", {}).values()),
            queue_age=stats.get("queue_age", 0.0),
            troubles=tuple(_trouble(problem) for problem in views.open_problems()),
            last_delivery=newest[0].received_at if newest else None,
            patrol_ended=lists.get("ended_at"),
            patrol_watches=patrol is not None and patrol.state is not None,
            drill_ended=drill.get("ended_at") if states else None,
            drill_wrong=sorted(name for name, state in states.items() if state == "wrong"),
            orphans=orphans.get("found", 0),
            unknown=orphans.get("unknown", 0),
            days=views.days(now - (overview_page.SHOWN_DAYS - 1) * DAY),
        )

    def _start(self, asked: Asked) -> Start:
        """Return what the webhook must be, as far as this server knows its own name."""
        parts = self._parts
        base = parts.access.base_url if parts.access is not None else ""
        automations = parts.loaded.automations if parts.loaded is not None else ()
        events = {str(trigger["event"]) for each in automations for trigger in each.triggers}
        return Start(
            webhook=(base or f"http://{asked.request.headers.get('host', '')}") + "/webhook",
            secret=parts.secrets.partition(",")[0],
            events=tuple(sorted(events)),
        )


def _open_runs(views: PageReader) -> Iterable[RunView]:
    for state in _OPEN:
        yield from views.run_page(RunFilter(state=state), None, MOST_OPEN).rows


def _trouble(problem: Problem) -> Trouble:
    """Return a problem as the overview shows it: to somebody who may see everything, so in full."""
    return Trouble(
        kind=problem.kind,
        automation=problem.automation,
        about=problem.about,
        text=problem.text,
        cause=f"{problem.step} {problem.code}".strip(),
        since=problem.since,
        url=run_path(problem.execution.rpartition("-")[0]) if problem.execution else None,
        left=problem.left,
    )
