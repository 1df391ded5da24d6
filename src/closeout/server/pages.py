"""The pages that a Details link opens: one run, live while it goes on. Nothing can be listed.

Starlette and Jinja2 are imported with the first page. Whoever has no right link gets the same answer whether or not the
run exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import CloseoutError
from closeout.ports import LogWindow, PageReader
from closeout.server import details, presentation
from closeout.server.asgi import Receive, Scope, Send
from closeout.server.live import LiveRuns
from closeout.server.rendering import Renderer, Shown


class Pages:
    """An ASGI application for `/runs/…`. `views` reads the ledger and is called in threads."""

    def __init__(
        self,
        views: PageReader,
        key: bytes,
        clock: Callable[[], float],
        draining: asyncio.Event,
        *,
        public_logs: bool = False,
    ) -> None:
        self._views = views
        self._key = key
        self._clock = clock
        self._public_logs = public_logs
        self._renderer = Renderer()
        self._live = LiveRuns(self._load, self._renderer, clock, draining)
        routes = [
            Route("/runs/{run_id}", self._page, methods=["GET"]),
            Route("/runs/{run_id}/live", self._stream, methods=["GET"]),
        ]
        missing = {404: self._missing, 405: self._missing}
        self._app = Starlette(routes=routes, exception_handlers=missing)
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below `/runs/`."""
        await self._app(scope, receive, send)

    async def _page(self, request: Request) -> Response:
        link = self._link(request)
        if link is None:
            return self._missing()
        before = details.line_id(request.query_params.get("before", ""))
        shown = await asyncio.to_thread(self._load, link, None, before)
        if shown is None:
            return self._missing()
        if link.expired:
            return self._renderer.expired(shown)
        return self._renderer.page(shown, link, self._clock(), newest=before is None)

    async def _stream(self, request: Request) -> Response:
        link = self._link(request)
        if link is None or link.expired:
            return self._missing()
        return await self._live.response(request, link) or self._missing()

    def _link(self, request: Request) -> details.Link | None:
        run_id = request.path_params["run_id"]
        return details.check(self._key, run_id, request.url.query, self._clock())

    def _missing(self, *_: Any) -> Response:
        return self._renderer.notice(
            404,
            "There is nothing here",
            "The link is incomplete, or closeout did not make it. Reopen the link from GitHub.",
        )

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
        whole = about.private or self._public_logs
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
