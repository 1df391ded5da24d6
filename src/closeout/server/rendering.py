"""Turn a run into HTML: the templates, their style and script, and the headers of every page.

The style and the script are part of the page, so the headers name their digests and allow no other.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from closeout.ports import DeliveryView, LogLine, RunView
from closeout.server import details, presentation
from closeout.server.access import Visitor

HERE = Path(__file__).parent
REFRESH_SECONDS = 4


class Shown(NamedTuple):
    """A run, read from the ledger for showing."""

    run: RunView
    about: presentation.Subject
    delivery: DeliveryView | None
    lines: Sequence[LogLine]
    left_out: int
    """Lines of the log that go on where `lines` end."""
    log: bool
    """Whether the log may be shown."""


class Renderer:
    """Templates, style and script, and the headers that go with every page."""

    def __init__(self, base_path: str = "") -> None:
        self._base_path = base_path
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
        environment.globals.update(style=Markup(style), script=Markup(script), url=self.url)  # noqa: S704 - our own files
        self._environment = environment
        self.headers = _headers(style, script)
        policy = self.headers["Content-Security-Policy"]
        self._form_headers = {
            "Content-Security-Policy": policy.replace("form-action 'none'", "form-action 'self'"),
            "Referrer-Policy": "same-origin",  # without it, browsers send a form with the origin `null`
        }

    def page(
        self, shown: Shown, link: details.Link, visitor: Visitor | None, now: float, *, newest: bool
    ) -> Response:
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
            visitor=visitor,
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

    def url(self, path: str) -> str:
        """Return the path of a page for a link, below the base path of the public URL."""
        return self._base_path + path

    def missing(self) -> Response:
        """Return the page of whatever is not there, or of a link that opens nothing."""
        return self.notice(
            404,
            "There is nothing here",
            "The link is incomplete, or closeout did not make it. Reopen the link from GitHub.",
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

    def signed_in(self, name: str, visitor: Visitor, **values: Any) -> Response:
        """Return a page for somebody who is signed in: it may send forms to this server."""
        page = self._html(200, name, visitor=visitor, **values)
        page.headers.update(self._form_headers)
        return page

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
