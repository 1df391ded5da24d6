"""The list of runs, and the page of one pull request: reads the ledger for `runs_page` and `pull_request_page`.

One query string means the same here, in the JSON API and on the command line (`ledger.filters`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import BadFilter, CloseoutError
from closeout.ledger.filters import run_filter
from closeout.ports import DeliveryId
from closeout.ports.access import READ
from closeout.server import details
from closeout.server.pages import pull_request_page, runs_page
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.runs_page import Runs
from closeout.server.pages.site import Asked, Route
from closeout.server.pages.wording import with_query
from closeout.server.parts import ServerParts
from closeout.wiring.pull_requests import read_pull_request, recheck_times

ROWS = 50
"""Runs on one page of the list."""
MOST_PAYLOADS = 100
"""Deliveries of a pull request whose payload is read, for who sent them and for what they changed: the newest."""
PULL_REQUEST = "/pull-requests/{owner}/{repo}/{number}"


class RunLists:
    """The routes of `/runs` and `/pull-requests/OWNER/REPO/N`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._views = parts.views
        self._clock = parts.clock
        self._renderer = renderer
        automations = parts.loaded.automations if parts.loaded is not None else ()
        self._rechecks = recheck_times(automations, builtin())

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return (
            Route("GET", runs_page.FORM.path, READ, self._runs),
            Route("GET", PULL_REQUEST, READ, self._pull_request),
        )

    async def _runs(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        given = asked.request.query_params
        if any(given.get(name) == "" for name in runs_page.FORM.labels):
            # A form sends its empty fields too. One list has one URL, which people send to each other.
            path = self._renderer.url(runs_page.FORM.url({name: given[name] for name in given}))
            return RedirectResponse(path, 303, self._renderer.headers)
        page = await asyncio.to_thread(self._list, asked.request)
        response = self._renderer.followed(
            asked.request, "runs.html", "_runs_list.html", asked.visitor, here=runs_page.FORM.path, page=page
        )
        if page.error is not None:
            response.status_code = BadFilter.status
        return response

    def _list(self, request: Request) -> Runs:
        """Read a page of the list. Called in threads."""
        given, now = dict(request.query_params), self._clock()
        filters = {name: value for name, value in given.items() if name in runs_page.FORM.labels}
        try:
            wanted = run_filter(filters, now)
            rows, newer, older = self._views.run_page(wanted, given.get("cursor") or None, ROWS)
        except BadFilter as error:
            return runs_page.shown((), filters, now, error=error.message)
        return runs_page.shown(rows, filters, now, newer=newer, older=older)

    async def _pull_request(self, asked: Asked) -> Response:
        assert asked.visitor is not None
        path = asked.request.path_params
        number = details.line_id(path["number"])
        if number is None:
            return self._renderer.missing()
        repository = f"{path['owner']}/{path['repo']}"
        facts = await asyncio.to_thread(self._facts, repository, number)
        page = pull_request_page.shown(facts)
        return self._renderer.followed(
            asked.request,
            "pull_request.html",
            "_pull_request.html",
            asked.visitor,
            here=runs_page.FORM.path,
            page=page,
            tone=pull_request_page.icon(page),
            summary=pull_request_page.summary(page),
            runs_of_repository=with_query(runs_page.FORM.path, repository=repository),
            runs_of_pull_request=with_query(
                runs_page.FORM.path, repository=repository, **{"pull-request": str(number)}
            ),
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
