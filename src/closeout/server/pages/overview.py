"""The first page of a signed-in visitor.

`overview_facts` reads the data, and `overview_page` derives what it means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from starlette.responses import Response

from closeout.ports.access import READ
from closeout.server.pages import overview_page
from closeout.server.pages.overview_facts import read_facts
from closeout.server.pages.overview_page import Start
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import PageRequest, Route
from closeout.server.parts import ServerParts


class Overview:
    """The route of `/`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self.routes: Sequence[Route] = (Route("GET", "/", READ, self._page),)

    async def _page(self, request: PageRequest) -> Response:
        parts = self._parts
        read = partial(read_facts, parts.views, parts.marks, parts.clock(), patrols=parts.patrols)
        facts = await asyncio.to_thread(read)
        return self._renderer.followed(
            request,
            "overview.html",
            "_overview.html",
            here="/",
            page=overview_page.shown(facts),
            start=self._start(request),
            now=facts.now,
        )

    def _start(self, request: PageRequest) -> Start:
        """Return the settings of the webhook, as far as this server knows its own address."""
        parts = self._parts
        base = parts.access.base_url if parts.access is not None else ""
        events = {str(trigger["event"]) for each in parts.automations for trigger in each.triggers}
        return Start(
            webhook=(base or f"http://{request.http.headers.get('host', '')}") + "/webhook",
            secret=parts.secrets.partition(",")[0],
            events=tuple(sorted(events)),
        )
