"""The page of one delivery: its payload, and the reasons why each automation starts a run or not.

They are the reasons of `closeout explain`, as far as they can be known without GitHub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from closeout.core.terminal import escaped_json
from closeout.ports.access import READ
from closeout.run.explain import FAIL, NOTHING, RUN, SKIP, UNKNOWN
from closeout.server import details
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route
from closeout.server.parts import ServerParts
from closeout.wiring.delivery_reasons import DeliveryDetail, read_delivery

PATH = "/deliveries"
OUTCOMES = {
    RUN: ("Starts a run", "good"),
    SKIP: ("Skipped", "none"),
    FAIL: ("Fails", "bad"),
    NOTHING: ("No match", "none"),
    UNKNOWN: ("Unknown", "wait"),
}
"""For each outcome its words and the tone of their colour."""


class DeliveryPage:
    """The route of `/deliveries/ID`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self.routes: Sequence[Route] = (Route("GET", f"{PATH}/{{delivery}}", READ, self._page),)

    async def _page(self, asked: Asked) -> Response:
        found = await asyncio.to_thread(self._find, asked.request.path_params["delivery"])
        if found is None:
            return self._renderer.missing()
        # A mark that turns the direction of text would change what is read.
        payload = escaped_json(found.payload)
        return self._renderer.html(
            200, "delivery.html", asked.visitor, here=PATH, detail=found, payload=payload, outcomes=OUTCOMES
        )

    def _find(self, text: str) -> DeliveryDetail | None:
        """Read one delivery, None if there is none. Called in threads."""
        number, parts = details.line_id(text), self._parts
        return None if number is None else read_delivery(parts.views, number, parts.automations, parts.redact)
