"""The lists of runs and of deliveries: their filters, and one page of rows; and one delivery.

One query string means the same here, in the JSON API and on the command line (`ledger.filters`). A delivery's reasons are
those of `closeout explain`, as far as they are known without a call to GitHub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from closeout.core.errors import BadFilter
from closeout.core.runs import STATES, VERDICTS
from closeout.core.terminal import escaped_json
from closeout.ledger.filters import delivery_filter, run_filter
from closeout.ports import ListPage
from closeout.ports.access import READ
from closeout.run.explain import FAIL, NOTHING, RUN, SKIP, UNKNOWN
from closeout.server.details import line_id
from closeout.server.pages import presentation
from closeout.server.pages.filter_form import PERIODS, FilterForm
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import PageRequest, Route
from closeout.server.pages.wording import RERUN, with_query
from closeout.server.parts import ServerParts
from closeout.wiring.delivery_reasons import read_delivery

ROWS = 50
"""Rows on one page of a list."""
RUNS = FilterForm(
    "run",
    "/runs",
    {
        "search": "Words",
        "repository": "Repository",
        "pull-request": "Pull request",
        "automation": "Automation",
        "verdict": "Verdict",
        "state": "State",
        "since": "Accepted in",
        "until": "Accepted before",
    },
    {
        "search": "words of the summary",
        "repository": "acme/shop",
        "pull-request": "17 or acme/shop#17",
        "until": "2026-03-14",
    },
    {
        "verdict": tuple((each, presentation.WORDS[each]) for each in VERDICTS),
        "state": tuple((each, presentation.WORDS.get(each, each.capitalize())) for each in STATES),
        "since": PERIODS,
    },
)
DELIVERIES = FilterForm(
    "delivery",
    "/deliveries",
    {
        "repository": "Repository",
        "pull-request": "Pull request",
        "event": "Event",
        "guid": "GUID",
        "since": "Received in",
        "until": "Received before",
    },
    {
        "repository": "acme/shop",
        "pull-request": "17 or acme/shop#17",
        "event": "pull_request",
        "guid": "X-GitHub-Delivery",
        "until": "2026-03-14",
    },
    {"since": PERIODS},
)
FAILED = {"verdict": "failure"}
_TABS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("All", {}),
    ("Failed", FAILED),
    ("Running", {"state": "running"}),
    ("Waiting", {"state": "waiting"}),
    ("Queued", {"state": "queued"}),
    ("Succeeded", {"verdict": "success"}),
)

OUTCOMES = {
    RUN: ("Starts a run", "good"),
    SKIP: ("Skipped", "none"),
    FAIL: ("Fails", "bad"),
    NOTHING: ("No match", "none"),
    UNKNOWN: ("Unknown", "wait"),
}
"""The words and the tone for each outcome of an automation on a delivery."""


class Lists:
    """The routes of `/runs`, `/deliveries` and `/deliveries/ID`."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._views = parts.views
        self._clock = parts.clock
        self._renderer = renderer
        self.routes: Sequence[Route] = (
            Route("GET", RUNS.path, READ, self._runs),
            Route("GET", DELIVERIES.path, READ, self._deliveries),
            Route("GET", f"{DELIVERIES.path}/{{delivery}}", READ, self._delivery),
        )

    async def _runs(self, request: PageRequest) -> Response:
        filters = RUNS.set(request.http.query_params)
        rerun = with_query(RERUN, **filters) if filters.get("verdict") == FAILED["verdict"] else None
        names = await asyncio.to_thread(self._automations)
        form = RUNS._replace(choices={**RUNS.choices, "automation": tuple((name, name) for name in names)})
        values = {"tabs": tabs(filters), "rerun": rerun}
        return await self._answer(request, form, self._views.run_page, run_filter, "runs", **values)

    def _automations(self) -> Sequence[str]:
        """Return the names of the configured automations, and of those that have had runs. Called in threads."""
        ran = {automation for automation, _ in self._views.stats().get("step_durations", {})}
        return sorted(ran | {each.name for each in self._parts.automations})

    async def _deliveries(self, request: PageRequest) -> Response:
        return await self._answer(
            request, DELIVERIES, self._views.delivery_page, delivery_filter, "deliveries"
        )

    async def _delivery(self, request: PageRequest) -> Response:
        number, parts = line_id(request.http.path_params["delivery"]), self._parts
        read = (parts.views, number or 0, parts.automations, parts.redact)
        found = await asyncio.to_thread(read_delivery, *read)
        if found is None:
            return self._renderer.missing()
        # A mark that changes the direction of text would change what people read.
        payload = escaped_json(found.payload)
        values = {"detail": found, "payload": payload, "outcomes": OUTCOMES}
        return self._renderer.html(200, "delivery.html", request.visitor, here=DELIVERIES.path, **values)

    async def _answer(
        self,
        request: PageRequest,
        form: FilterForm,
        page_of: Callable[..., ListPage[Any]],
        filter_of: Callable[..., Any],
        name: str,
        **values: Any,
    ) -> Response:
        """Return a page of the list from `page_of`, which is called in a thread; `name` names its templates."""
        given = dict(request.http.query_params)
        if any(given.get(field) == "" for field in form.labels):
            # A form sends its empty fields, too. One list has one URL, which people send to each other.
            return RedirectResponse(self._renderer.url(form.url(given)), 303, self._renderer.headers)
        filters, now, error = form.set(given), self._clock(), None
        try:
            wanted = filter_of(filters, now)
            found = await asyncio.to_thread(page_of, wanted, given.get("cursor") or None, ROWS)
        except BadFilter as bad:
            found, error = ListPage((), None, None), bad.message
        page = form.listed(found, filters, error)
        parts = (f"{name}.html", f"_{name}_list.html")
        response = self._renderer.followed(request, *parts, here=form.path, page=page, now=now, **values)
        if error is not None:
            response.status_code = BadFilter.status
        return response


def tabs(given: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """Return the common lists of runs: a label, the path with the current filters, and whether it is this list."""
    filters = RUNS.set(given)
    now = {name: filters.pop(name) for name in ("verdict", "state") if name in filters}
    return [(label, RUNS.url({**filters, **wanted}), wanted == now) for label, wanted in _TABS]
