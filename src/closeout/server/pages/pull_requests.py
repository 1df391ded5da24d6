"""The route of `/pull-requests/OWNER/REPO/N`: it reads the ledger for `pull_request_page`.

Payloads are read for the newest deliveries alone, since one may have 25 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import CloseoutError
from closeout.ports import DeliveryId
from closeout.ports.access import READ
from closeout.server import details
from closeout.server.pages import pull_request_page
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route
from closeout.server.parts import ServerParts
from closeout.wiring.pull_requests import read_pull_request, recheck_times

MOST_PAYLOADS = 100
"""Deliveries of a pull request whose payload is read, for who sent them and for what they changed: the newest."""


class PullRequests:
    """See the module."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._views = parts.views
        self._clock = parts.clock
        self._renderer = renderer
        self._rechecks = recheck_times(parts.automations, builtin())
        self.routes: Sequence[Route] = (
            Route("GET", "/pull-requests/{owner}/{repo}/{number}", READ, self._page),
        )

    async def _page(self, asked: Asked) -> Response:
        path = asked.request.path_params
        number = details.line_id(path["number"])
        if number is None:
            return self._renderer.missing()
        facts = await asyncio.to_thread(self._facts, f"{path['owner']}/{path['repo']}", number)
        return self._renderer.followed(
            asked,
            "pull_request.html",
            "_pull_request.html",
            here="/runs",
            page=pull_request_page.shown(facts),
            asked_for=facts.repository,
            titles=pull_request_page.TITLES,
            most_listed=pull_request_page.MOST_LISTED,
            now=facts.now,
        )

    def _facts(self, repository: str, number: int) -> pull_request_page.Facts:
        """Read everything about a pull request. Called in threads."""
        now = self._clock()
        story = read_pull_request(self._views, repository, number, now, self._rechecks)
        entries = story.entries if story is not None else ()
        deliveries = [entry.delivery for entry in entries if entry.kind == "delivery" and entry.delivery]
        payloads = {each.id: self._payload(each.id) for each in deliveries[-MOST_PAYLOADS:]}
        return pull_request_page.Facts(repository, number, now, story, payloads)

    def _payload(self, delivery: DeliveryId) -> Mapping[str, Any]:
        try:
            return core_payload.decode(self._views.body(delivery))
        except CloseoutError:
            return {}  # the rest of the story is worth telling
