"""The routes of `/deliveries`: the list, and one delivery with its payload and the reasons of each automation.

It reads the ledger; `deliveries_page` says what that means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from closeout.core.errors import BadFilter
from closeout.ledger.filters import delivery_filter
from closeout.ports.access import READ
from closeout.server import details
from closeout.server.pages import deliveries_page
from closeout.server.pages.deliveries_page import FORM, PATH, Deliveries, OneDelivery
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route
from closeout.server.parts import ServerParts
from closeout.wiring.delivery_reasons import read_delivery

ROWS = 50
"""Deliveries on one page of the list."""


class DeliveryPages:
    """The routes of `/deliveries` and `/deliveries/ID`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self._automations = parts.loaded.automations if parts.loaded is not None else ()

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (Route("GET", PATH, READ, self._list), Route("GET", f"{PATH}/{{delivery}}", READ, self._one))

    async def _list(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        given = dict(asked.request.query_params)
        if any(given.get(name) == "" for name in FORM.labels):
            # A form sends its empty fields too. One list has one URL, which people send to each other.
            url = self._renderer.url(FORM.url(given))
            return RedirectResponse(url, 303, self._renderer.headers)
        page = await asyncio.to_thread(self._read, asked.request)
        response = self._renderer.followed(
            asked.request, "deliveries.html", "_deliveries_list.html", asked.visitor, here=PATH, page=page
        )
        if page.error is not None:
            response.status_code = BadFilter.status
        return response

    def _read(self, request: Request) -> Deliveries:
        """Read a page of the list. Called in threads."""
        given, now = dict(request.query_params), self._parts.clock()
        filters = FORM.set(given)
        try:
            wanted = delivery_filter(filters, now)
            rows, newer, older = self._parts.views.delivery_page(wanted, given.get("cursor") or None, ROWS)
        except BadFilter as error:
            return deliveries_page.shown((), filters, now, error=error.message)
        return deliveries_page.shown(rows, filters, now, newer=newer, older=older)

    async def _one(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        page = await asyncio.to_thread(self._find, asked.request.path_params["delivery"])
        if page is None:
            return self._renderer.missing()
        return self._renderer.signed_in("delivery.html", asked.visitor, here=PATH, page=page)

    def _find(self, text: str) -> OneDelivery | None:
        """Read one delivery, None if there is none. Called in threads."""
        number = details.line_id(text)
        if number is None:
            return None
        found = read_delivery(self._parts.views, number, self._automations, self._parts.redact)
        return deliveries_page.one(found) if found is not None else None
