"""What all pages that act share: every answer is a sentence, and a form writes one request, in the visitor's name.

`user_actions` and `batches` define what visitors can do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response

from closeout.core.errors import ChangedMeanwhile, CloseoutError, FormRefused, NotFound, UsageError
from closeout.core.ids import parse_execution
from closeout.core.payload import decode
from closeout.ports import RunView
from closeout.ports.access import ACT
from closeout.server.access import Visitor
from closeout.server.pages.confirmations import OneTimeForms, SlowReads
from closeout.server.pages.plans import Rows
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Handler, PageRequest, Route, is_program
from closeout.server.pages.wording import with_query
from closeout.server.parts import PageActions, ServerParts

GLANCE = 3.0
"""Seconds to wait for a plan before the page says that planning continues, and reloads itself."""
LOOK = 20.0
"""Seconds to wait for a plan before a request is written. Connections wait 60 seconds for an answer."""
OUTCOME_SECONDS = 5.0
POLL = 0.05
LONGEST_REASON = 500


class ActionPages:
    """The base of every group of pages that act. `seconds` is the limit of a plan."""

    def __init__(
        self, parts: ServerParts, page_actions: PageActions, renderer: Renderer, seconds: float
    ) -> None:
        self._views = parts.views
        self._page_actions = page_actions
        self._renderer = renderer
        self._log = parts.log
        self._redact = parts.redact
        self._forms = OneTimeForms(parts.clock)
        self._reads = SlowReads(seconds)

    def _both(self, path: str, show: Handler, act: Handler, here: str) -> Sequence[Route]:
        return (
            Route("GET", path, ACT, self._explained(show, here)),
            Route("POST", path, ACT, self._explained(act, here)),
        )

    def _run(self, run_id: str) -> RunView:
        """Return a run's latest attempt. Called in threads; raises `NotFound`."""
        run = self._views.run(run_id)
        if run is None:
            raise NotFound("The ledger has no such run; it may have been pruned.")
        return run

    def _finished_run(self, run_id: str) -> RunView:
        """Return a run that can be run again. Called in threads; raises `NotFound` or `ChangedMeanwhile`."""
        run = self._run(run_id)
        if run.state != "finished":
            raise ChangedMeanwhile(f"This run is {run.state}; it can be run again when it has finished.")
        return run

    def _plan_again(self, run: RunView) -> Rows:
        return self._page_actions.plan(run.event, decode(self._views.body(run.delivery)), only=run.automation)

    def _explained(self, answer: Handler, here: str) -> Handler:
        """Return a handler that answers every error with its sentence, even the ledger's, because its visitors may act."""

        async def answered(request: PageRequest) -> Response:
            try:
                return await answer(request)
            except CloseoutError as error:
                status, message = error.status if error.status < 500 else 503, self._said(error)
                if status == 503:
                    self._log.line("what a visitor asked for failed", by=by(request), reason=message)
                if is_program(request.http):
                    return self._renderer.json({"error": error.code, "message": message}, status)
                return self._notice(request, status, message, here)

        return answered

    def _said(self, error: CloseoutError) -> str:
        """Return an error for a visitor, redacted, because errors of GitHub or AWS may quote what was sent to them."""
        return self._redact(error.message)

    def _notice(self, request: PageRequest, status: int, text: str, here: str) -> Response:
        title = "Requested" if status == 202 else "This did not work"
        return self._renderer.notice(status, title, text, visitor=request.visitor, here=here)

    def _once_value(self, request: PageRequest) -> str:
        return self._forms.value(_form_name(request))

    async def _once(self, request: PageRequest, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `ask` returns, and call it once for each form. A token has no form, so each of its requests counts."""
        if visitor_of(request).form_token is None:
            return await ask()
        if "once" not in request.form:
            raise FormRefused("This form is not complete. Open its page again.")
        return await self._forms.once(_form_name(request), request.form["once"], ask)

    async def _request(self, request: PageRequest, kind: str, target: str | None) -> int:
        reason = " ".join(request.form.get("reason", "").split()) or None  # one line in statuses and logs
        if reason is not None and len(reason) > LONGEST_REASON:
            raise UsageError(f"A reason has at most {LONGEST_REASON} characters.")
        number = await asyncio.to_thread(
            self._page_actions.requests.add_request, kind, target, by(request), reason
        )
        self._log.line(f"a visitor asked for {kind}", request=number, by=by(request), target=target or "-")
        return number

    async def _outcome_of(self, number: int) -> str | None:
        """Return the outcome of a request; None if there is none after a few seconds."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + OUTCOME_SECONDS
        while (outcome := await asyncio.to_thread(self._page_actions.requests.outcome, number)) is None:
            if loop.time() > ends:
                return None
            await asyncio.sleep(POLL)
        return outcome

    def _working(self, request: PageRequest, title: str, here: str) -> Response:
        """Return the page to show while a plan is made. It reloads itself, even without script."""
        if is_program(request.http):
            again = with_query(request.http.url.path, **request.http.query_params)
            return self._renderer.json({"state": "planning", "again": self._renderer.url(again)}, 202)
        page = self._renderer.html(200, "planning.html", request.visitor, here=here, title=title)
        page.headers["Refresh"] = "1"
        return page


def visitor_of(request: PageRequest) -> Visitor:
    """Return the visitor; the site admits only signed-in visitors to these routes."""
    assert request.visitor is not None
    return request.visitor


def by(request: PageRequest) -> str:
    """Return the visitor's name for the ledger."""
    visitor = visitor_of(request)
    return f"{visitor.name} ({'token' if visitor.form_token is None else 'pages'})"


def _form_name(request: PageRequest) -> str:
    """Return the path and the session that a one-time value belongs to."""
    return f"{request.http.url.path} {visitor_of(request).number}"


def started(outcome: str | None) -> list[str]:
    """Return the executions that an outcome names; empty if it is a sentence."""
    names = (outcome or "").split(", ")
    try:
        for name in names:
            parse_execution(name)
    except UsageError:
        return []
    return names
