"""The page of one run, live while it goes on: for whoever has its Details link, and for whoever is signed in.

Whoever has no right link gets the same answer whether or not the run exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.responses import Response

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import CloseoutError
from closeout.ports import LogWindow, PageReader
from closeout.server import details, presentation
from closeout.server.live import LiveRuns
from closeout.server.rendering import Renderer, Shown
from closeout.server.site import LINK, Asked, Route


class RunPages:
    """The routes of `/runs/ID`. `views` reads the ledger and is called in threads."""

    def __init__(
        self,
        views: PageReader,
        key: bytes,
        clock: Callable[[], float],
        draining: asyncio.Event,
        renderer: Renderer,
        *,
        public_logs: bool = False,
    ) -> None:
        self._views = views
        self._key = key
        self._clock = clock
        self._public_logs = public_logs
        self._renderer = renderer
        self._live = LiveRuns(self._load, renderer, clock, draining)

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (
            Route("GET", "/runs/{run_id}", LINK, self._page),
            Route("GET", "/runs/{run_id}/live", LINK, self._stream),
        )

    async def _page(self, asked: Asked) -> Response:
        link = await asyncio.to_thread(self._link, asked)
        if link is None:
            return self._renderer.missing()
        before = details.line_id(asked.request.query_params.get("before", ""))
        shown = await asyncio.to_thread(self._load, link, None, before)
        if shown is None:
            return self._renderer.missing()
        if link.expired:
            return self._renderer.expired(shown)
        return self._renderer.page(shown, link, asked.visitor, self._clock(), newest=before is None)

    async def _stream(self, asked: Asked) -> Response:
        link = await asyncio.to_thread(self._link, asked)
        if link is None or link.expired:
            return self._renderer.missing()
        return await self._live.response(asked.request, link) or self._renderer.missing()

    def _link(self, asked: Asked) -> details.Link | None:
        """Return what the visitor may see of the run: what the Details link opens, or all of it for who is signed in."""
        run_id = asked.request.path_params["run_id"]
        if asked.visitor is None:
            query = asked.request.scope["query_string"].decode("latin-1")
            return details.check(self._key, run_id, query, self._clock())
        given = details.line_id(asked.request.query_params.get("attempt", ""))
        run = self._views.run(run_id, given)
        if run is None:
            return None
        return details.Link(run.id, run.attempt, expired=False, query=f"attempt={run.attempt}", whole=True)

    def _load(self, link: details.Link, after: int | None = None, before: int | None = None) -> Shown | None:
        """Read what is shown, None if there is no such run. Called in threads.

        Of the log the first lines after line `after`, or else the last ones before line `before`.
        """
        run = self._views.run(link.run_id, link.attempt)
        if run is None:
            return None
        try:
            about = presentation.subject(core_payload.decode(self._views.body(run.delivery)))
        except CloseoutError:
            about = presentation.subject({})
        whole = link.whole or about.private or self._public_logs
        shown = run if whole else presentation.for_anybody(run, _shows_plan)
        window = LogWindow((), 0)
        if whole:
            window = self._views.log_window(
                link.run_id,
                link.attempt,
                after=after,
                before=before,
                limit=presentation.LOG_LINES,
                characters=presentation.LOG_CHARACTERS,
            )
        return Shown(shown, about, self._views.delivery(run.delivery), *window, log=whole)


def _shows_plan(uses: str) -> bool:
    """Whether a plan of this action is closeout's own words. One that this version does not know counts as own code."""
    actions = builtin()
    return uses in actions and not actions[uses].own_code
