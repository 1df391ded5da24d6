"""The JSON API for programs with a token: runs, deliveries, pull requests. It has the same data as the pages.

A query string means the same as on a page and on the command line (`ledger.filters`); times are ISO 8601 in UTC; a list comes
in pages, and `next` is the `cursor` of the page of older rows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from closeout.actions.registry import builtin
from closeout.core.errors import BadFilter, NotFound
from closeout.core.json_times import with_iso_times
from closeout.core.terminal import escaped_json
from closeout.ledger.filters import delivery_filter, run_filter
from closeout.ports import ListPage
from closeout.ports.access import READ
from closeout.ports.lists import LARGEST_PAGE
from closeout.server.details import line_id
from closeout.server.pages.overview_facts import read_facts, to_json
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import API, PageRequest, Route
from closeout.server.parts import ServerParts
from closeout.wiring.delivery_reasons import read_delivery
from closeout.wiring.pull_requests import read_pull_request, recheck_times

ROWS = 50
"""Rows of a page, unless `limit` says otherwise."""
Query: TypeAlias = Mapping[str, str]


class Api:
    """The routes below `/api/`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self._rechecks = recheck_times(parts.automations, builtin())
        reads = {
            "runs": self.runs,
            "runs/{run_id}": self.run,
            "overview": self.overview,
            "deliveries": self.deliveries,
            "deliveries/{delivery}": self.delivery,
            "pull-requests/{owner}/{name}/{number}": self.pull_request,
        }
        self.routes: Sequence[Route] = tuple(
            Route("GET", API + path, READ, self._answer(read)) for path, read in reads.items()
        )

    def runs(self, query: Query, _path: Query) -> dict[str, Any]:
        """Return a page of the list of runs. Raises `BadFilter`."""
        return self._listed("runs", query, self._parts.views.run_page, run_filter)

    def run(self, query: Query, path: Query) -> dict[str, Any]:
        """Return one run with its plans: its latest attempt, or `attempt`. Raises `NotFound` or `BadFilter`."""
        attempt = _whole(query, "attempt")
        found = self._parts.views.run(path["run_id"], attempt)
        if found is None:
            raise NotFound("The ledger has no such run.")
        return found.to_json()

    def deliveries(self, query: Query, _path: Query) -> dict[str, Any]:
        """Return a page of the list of deliveries. Raises `BadFilter`."""
        return self._listed("deliveries", query, self._parts.views.delivery_page, delivery_filter)

    def delivery(self, _query: Query, path: Query) -> dict[str, Any]:
        """Return one delivery, and why each automation would start a run or not. Raises `NotFound`."""
        number, parts = line_id(path["delivery"]), self._parts
        if number is not None:
            found = read_delivery(parts.views, number, parts.automations, parts.redact)
            if found is not None:
                return found.to_json()
        raise NotFound("The ledger has no such delivery.")

    def pull_request(self, _query: Query, path: Query) -> dict[str, Any]:
        """Return the story of one pull request. Raises `NotFound`."""
        views, repository = self._parts.views, f"{path['owner']}/{path['name']}"
        number, now = line_id(path["number"]), self._parts.clock()
        if number is not None:
            found = read_pull_request(views, repository, number, now, self._rechecks, views.paused())
            if found is not None:
                return found.to_json()
        raise NotFound("The ledger has no delivery about this pull request.")

    def overview(self, _query: Query, _path: Query) -> dict[str, Any]:
        """Return what needs a person, what is running, and when deliveries, patrol and the drill were last seen."""
        parts = self._parts
        return to_json(read_facts(parts.views, parts.marks, parts.clock(), patrols=parts.patrols))

    def _listed(
        self, name: str, query: Query, page_of: Callable[..., ListPage[Any]], filter_of: Callable[..., Any]
    ) -> dict[str, Any]:
        given = {key: value for key, value in query.items() if key not in ("cursor", "limit")}
        limit = min(_whole(query, "limit") or ROWS, LARGEST_PAGE)
        page = page_of(filter_of(given, self._parts.clock()), query.get("cursor") or None, limit)
        return {name: [row.to_json() for row in page.rows], "next": page.older, "previous": page.newer}

    def _answer(self, read: Callable[[Query, Query], dict[str, Any]]) -> Callable[[PageRequest], Any]:
        async def answer(request: PageRequest) -> Response:
            query = _query(request.http)
            value = await asyncio.to_thread(read, query, request.http.path_params)
            # Indented, because people read it in terminals.
            body = escaped_json(json.dumps(with_iso_times(value), ensure_ascii=False))
            return Response(body, 200, self._renderer.headers, media_type="application/json")

        return answer


def _query(request: Request) -> dict[str, str]:
    """Return the fields of a query string. Raises `BadFilter` for a field that is given twice."""
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) != len(pairs):
        raise BadFilter("a field is given twice")
    return query


def _whole(query: Query, name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    number = line_id(text)
    if not number:
        raise BadFilter(f"{name} is a number from 1, not {text[:40]!r}")
    return number
