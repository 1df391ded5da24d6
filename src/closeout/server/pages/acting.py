"""How a page acts: it answers with a sentence whatever happens, and writes a request in the visitor's name, once for a form.

Shared by all that visitors do; `deeds` and `cleanup` say what that is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from closeout.core.errors import CloseoutError, FormRefused, UsageError
from closeout.core.ids import parse_execution
from closeout.ports.access import ACT
from closeout.server.access import Visitor
from closeout.server.log import Log
from closeout.server.pages.confirmations import OneTimeForms
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Handler, Route, is_program
from closeout.server.parts import Acting

GLANCE = 3.0
"""Seconds to wait for a plan before the page says that it is being made."""
LOOK = 20.0
"""Seconds to wait for it then, and before a request is written. Connections wait 60 seconds for an answer."""
OUTCOME_SECONDS = 5.0
POLL = 0.05
LONGEST_REASON = 500


def acting_routes(
    path: str, show: Handler, act: Handler, renderer: Renderer, log: Log, here: str
) -> Sequence[Route]:
    """Return the routes of a confirmation and of its form."""
    return (
        Route("GET", path, ACT, explained(show, renderer, log, here)),
        Route("POST", path, ACT, explained(act, renderer, log, here)),
    )


def explained(answer: Handler, renderer: Renderer, log: Log, here: str) -> Handler:
    """Return a handler that answers an error with its sentence, also one of the ledger: who may act may know it."""

    async def answered(asked: Asked) -> Response:
        try:
            return await answer(asked)
        except CloseoutError as error:
            status = error.status if error.status < 500 else 503
            if status == 503:
                log.line("what a visitor asked for failed", by=by(asked), reason=error.message)
            if is_program(asked.request):
                return as_json(renderer, {"error": error.code, "message": error.message}, status)
            return notice(renderer, asked, status, error.message, here)

    return answered


def notice(renderer: Renderer, asked: Asked, status: int, text: str, here: str) -> Response:
    """Return a page that says why something did not work, with the navigation."""
    title = "Requested" if status == 202 else "This did not work"
    values = {"title": title, "text": clean(text), "verdict": None}
    return renderer.html(status, "notice.html", visitor_of(asked), here=here, **values)


def visitor_of(asked: Asked) -> Visitor:
    """Return who asks: the site admits nobody else to these routes."""
    assert asked.visitor is not None
    return asked.visitor


def by(asked: Asked) -> str:
    """Return who asks, as the ledger records it."""
    visitor = visitor_of(asked)
    return f"{visitor.name} ({'token' if visitor.form_token is None else 'pages'})"


def form_name(asked: Asked) -> str:
    """Return what a one-time value belongs to: one path and one session."""
    return f"{asked.request.url.path} {visitor_of(asked).number}"


async def once(forms: OneTimeForms, asked: Asked, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Return what `ask` returns, and call it once for each form. A token sends no form: each of its requests counts."""
    if visitor_of(asked).form_token is None:
        return await ask()
    if "once" not in asked.form:
        raise FormRefused("This form is not complete. Open its page again.")
    return await forms.once(form_name(asked), asked.form["once"], ask)


async def request(acting: Acting, log: Log, asked: Asked, kind: str, target: str | None) -> int:
    """Write a request with the visitor's name; return its number."""
    reason = " ".join(asked.form.get("reason", "").split()) or None  # one line in statuses and logs
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UsageError(f"A reason has at most {LONGEST_REASON} characters.")
    number = await asyncio.to_thread(acting.requests.add_request, kind, target, by(asked), reason)
    log.line(f"a visitor asked for {kind}", request=number, by=by(asked), target=target or "-")
    return number


async def outcome_of(acting: Acting, number: int) -> str | None:
    """Return what became of a request, None if nothing has after a few seconds."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + OUTCOME_SECONDS
    while (outcome := await asyncio.to_thread(acting.requests.outcome, number)) is None:
        if loop.time() > ends:
            return None
        await asyncio.sleep(POLL)
    return outcome


def started(outcome: str | None) -> list[str]:
    """Return the executions that an outcome names; none if it is a sentence."""
    names = (outcome or "").split(", ")
    try:
        for name in names:
            parse_execution(name)
    except UsageError:
        return []
    return names


def run_page(execution: str) -> str:
    """Return the path of an attempt's page."""
    run_id, attempt = parse_execution(execution)
    return f"/runs/{run_id}?attempt={attempt}"


def patience(asked: Asked) -> float:
    """Return how many seconds a page waits for its plan: little at first, longer once it has said that it waits."""
    return LOOK if "wait" in asked.request.query_params else GLANCE


def working(renderer: Renderer, asked: Asked, title: str, here: str) -> Response:
    """Return the answer while a plan is being made: it asks again by itself, without script too."""
    again = f"{asked.request.url.path}?wait"
    if is_program(asked.request):
        return as_json(renderer, {"state": "planning", "again": renderer.url(again)}, 202)
    limit = asked.request.query_params.get("limit")
    query = f"&{urlencode({'limit': limit})}" if limit else ""  # what a visitor sent must not end the header
    page = renderer.html(200, "planning.html", visitor_of(asked), here=here, title=title)
    page.headers["Refresh"] = f"1; url={renderer.url(again + query)}"
    return page


def as_json(renderer: Renderer, value: Mapping[str, Any], status: int) -> Response:
    """Return an answer to a program."""
    return Response(json.dumps(value), status, renderer.headers, media_type="application/json")
