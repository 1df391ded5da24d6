"""The ASGI application: a table of paths, and the pages, which are imported at the first request for one.

It gets everything it needs as `ServerParts` and opens no file and reads no environment variable, so tests run the same
application over fakes and over a real ledger.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import replace
from typing import Any

import closeout
from closeout.core.errors import CloseoutError
from closeout.intake.answers import FAILED
from closeout.server import details
from closeout.server.asgi import App, Receive, Scope, Send, respond
from closeout.server.guard import GuardEndpoint
from closeout.server.health import Readiness
from closeout.server.metrics import CONTENT_TYPE, ServerMetrics
from closeout.server.parts import ServerParts
from closeout.server.webhook import Webhook

PAGES = {
    "", "login", "logout", "runs", "rerun", "pull-requests", "deliveries", "automations", "orphans", "health",
    "problems", "pause", "resume", "api",
}  # fmt: skip
"""The first segments of the pages' paths. On any other path, only a browser gets a page, which says that nothing is there."""
LOGGED_PATH = 300
"""Characters of a path and its query in the log."""
NOT_FOUND = b'{"error": "not-found", "message": "There is nothing at this path."}'
FORBIDDEN = b'{"error": "forbidden", "message": "Read metrics on this machine, or send the token."}'


class Application:
    """An ASGI application for every path except the webhook's, which `webhook` handles."""

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self.metrics = ServerMetrics()
        self._readiness = Readiness(parts.ready, parts.log)
        self.log = parts.log
        self.webhook = Webhook(parts, self.metrics)
        self._pages = Pages(parts)
        self._links = Pages(replace(parts, access=None)) if parts.pages_apart else self._pages
        self._routes: dict[str, App] = {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": self._metrics_page,
        }
        if parts.guard is not None:
            self._routes["/guard"] = GuardEndpoint(parts.guard, parts.log)

    def drain(self) -> None:
        """Report not ready."""
        self._readiness.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and log a request that is not a delivery. Texts of internal errors are never sent."""
        route = self._routes.get(scope["path"])
        await self._answer(route or self._links, scope, receive, send, logged=route is None)

    async def pages_alone(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and log a request at the pages' own address."""
        await self._answer(self._pages, scope, receive, send, logged=True)

    async def _answer(self, app: App, scope: Scope, receive: Receive, send: Send, *, logged: bool) -> None:
        began = time.perf_counter()
        status = 0

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the edge: it is logged and not sent
            self._parts.log.unexpected("a request failed", error)
            if not status:
                await respond(noting, FAILED.status, FAILED.body)
        if logged:
            query = details.redacted(scope["query_string"].decode("latin-1"))
            # Rate-limited by status, so that a flood of 404s hides no other line; a path may be 64 KB long.
            self._parts.log.backed_off(
                f"request answered with {status}",
                method=scope["method"][:16],
                path=(scope["path"] + (f"?{query}" if query else ""))[:LOGGED_PATH],
                ms=round((time.perf_counter() - began) * 1000, 1),
            )

    async def _health(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await _read_only(scope, send, 200, b'{"status": "ok"}')

    async def _ready(self, scope: Scope, _receive: Receive, send: Send) -> None:
        reason = await self._readiness.reason()
        if reason is None:
            await _read_only(scope, send, 200, b'{"status": "ready"}')
        else:
            await _read_only(scope, send, 503, reason)

    async def _metrics_page(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if not may_read_metrics(scope, self._parts.metrics_token):
            await respond(send, 403, FORBIDDEN)
            return
        try:
            stats = await asyncio.to_thread(self._parts.views.stats)
        except CloseoutError as error:
            self._parts.log.throttled("the ledger's statistics cannot be read", reason=error.message)
            stats = {}
        body = self.metrics.render(
            closeout.__version__, stats, self.webhook.held + self.webhook.unverified.held
        )
        headers = ((b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store"))
        await respond(send, 200, body, headers)


class Pages:
    """The pages, put together at the first request for one."""

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self._base = parts.access.base_path if parts.access else ""
        self._site: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = without_base(scope["path"], self._base)
        html = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        if not html and not is_page(path, signed_in=self._parts.access is not None):
            await respond(send, 404, NOT_FOUND)
            return
        if self._site is None:
            from closeout.server.pages.composition import compose  # noqa: PLC0415 - Starlette and Jinja2 cost 30 ms

            self._site = compose(self._parts)
        await self._site({**scope, "path": path}, receive, send)


def is_page(path: str, *, signed_in: bool) -> bool:
    """Whether a path belongs to the pages. `signed_in`: whether there are pages for signed-in visitors."""
    first = path[1:].partition("/")[0]
    return path.startswith(details.PATH) or (signed_in and first in PAGES)


def without_base(path: str, base: str) -> str:
    """Return a path without the base path of the public URL.

    Most proxies remove the base path. A visitor who bypasses the proxy, through a tunnel, follows the same links with it.
    """
    if base[1:].partition("/")[0] in PAGES or not f"{path}/".startswith(f"{base}/"):
        return path
    return path[len(base) :] or "/"


def may_read_metrics(scope: Scope, token: str | None) -> bool:
    """Whether a client has the token, or is on this machine and not behind a proxy.

    Behind a reverse proxy every client looks local, so a forwarded request needs the token.
    """
    headers = dict(scope["headers"])
    if token:
        given = headers.get(b"authorization", b"")
        if hmac.compare_digest(given, b"Bearer " + token.encode()):
            return True
    if any(name in headers for name in (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")):
        return False
    client = scope.get("client")
    return client is not None and client[0] in ("127.0.0.1", "::1", "::ffff:127.0.0.1")


async def _read_only(scope: Scope, send: Send, status: int, body: bytes) -> None:
    if scope["method"] in ("GET", "HEAD"):
        await respond(send, status, body)
        return
    refused = b'{"error": "method-not-allowed", "message": "Only GET is allowed on this path."}'
    headers = ((b"content-type", b"application/json"), (b"allow", b"GET, HEAD"))
    await respond(send, 405, refused, headers)
