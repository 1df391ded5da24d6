"""Return to the requested page after sign-in.

A link of `closeout open` contains no page, so the browser keeps the requested page in a cookie that is sent only to `/login`.
Other programs on the same host can write that cookie, too, so its value is checked like any input: it must be a page of
this server that a GET shows.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from closeout.server.access import Access
from closeout.server.details import SECRETS
from closeout.server.pages.rendering import fits

COOKIE = "closeout_page"
LONGEST = 1000
"""Characters of an address that is kept. For a longer one, sign-in leads to the overview."""
_PURPOSES = ("sec-purpose", "purpose", "x-moz")
"""Headers with which browsers mark a prefetch."""
_NOT_KEPT = (*SECRETS, "expires", "part")
"""Fields of a query that grant access or belong to a script."""


def looks_ahead(request: Request) -> bool:
    """Whether the browser only prefetches a page."""
    return any("prefetch" in request.headers.get(name, "") for name in _PURPOSES)


class ReturnPath:
    """Keeps and finds the page. `pages` are the paths of the routes to which sign-in may lead."""

    def __init__(self, access: Access, pages: Collection[str]) -> None:
        self._access = access
        self._pages = pages

    def keep(self, request: Request, response: Response) -> Response:
        """Return the answer with a cookie that names the page, if a person asked for one."""
        # A script that updates an open page must not replace the page that its reader requested elsewhere.
        by_person = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        if by_person and not looks_ahead(request):
            query = request.scope["query_string"].decode("latin-1")
            page = self._own(request.scope["path"], query)
            if page is not None:
                value = base64.urlsafe_b64encode(page.encode()).decode().rstrip("=")
                self._set(request, response, value)
        return response

    def lead(self, request: Request, response: Response) -> str:
        """Return the page that the browser kept, and delete its cookie; the overview if there is none."""
        kept = request.cookies.get(COOKIE)
        if kept is None:
            return "/"
        self._set(request, response, "")
        try:
            text = base64.urlsafe_b64decode(kept + "==").decode()
        except ValueError:
            return "/"
        path, _, query = text.partition("?")
        return self._own(path, query) or "/"

    def _own(self, path: str, query: str) -> str | None:
        """Return the address of a page of this server; None for any other path. Paths are percent-encoded, as sent."""
        parts = path.split("/")
        if any(unquote(part) in (".", "..") for part in parts) or not any(
            fits(page.split("/"), parts) for page in self._pages
        ):
            return None
        fields = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in _NOT_KEPT]
        address = quote(path, safe="/%") + (f"?{urlencode(fields)}" if fields else "")
        return address if len(address) <= LONGEST else None

    def _set(self, request: Request, response: Response, value: str) -> None:
        response.headers.append("Set-Cookie", self._access.login_cookie(COOKIE, value, request.headers))
