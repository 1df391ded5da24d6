"""The pages and the JSON API as one Starlette application: authorize each request, and answer those that are refused.

Each group of pages declares what its routes need (`NOBODY`, `LINK`, `READ`, `ACT`), and only this module compares
that with the visitor. A test requests every route as every kind of visitor. Starlette and Jinja2 are imported at the first
request for a page.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as StarletteRoute

from closeout.core.errors import CloseoutError, CodeRefused, FormRefused, NotAllowed, NotFound, NotSignedIn
from closeout.ports import PageReader
from closeout.ports.access import ACT, READ
from closeout.server.access import LOGIN, SIGN_IN, SIGN_IN_PAGE, Access, PresentedSecret, Visitor
from closeout.server.asgi import Receive, Scope, Send, respond
from closeout.server.exchange import FORM_BYTES
from closeout.server.pages.rendering import MOST_COUNTED, Renderer
from closeout.server.pages.return_path import ReturnPath, looks_ahead

NOBODY, LINK = "nobody", "link"
"""What a route needs, if not the right `READ` or `ACT`: nothing, or a Details link, which its handler checks."""
API = "/api/"
FORM = "application/x-www-form-urlencoded"
FAILED = "closeout could not answer; its log says why. Try again."
BAD_HOST = b'{"error": "bad-request", "message": "The header Host is not a host and a port."}'
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class PageRequest(NamedTuple):
    """One authorized request. `form` has the fields of a POST. A page that needs `READ` always has a visitor."""

    http: Request
    visitor: Visitor | None
    form: Mapping[str, str]


Handler: TypeAlias = Callable[[PageRequest], Awaitable[Response]]


class Route(NamedTuple):
    """One path. A `POST` of a session must carry the session's form token."""

    method: str
    path: str
    needs: str
    answer: Handler


class Site:
    """An ASGI application over groups of routes."""

    def __init__(
        self,
        access: Access | None,
        renderer: Renderer,
        groups: Sequence[Sequence[Route]],
        views: PageReader,
    ) -> None:
        self._access = access
        self._views = views
        self._renderer = renderer
        self.routes: list[Route] = [
            *(self._own() if access else ()),
            *(each for group in groups for each in group),
        ]
        if access is None:
            self.routes = [route for route in self.routes if route.needs in (NOBODY, LINK)]
        pages = {route.path for route in self.routes if route.method == "GET"}
        shown = {
            path
            for path in pages
            if path != LOGIN and not path.startswith(API) and not path.endswith("/live")
        }
        self._return_path = ReturnPath(access, shown) if access else None
        renderer.paths = {route.path for route in self.routes}
        routes = [
            StarletteRoute(each.path, self._guarded(each), methods=[each.method]) for each in self.routes
        ]
        handlers = {404: self._missing, 405: self._missing, 500: self._failed}
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if any(name == b"host" and not _HOST.fullmatch(value) for name, value in scope["headers"]):
            await respond(send, 400, BAD_HOST)  # so that no URL is built from it
            return
        await self._app(scope, receive, send)

    def _own(self) -> Sequence[Route]:
        return (Route("GET", LOGIN, NOBODY, self._login), Route("POST", "/logout", READ, self._logout))

    def _guarded(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def answer(http: Request) -> Response:
            try:
                request = await self._admit(http, route)
                response = await route.answer(request)
                hidden = response.status_code >= 400 and request.visitor is None
                return self._with_return_path(http, response) if hidden else response
            except CloseoutError as error:
                if error.status >= 500:
                    raise  # the server logs it and sends none of it
                return self._refusal(http, error)

        return answer

    async def _admit(self, http: Request, route: Route) -> PageRequest:
        """Find the visitor and read the form. Raises `NotSignedIn`, `NotAllowed` or `FormRefused`."""
        if self._access is None:
            return PageRequest(http, None, {})
        presented = self._access.presented(http.headers)
        visitor = await asyncio.to_thread(self._visitor, self._access, presented) if presented else None
        if route.needs in (READ, ACT) and visitor is None:
            raise NotSignedIn(SIGN_IN)
        if route.needs == ACT and visitor is not None and not visitor.may_act:
            raise NotAllowed(
                "You may read here, but not act. `closeout open` makes a session that may do both."
            )
        form = await _form(http) if http.method == "POST" else {}
        if http.method == "POST" and visitor is not None:
            self._access.check_form(visitor, form, http.headers)
        return PageRequest(http, visitor, form)

    def _visitor(self, access: Access, presented: PresentedSecret) -> Visitor | None:
        """Return the visitor, with what the bar of the page shows. Called in threads."""
        visitor = access.visitor(presented)
        if visitor is None:
            return None
        problems = self._views.problem_count(MOST_COUNTED + 1)
        return visitor._replace(paused=self._views.paused(), problems=problems)

    def _refusal(self, http: Request, error: CloseoutError) -> Response:
        """Answer a client's error: with JSON for a program, with the sign-in page or a page with the sentence for a browser."""
        if is_program(http):
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
            content = {"error": error.code, "message": error.message}
            return self._renderer.json(content, error.status, headers)
        if isinstance(error, NotSignedIn) and http.method in ("GET", "HEAD"):
            response: Response = RedirectResponse(self._renderer.url(LOGIN), 303, self._renderer.headers)
            return self._with_return_path(http, response)
        if isinstance(error, NotSignedIn):
            says = f"Nothing was done. {SIGN_IN_PAGE}"
            return self._with_return_path(
                http, self._renderer.notice(error.status, "You are not signed in", says)
            )
        return self._renderer.notice(error.status, "This did not work", error.message)

    def _with_return_path(self, http: Request, response: Response) -> Response:
        """Return the answer for a visitor who can sign in, so that sign-in returns to the requested page."""
        return self._return_path.keep(http, response) if self._return_path else response

    async def _login(self, request: PageRequest) -> Response:
        assert self._access is not None
        assert self._return_path is not None
        http = request.http
        code = http.query_params.get("code")
        if code is None:
            return self._renderer.notice(200, "Sign in", SIGN_IN_PAGE)
        if http.method == "HEAD" or looks_ahead(http):
            # A preview must not use up the link.
            return Response(status_code=204, headers=self._renderer.headers)
        try:
            cookie = await asyncio.to_thread(self._access.sign_in, code, http.headers)
        except CodeRefused as error:
            return self._renderer.notice(error.status, "This link does not work", error.message)
        response = RedirectResponse("", 303, self._renderer.headers | {"Set-Cookie": cookie})
        response.headers["Location"] = self._renderer.url(self._return_path.lead(http, response))
        return response

    async def _logout(self, request: PageRequest) -> Response:
        assert self._access is not None
        assert request.visitor is not None
        if request.visitor.form_token is None:
            raise NotAllowed("A token has no session to end; `closeout token revoke` ends the token.")
        cookie = await asyncio.to_thread(self._access.sign_out, request.visitor, request.http.headers)
        headers = self._renderer.headers | {"Set-Cookie": cookie}
        return RedirectResponse(self._renderer.url(LOGIN), 303, headers)

    def _failed(self, http: Request, error: Exception) -> Response:
        """Answer an error of the server without its text, which may quote a path or a secret. The application logs it."""
        known = error if isinstance(error, CloseoutError) else CloseoutError("")
        if not is_program(http):
            return self._renderer.notice(known.status, "This did not work", FAILED)
        return self._renderer.json({"error": known.code, "message": FAILED}, known.status)

    def _missing(self, http: Request, _: Any) -> Response:
        if http.scope["path"].startswith(API):
            return self._refusal(http, NotFound("There is nothing at this path."))
        return self._renderer.missing()


async def _form(http: Request) -> dict[str, str]:
    """Return the fields of a form. Raises `FormRefused` for a body that was not read, which would look like an empty form."""
    kind = http.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    length = http.headers.get("content-length", "0")
    if "transfer-encoding" in http.headers or int(length) > FORM_BYTES:
        raise FormRefused(f"A form has at most {FORM_BYTES // 1024} KB and a Content-Length.")
    body = await http.body()
    if body and kind != FORM:
        raise FormRefused(f"Send the fields as {FORM}.")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def is_program(http: Request) -> bool:
    """Whether the answer is JSON: under `/api/`, and for clients that do not accept HTML."""
    path: str = http.scope["path"]  # `http.url` is built from Host, which clients control
    return path.startswith(API) or "text/html" not in http.headers.get("accept", "")
