"""The page of one run and its live updates, for visitors with its Details link and for signed-in visitors.

Without a valid link, the answer is the same whether or not the run exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import CloseoutError
from closeout.core.runs import CONTINUES
from closeout.ports import DeliveryId, LogWindow
from closeout.server import details
from closeout.server.pages import log_folds, presentation, run_page
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.run_page import Attempt, StoredRun
from closeout.server.pages.site import LINK, PageRequest, Route
from closeout.server.parts import ServerParts

MOST_ATTEMPTS = 10
"""Attempts that a page links to."""
LIVE_LINES = 200
"""Newest lines of the log that a request of an open page reads; the page lacks only a few."""
MOST_SUBJECTS = 256
"""Payloads whose subjects are cached."""


class RunPages:
    """The routes of `/runs/ID`. The ledger is read in threads."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._views = parts.views
        self._key = parts.link_key
        self._clock = parts.clock
        self._public_logs = parts.public_logs
        self._renderer = renderer
        # Cached, because a payload never changes, may have 25 MB, and an open page reads its run once a second.
        self._subject = lru_cache(MOST_SUBJECTS)(self._read_subject)
        self.routes: Sequence[Route] = (
            Route("GET", "/runs/{run_id}", LINK, self._page),
            Route("GET", "/runs/{run_id}/live", LINK, self._changes),
        )

    async def _page(self, request: PageRequest) -> Response:
        link = await asyncio.to_thread(self._link, request)
        if link is None:
            return self._renderer.missing()
        asks = request.http.query_params
        before = details.line_id(asks.get("before", ""))
        search = presentation.clean(asks.get("search", "")).strip()[: log_folds.LONGEST_SEARCH]
        shown = await asyncio.to_thread(self._load, link, before, search)
        if shown is None:
            return self._renderer.missing()
        if link.expired:
            return run_page.expired(self._renderer, shown)
        view = run_page.View(link, request.visitor, search, newest=before is None)
        return run_page.page(self._renderer, shown, view, self._clock())

    async def _changes(self, request: PageRequest) -> Response:
        """Return the current content of an open page as JSON, with the log lines after the last one that it has."""
        link = await asyncio.to_thread(self._link, request)
        if link is None or link.expired:
            return self._renderer.missing()
        shown = await asyncio.to_thread(self._load, link, limit=LIVE_LINES)
        if shown is None:
            return self._renderer.missing()
        after = details.line_id(request.http.query_params.get("after", "")) or 0
        lines = LogWindow([line for line in shown.lines if line.id > after], 0)
        if shown.left_out and len(lines.lines) == len(shown.lines):
            lines = await asyncio.to_thread(self._window, link, after=after)
        return run_page.changes(self._renderer, shown, lines, request.visitor, self._clock())

    def _link(self, request: PageRequest) -> details.Link | None:
        """Return what the visitor may see: the part that a Details link opens, or all of the run if signed in."""
        run_id = request.http.path_params["run_id"]
        if request.visitor is None:
            query = request.http.scope["query_string"].decode("latin-1")
            return details.check(self._key, run_id, query, self._clock())
        given = details.line_id(request.http.query_params.get("attempt", ""))
        run = self._views.run(run_id, given)
        if run is None:
            return None
        return details.Link(run.id, run.attempt, expired=False, query=f"attempt={run.attempt}", whole=True)

    def _load(
        self,
        link: details.Link,
        before: int | None = None,
        search: str = "",
        limit: int = presentation.LOG_LINES,
    ) -> StoredRun | None:
        """Read a run for its page; None if it does not exist. Called in threads.

        The log is the last lines before line `before`; with `search`, only lines that contain it.
        """
        run = self._views.run(link.run_id, link.attempt)
        if run is None:
            return None
        try:
            about = self._subject(run.delivery)
        except CloseoutError:
            about = presentation.subject({})
        whole = link.whole or about.private or self._public_logs
        shown = run if whole else presentation.for_anybody(run, _shows_plan)
        window = self._window(link, limit, before=before, search=search) if whole else LogWindow((), 0)
        operations = self._views.operations(link.run_id, link.attempt) if whole else ()
        survived = self._window(link, search=CONTINUES).lines if whole else ()
        attempts = () if link.expired else self._attempts(link)
        delivery = self._views.delivery(run.delivery)
        return StoredRun(shown, about, delivery, *window, whole, operations, attempts, survived)

    def _read_subject(self, delivery: DeliveryId) -> presentation.Subject:
        return presentation.subject(core_payload.decode(self._views.body(delivery)))

    def _window(self, link: details.Link, limit: int = presentation.LOG_LINES, **where: Any) -> LogWindow:
        characters = presentation.LOG_CHARACTERS
        return self._views.log_window(link.run_id, link.attempt, limit=limit, characters=characters, **where)

    def _attempts(self, link: details.Link) -> Sequence[Attempt]:
        """Return the newest attempts of the run, in ascending order."""
        latest = self._views.run(link.run_id)
        newest = latest.attempt if latest is not None else 1
        found: list[Attempt] = []
        for number in range(max(1, newest - MOST_ATTEMPTS + 1), newest + 1):
            run = self._views.run(link.run_id, number)
            if run is not None:
                tone = run.verdict or run.state
                query = details.query_of(self._key, link, number)
                found.append(Attempt(number, tone, presentation.WORDS.get(tone, tone), query))
        return found


def _shows_plan(uses: str) -> bool:
    """Whether a plan of this action contains only closeout's words. An unknown action counts as the user's own code."""
    actions = builtin()
    return uses in actions and not actions[uses].own_code
