"""The first page of somebody who is signed in.

`overview_facts` reads what it is made of, and `overview_page` says what that means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from closeout.ports.access import READ
from closeout.server.pages import overview_page
from closeout.server.pages.overview_facts import read_facts
from closeout.server.pages.overview_page import Facts, Start
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route
from closeout.server.parts import ServerParts


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
        parts = self._parts
        patrol = parts.loaded.settings.patrol if parts.loaded is not None else None
        patrols = patrol is not None and patrol.state is not None
        return read_facts(parts.views, parts.marks, parts.clock(), paused=paused, patrols=patrols)

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
