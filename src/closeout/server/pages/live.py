"""Update a run's page while the run is active: server-sent events with the parts of the page that changed.

Each open page has a loop that reads the ledger once a second. Their number is limited, and they end when the server
drains. A page without a stream reloads itself, so a rejected stream loses nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from closeout.core.errors import CloseoutError
from closeout.server import details
from closeout.server.access import Visitor
from closeout.server.pages import log_folds, run_page, step_rows
from closeout.server.pages.rendering import Renderer, favicon
from closeout.server.pages.run_page import Shown

MAX_STREAMS = 64
EVERY = 1.0
"""Seconds between two reads of the ledger."""
LONGEST = 900.0
"""Seconds after which a stream ends; the page then opens another."""
CHECKED = 60.0
"""The same for somebody who is signed in: they get another only if their session still holds."""


class LiveRuns:
    """Streams of active runs. `load` reads a run from the ledger, in a thread."""

    def __init__(
        self,
        load: Callable[[details.Link, int | None], Shown | None],
        renderer: Renderer,
        clock: Callable[[], float],
        draining: asyncio.Event,
    ) -> None:
        self._load = load
        self._renderer = renderer
        self._clock = clock
        self._draining = draining
        self._open = 0

    async def response(
        self, request: Request, link: details.Link, visitor: Visitor | None = None
    ) -> Response | None:
        """Return a stream that starts after the last log line of the page; None if there is no such run."""
        if self._open >= MAX_STREAMS or self._draining.is_set():
            return Response(status_code=503, headers={"Retry-After": "30", "Cache-Control": "no-store"})
        after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        last = details.line_id(after) or 0
        # Read the end of the log for the last line of each step; lines that the page has are not sent again.
        first = await asyncio.to_thread(self._load, link, None)
        if first is None:
            return None
        headers = self._renderer.headers | {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._events(link, visitor, first, last), media_type="text/event-stream", headers=headers
        )

    async def _events(
        self, link: details.Link, visitor: Visitor | None, shown: Shown, last: int
    ) -> AsyncIterator[str]:
        if self._open >= MAX_STREAMS:
            return  # others began while this one read the ledger; the page asks again and is refused
        self._open += 1
        ends = self._clock() + (CHECKED if visitor else LONGEST)
        progress: dict[str, str] = {}
        before = ""
        # A page that was disconnected for long catches up from its last line, one window at a time.
        skip = behind = bool(shown.left_out and shown.lines[0].id > last)
        try:
            yield "retry: 3000\n\n"
            while True:
                text, last = ("", last) if skip else self._log(shown, last)
                if text:
                    yield text
                standing = self._standing(shown, visitor, progress)
                if standing != before:
                    before = standing
                    yield _event("standing", standing)
                if shown.run.state == "finished" and not behind:
                    yield _event("end", "{}")
                    return
                if self._clock() > ends or await self._told_to_end(0.0 if behind else EVERY):
                    return
                try:
                    loaded = await asyncio.to_thread(self._load, link, last)
                except CloseoutError:
                    if behind and await self._told_to_end(EVERY):
                        return
                    continue
                # Other attempts and past crashes were read with the page: neither changes while the run goes on.
                shown = loaded._replace(attempts=shown.attempts, survived=shown.survived) if loaded else shown
                skip, behind = False, loaded is not None and loaded.left_out > 0
        finally:
            self._open -= 1

    def _log(self, shown: Shown, last: int) -> tuple[str, int]:
        lines = [line for line in shown.lines if line.id > last]
        if not lines:
            return "", last
        last = lines[-1].id
        if not shown.log:
            return "", last
        html = self._renderer.fragment("_log.html", folds=log_folds.folds(shown.run, lines))
        return f"id: {last}\n" + _event("log", json.dumps({"html": html})), last

    def _standing(self, shown: Shown, visitor: Visitor | None, progress: dict[str, str]) -> str:
        progress.update(step_rows.progress_of(shown.lines) if shown.log else {})
        values = run_page.standing(self._renderer, shown, visitor, self._clock(), progress)
        return json.dumps(
            {
                "icon": favicon(values["banner"].tone),
                "title": f"{values['banner'].word}: {shown.run.automation}",
                "banner": self._renderer.fragment("_banner.html", **values),
                "trouble": self._renderer.fragment("_troubles.html", **values),
                "steps": self._renderer.fragment("_steps.html", **values),
                "history": self._renderer.fragment("_history.html", **values),
            }
        )

    async def _told_to_end(self, seconds: float) -> bool:
        """Wait until the next read; return True if the server starts to drain meanwhile."""
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
