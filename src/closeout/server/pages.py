"""The pages that a Details link opens: one run, live while it goes on. Nothing can be listed.

Starlette and Jinja2 are imported here and only here, with the first page. Whoever has no right link gets the same
answer whether or not the run exists.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from closeout.actions.registry import builtin
from closeout.core import payload as core_payload
from closeout.core.errors import CloseoutError
from closeout.ports import DeliveryView, LogLine, LogWindow, PageReader, RunView
from closeout.server import details, presentation
from closeout.server.asgi import Receive, Scope, Send
from closeout.server.live import LiveRuns

HERE = Path(__file__).parent
REFRESH_SECONDS = 4


class Pages:
    """An ASGI application for `/runs/…`. `views` reads the ledger and is called in threads."""

    def __init__(
        self,
        views: PageReader,
        key: bytes,
        clock: Callable[[], float],
        draining: asyncio.Event,
        *,
        public_logs: bool = False,
    ) -> None:
        self._views = views
        self._key = key
        self._clock = clock
        self._public_logs = public_logs
        self._renderer = Renderer()
        self._live = LiveRuns(self._load, self._renderer, clock, draining)
        routes = [
            Route("/runs/{run_id}", self._page, methods=["GET"]),
            Route("/runs/{run_id}/live", self._stream, methods=["GET"]),
        ]
        missing = {404: self._missing, 405: self._missing}
        self._app = Starlette(routes=routes, exception_handlers=missing)
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below `/runs/`."""
        await self._app(scope, receive, send)

    async def _page(self, request: Request) -> Response:
        link = self._link(request)
        if link is None:
            return self._missing()
        before = details.line_id(request.query_params.get("before", ""))
        shown = await asyncio.to_thread(self._load, link, None, before)
        if shown is None:
            return self._missing()
        if link.expired:
            return self._renderer.expired(shown)
        return self._renderer.page(shown, link, self._clock(), newest=before is None)

    async def _stream(self, request: Request) -> Response:
        link = self._link(request)
        if link is None or link.expired:
            return self._missing()
        return await self._live.response(request, link) or self._missing()

    def _link(self, request: Request) -> details.Link | None:
        run_id = request.path_params["run_id"]
        return details.check(self._key, run_id, request.url.query, self._clock())

    def _missing(self, *_: Any) -> Response:
        return self._renderer.notice(
            404,
            "There is nothing here",
            "The link is incomplete, or closeout did not make it. Reopen the link from GitHub.",
        )

    def _load(self, link: details.Link, after: int | None = None, before: int | None = None) -> Shown | None:
        """Read what is shown, None if there is no such run. Called in threads.

        Of the log the first lines after line `after`, or else the last ones before line `before`.
        """
        run = self._views.run(link.run_id, link.attempt)
        if run is None:
            return None
        try:
            about = presentation.subject(core_payload.decode(self._views.body(run.delivery)))
        except CloseoutError:
            about = presentation.subject({})
        whole = about.private or self._public_logs
        shown = run if whole else presentation.for_anybody(run, _shows_plan)
        lines, left_out = self._log(link, after, before) if whole else LogWindow((), 0)
        return Shown(shown, about, self._views.delivery(run.delivery), lines, left_out=left_out, log=whole)

    def _log(self, link: details.Link, after: int | None, before: int | None) -> LogWindow:
        return self._views.log_window(
            link.run_id,
            link.attempt,
            after=after,
            before=before,
            limit=presentation.LOG_LINES,
            characters=presentation.LOG_CHARACTERS,
        )


def _shows_plan(uses: str) -> bool:
    """Whether a plan of this action is closeout's own words. One that this version does not know counts as own code."""
    actions = builtin()
    return uses in actions and not actions[uses].own_code


class Shown:
    """A run, read from the ledger for showing."""

    __slots__ = ("about", "delivery", "left_out", "lines", "log", "run")

    def __init__(
        self,
        run: RunView,
        about: presentation.Subject,
        delivery: DeliveryView | None,
        lines: Sequence[LogLine],
        *,
        left_out: int,
        log: bool,
    ) -> None:
        self.run = run
        self.about = about
        self.delivery = delivery
        self.lines = lines
        self.left_out = left_out
        """Lines of the log that go on where `lines` end."""
        self.log = log
        """Whether the log may be shown."""


class Renderer:
    """Templates, style and script, and the headers that go with every page."""

    def __init__(self) -> None:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            clean=presentation.clean, moment=presentation.moment, clock_time=presentation.clock_time
        )
        style = (HERE / "assets" / "page.css").read_text("utf-8")
        script = (HERE / "assets" / "page.js").read_text("utf-8")
        environment.globals.update(style=Markup(style), script=Markup(script))  # noqa: S704 - our own files
        self._environment = environment
        self.headers = _headers(style, script)

    def page(self, shown: Shown, link: details.Link, now: float, *, newest: bool) -> Response:
        """Return a run's page; `newest` says that it shows the end of the log, and so follows it."""
        return self._html(
            200,
            "run.html",
            **self.standing(shown, now, presentation.progress_of(shown.lines) if newest else {}),
            about=shown.about,
            delivery=shown.delivery,
            show_log=shown.log,
            lines=shown.lines,
            earlier=shown.left_out,
            newest=newest,
            last=shown.lines[-1].id if shown.lines else 0,
            query=link.query,
            refresh=REFRESH_SECONDS,
        )

    def expired(self, shown: Shown) -> Response:
        """Return the page of an expired link: the verdict and nothing else."""
        word = presentation.banner(shown.run, 0.0).word
        return self.notice(
            410, "This link has expired", "Details links work for 30 days. The run's result:", verdict=word
        )

    def notice(self, status: int, title: str, text: str, verdict: str | None = None) -> Response:
        """Return a page with one sentence."""
        return self._html(status, "notice.html", title=title, text=text, verdict=verdict)

    def fragment(self, name: str, **values: Any) -> str:
        """Return one part of the page, for a page that is open already."""
        return self._environment.get_template(name).render(**values)

    def standing(self, shown: Shown, now: float, progress: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the values of what changes while a run goes on; `progress` is the last line of each step."""
        return {
            "run": shown.run,
            "banner": presentation.banner(shown.run, now),
            "steps": presentation.steps(shown.run, now, progress),
        }

    def _html(self, status: int, name: str, **values: Any) -> Response:
        return HTMLResponse(self.fragment(name, **values), status, self.headers)


def _headers(style: str, script: str) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
