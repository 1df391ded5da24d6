"""Render pages as HTML: the templates, their style and script, and the headers of every page.

The style and the script are part of the page, so the headers name their digests and allow no other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from closeout.core.units import counted
from closeout.server.access import Visitor
from closeout.server.pages import presentation, wording

if TYPE_CHECKING:
    from closeout.server.pages.site import PageRequest

HERE = Path(__file__).parent
NAVIGATION = (
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/deliveries", "Deliveries"),
    ("/automations", "Automations"),
    ("/orphans", "Orphans"),
    ("/health", "Health"),
)
"""The links in the bar of a page, for visitors who may see more than one run."""
MOST_COUNTED = 99
"""Problems that the bar of a page counts; beyond that it shows a `+`."""
FORM_HEADERS = {"Referrer-Policy": "same-origin"}
"""For pages with forms that act: without it, browsers send a form with the origin `null`."""
_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(presentation.failure_text, presentation.step_name, wording.about_of, wording.ago, counted),
    *(wording.delivery_path, wording.event_of, wording.execution_path, wording.delivery_source),
    *(wording.pull_request_path, wording.run_path, wording.with_query),
)
"""Functions that templates call by their own names."""
_ICONS = {
    "success": ("1a7f37", "M4 8.2l2.7 2.7L12 5.4"),
    "failure": ("cf222e", "M5 5l6 6M11 5l-6 6"),
    "running": ("0969da", "M4.5 8h0M8 8h0M11.5 8h0"),
    "waiting": ("9a6700", "M6.2 5v6M9.8 5v6"),
    "cancelled": ("57606a", "M4.5 8h7"),
}
_NEUTRAL = ("57606a", "M4 8.2l2.7 2.7L12 5.4")
"""Colour and drawing of a page's icon by tone."""


class Renderer:
    """Templates, style and script, and the headers that go with every page.

    Every text in a template is escaped and has no control characters: titles, branches and log lines come from outside.
    `base_path` is the path of the public URL: every link of a template to another page is `url(path)`.
    """

    def __init__(self, base_path: str = "") -> None:
        self._base_path = base_path
        environment = jinja2.Environment(
            # All are read now, so that an upgrade cannot give a running server templates of another version.
            loader=jinja2.DictLoader(
                {file.name: file.read_text("utf-8") for file in (HERE / "templates").glob("*.html")}
            ),
            auto_reload=False,
            autoescape=True,
            finalize=_shown,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            coded=coded, moment=presentation.moment, clock_time=presentation.clock_time
        )
        style = _assets("base.css", "run.css", "lists.css")
        script, live = _assets("run.js"), _assets("live.js")
        environment.globals.update(
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            live_script=Markup(live),  # noqa: S704
            favicon=favicon,
            most_counted=MOST_COUNTED,
            url=self.url,
            link=self.link,
            banner_of=presentation.banner,
            words=presentation.WORDS,
            **{function.__name__: function for function in _FUNCTIONS},
        )
        self._environment = environment
        self.paths: Collection[str] = ()
        """The routes of this server. Links lead only to them."""
        self.headers = _headers(style, script, live)

    def url(self, path: str) -> str:
        """Return the path of a page for a link, below the base path of the public URL."""
        return self._base_path + path

    def link(self, path: str) -> str | None:
        """Return the link to a path, None if this server does not answer it."""
        parts = path.partition("?")[0].split("/")
        known = any(fits(route.split("/"), parts) for route in self.paths)
        return self.url(path) if known else None

    def missing(self) -> Response:
        """Return the page for a path that does not exist, or a link that is not valid."""
        text = "The link is incomplete, or this page does not exist. Open the link from GitHub or from the message again."
        title = "There is nothing here"
        return self.notice(404, title, text, home=self.link("/"))

    def notice(self, status: int, title: str, text: str, **values: Any) -> Response:
        """Return a page with one sentence, and with a `verdict` or a link `home`."""
        return self.html(status, "notice.html", title=title, text=text, **values)

    def fragment(self, name: str, **values: Any) -> str:
        """Return a part of a page, to update an open page."""
        return self._environment.get_template(name).render(**values)

    def json(
        self, value: Mapping[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        """Return an answer to a program or a script."""
        return Response(
            json.dumps(value), status, self.headers | (headers or {}), media_type="application/json"
        )

    def followed(self, request: PageRequest, name: str, part: str, *, here: str, **values: Any) -> Response:
        """Return a page, or for an open page only its template `part`, if that has changed.

        `live.js` requests it with `?part=live` and the tag of the version that it shows.
        """
        if request.http.query_params.get("part") != "live":
            return self.html(200, name, request.visitor, here=here, **values)
        text = self.fragment(part, visitor=request.visitor, **values)
        tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        headers = self.headers | {"ETag": tag}
        if request.http.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(text, headers=headers)

    def html(
        self, status: int, name: str, visitor: Visitor | None = None, *, here: str = "", **values: Any
    ) -> Response:
        """Return a page; without a visitor it has no navigation. `here` is the path in `NAVIGATION` to mark."""
        nav = [(path, label) for path, label in NAVIGATION if visitor is not None and self.link(path)]
        text = self.fragment(name, visitor=visitor, nav=nav, here=here, **values)
        headers = self.headers if visitor is None else self.headers | FORM_HEADERS
        return HTMLResponse(text, status, headers)


def fits(route: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the parts of a path match a route."""
    return len(route) == len(parts) and all(
        known == given or known.startswith("{") for known, given in zip(route, parts, strict=True)
    )


def favicon(tone: str) -> str:
    """Return the address of a page's icon, which shows the state by its colour and its drawing."""
    colour, drawing = _ICONS.get(tone, _NEUTRAL)
    image = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
        f"<rect width='16' height='16' rx='4' fill='#{colour}'/><path d='{drawing}' fill='none' stroke='white' "
        "stroke-width='2' stroke-linecap='round' stroke-linejoin='round'/></svg>"
    )
    return "data:image/svg+xml," + quote(image, safe=" ='/:")


def _shown(value: object) -> object:
    return presentation.clean(value) if type(value) is str else value


def coded(text: str) -> Markup:
    """Return a sentence as HTML, with text between backticks as code."""
    parts = re.split("`([^`\n]+)`", presentation.clean(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _assets(*names: str) -> str:
    return "".join((HERE / "assets" / name).read_text("utf-8") for name in names)


def _headers(style: str, *scripts: str) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        "script-src " + " ".join(f"'{_hash(script)}'" for script in scripts),
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'self'",
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
