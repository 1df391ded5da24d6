"""The route of `/pull-requests/OWNER/REPO/N`: it reads the ledger for `pull_request_page`.

Payloads are read only for the newest deliveries, because one may have 25 MB.
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
from closeout.server.pages.pull_request_page import DeliveryPayload, PullRequest
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import PageRequest, Route
from closeout.server.parts import ServerParts
from closeout.wiring.pull_requests import PullRequestView, read_pull_request, recheck_times

MOST_PAYLOADS = 100
"""The newest deliveries of a pull request, whose payloads are read for the sender and the changes."""


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

    async def _page(self, request: PageRequest) -> Response:
        path = request.http.path_params
        number = details.line_id(path["number"])
        if number is None:
            return self._renderer.missing()
        repository, now = f"{path['owner']}/{path['repo']}", self._clock()
        page = await asyncio.to_thread(self._read, repository, number, now)
        return self._renderer.followed(
            request,
            "pull_request.html",
            "_pull_request.html",
            here="/runs",
            page=page,
            asked_for=repository,
            titles=pull_request_page.TITLES,
            most_listed=pull_request_page.MOST_LISTED,
            now=now,
        )

    def _read(self, repository: str, number: int, now: float) -> PullRequest:
        story = read_pull_request(self._views, repository, number, now, self._rechecks)
        if story is None:
            story = PullRequestView(repository, number, (), None, None, (), (), (), (), 0)
        deliveries = [
            entry.delivery for entry in story.entries if entry.kind == "delivery" and entry.delivery
        ]
        heard = [DeliveryPayload(each, {}) for each in deliveries[:-MOST_PAYLOADS]]
        heard += [DeliveryPayload(each, self._payload(each.id)) for each in deliveries[-MOST_PAYLOADS:]]
        return pull_request_page.shown(story, heard, now)

    def _payload(self, delivery: DeliveryId) -> Mapping[str, Any]:
        try:
            return core_payload.decode(self._views.body(delivery))
        except CloseoutError:
            return {}  # show the rest of the page without it
