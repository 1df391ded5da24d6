"""One connection to the fake GitHub: read, note, fail on purpose, answer.

Apart from the server's start and stop, because this is where HTTP is spoken, and broken on purpose.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from closeout.testing.github import control, graphql, rights
from closeout.testing.github.faults import Fault
from closeout.testing.github.hook_routes import HOOK_ROUTES
from closeout.testing.github.rights import Refused
from closeout.testing.github.routes import ROUTES, Call, ListedPage, list_owned
from closeout.testing.github.webhooks import HookOwner
from closeout.testing.github.world import Repository

if TYPE_CHECKING:
    from closeout.testing.github.server import FakeGitHub

_DOCS = "https://docs.github.com/rest"


class Moved(Exception):
    """The repository has another name now; the text is where."""


class Handler(BaseHTTPRequestHandler):
    """One connection. `fake` is bound by the server that makes it."""

    fake: FakeGitHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Write no access log: the journal is the log."""

    def do_GET(self) -> None:
        """Answer any method."""
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        parts = urlsplit(self.path)
        path = unquote(parts.path).removeprefix("/api/v3") or "/"
        query = dict(parse_qsl(parts.query))
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            self._send(400, {"message": "Problems parsing JSON", "documentation_url": _DOCS})
            return
        # GitHub Enterprise Server serves its keys on the host of the API.
        if path == "/_services/token/.well-known/jwks":
            self._send(200, {"keys": self.fake.workflow_keys})
        elif path.startswith("/_control/"):
            self._control(path.removeprefix("/_control/"), body, query)
        else:
            self._api(path, body, query)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base class looks for these names

    def _control(self, path: str, body: Any, query: dict[str, str]) -> None:
        try:
            self._send(200, control.answer(self.fake, self.command, path, body, query))
        except Refused as error:
            self._send(error.status, {"message": error.message})
        except (KeyError, TypeError, ValueError) as error:
            self._send(422, {"message": f"{type(error).__name__}: {error}"})

    def _api(self, path: str, body: Any, query: dict[str, str]) -> None:
        token = (self.headers.get("Authorization") or "").partition(" ")[2]
        known = self.fake.world.tokens.get(token)
        entry = self.fake.note(
            {
                "at": time.time(),
                "method": self.command,
                "path": path,
                "query": query,
                "headers": {k.lower(): v for k, v in self.headers.items() if k.lower() != "authorization"},
                "token": "none" if not token else "known" if known else "unknown",
                "body": body,
                "status": None,
            }
        )
        fault = self.fake.faults.hit(lambda fault: fault.is_about(self.command, path))
        if fault is not None and not fault.after and self._apply_fault(fault, entry):
            return
        status, answer, headers = self._answer(path, body, query, known)
        if known is not None and known["scopes"] is not None:
            headers = {**headers, "X-OAuth-Scopes": ", ".join(known["scopes"])}
        entry.update(status=status, answer=answer)
        if fault is not None and fault.after and self._apply_fault(fault, entry):
            return
        half = fault is not None and fault.kind in ("half", "trickle")
        if self.command == "GET" and status == 200:
            status, answer, headers = self._conditional(path, answer, json.dumps(answer), headers)
            entry["status"] = status
        self._send(status, answer, headers | self._rate(), cut=fault if half else None)

    def _conditional(
        self, path: str, answer: Any, text: str, headers: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        """Add the tag of a page, which is `text` as JSON, and the next one's address; 304 costs nothing."""
        tag = f'W/"{hashlib.sha256(text.encode()).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.fake.remaining += 1
            return 304, None, {"ETag": tag}
        following = answer.following if isinstance(answer, ListedPage) else None
        link = {"Link": f'<{self.fake.url}{path}?{urlencode(following)}>; rel="next"'} if following else {}
        return 200, answer, {**headers, "ETag": tag, **link}

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return GitHub's time, which is the fake's."""
        return super().date_time_string(self.fake.world.now() if timestamp is None else timestamp)

    def _answer(
        self, path: str, body: Any, query: dict[str, str], token: Any
    ) -> tuple[int, Any, dict[str, str]]:
        try:
            if token is not None and path == "/rate_limit":  # it does not count
                return 200, {"resources": {"core": {"remaining": self.fake.remaining, "limit": 5000}}}, {}
            self._admit(token)
            if path in ("/graphql", "/api/graphql"):
                return 200, graphql.answer(self.fake.world, body, token), {}
            return *self._route(path, body, query, token), {}
        except Moved as moved:
            status = 301 if self.command == "GET" else 307
            where = str(moved) + (f"?{urlencode(query)}" if query else "")
            return status, {"message": "Moved Permanently", "url": where}, {"Location": where}
        except Refused as error:
            answer: dict[str, Any] = {"message": error.message, "documentation_url": _DOCS}
            if error.errors is not None:
                answer["errors"] = error.errors
            return error.status, answer | {"status": str(error.status)}, error.headers
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return 422, {"message": f"Validation Failed: {error}", "documentation_url": _DOCS}, {}

    def _admit(self, token: Any) -> None:
        if token is None:
            raise Refused(401, "Bad credentials")
        if self.fake.remaining <= 0:
            raise Refused(403, "API rate limit exceeded for user ID 88000.")
        self.fake.remaining -= 1

    def _route(self, path: str, body: Any, query: dict[str, str], token: Any) -> tuple[int, Any]:
        if path == "/user":
            if token["user"] is None:
                raise Refused(403, "Resource not accessible by integration")
            return 200, token["user"]
        listed = list_owned(self.fake.world, path, query, token)
        if listed is not None:
            return 200, listed
        owner, rest = self._locate(path)
        # A token for single repositories sees no organization.
        if (
            token["repositories"] is not None
            and owner.path.removeprefix("/repos/") not in token["repositories"]
        ):
            raise Refused(404, "Not Found")
        if isinstance(owner, Repository):
            rights.check(token["rights"], self.command, rest)
        routes = HOOK_ROUTES if rest.startswith("/hooks") else ROUTES
        for pattern, answer in routes.items():
            found = re.fullmatch(pattern, f"{self.command} {rest}")
            if found:
                asked = (token["user"], body, query, found.groups())
                return answer(Call(self.fake.world, self.fake.sender, owner, *asked))
        raise Refused(404, "Not Found")

    def _locate(self, path: str) -> tuple[HookOwner, str]:
        """Find whom `/repos/owner/name/…`, `/repositories/ID/…` or `/orgs/LOGIN/hooks/…` is about, and the rest of the path."""
        world = self.fake.world
        organized = re.fullmatch(r"/orgs/([^/]+)(/hooks(?:/.*)?)", path)
        if organized and organized[1].lower() in world.organizations:
            return world.organizations[organized[1].lower()], organized[2]
        named = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        if named:
            if named[1].lower() in world.renamed:
                raise Moved(f"{self.fake.url}/repositories/{world.renamed[named[1].lower()]}{named[2] or ''}")
            return world.repository(named[1]), named[2] or ""
        numbered = re.fullmatch(r"/repositories/(\d+)(/.*)?", path)
        if numbered and int(numbered[1]) in world.repositories:
            return world.repositories[int(numbered[1])], numbered[2] or ""
        raise Refused(404, "Not Found")

    def _rate(self) -> dict[str, str]:
        remaining = max(self.fake.remaining, 0)
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Used": str(5000 - remaining),
            "X-RateLimit-Reset": str(int(time.time()) + 60),
            "X-RateLimit-Resource": "core",
        }

    # --- faults ---------------------------------------------------------------------------------------

    def _apply_fault(self, fault: Fault, entry: dict[str, Any]) -> bool:
        """Carry out a fault; return whether it answered (or dropped) the call."""
        entry["fault"] = fault.kind
        if fault.kind == "slow":
            fault.released.wait(fault.seconds)
        if fault.kind in ("never", "hold"):
            self._wait(fault)
        goes_on = fault.kind == "hold" and not self.fake.stopping.is_set() and not self._gone()
        if goes_on or fault.kind in ("slow", "half", "trickle"):
            return False
        if fault.kind in ("never", "hold", "drop"):
            self._drop()
            return True
        status, headers, body = fault.status, dict(fault.headers), fault.body
        if fault.kind == "rate-limit":
            status = fault.status if fault.status in (403, 429) else 403
            body = body or {
                "message": "You have exceeded a secondary rate limit.",
                "documentation_url": _DOCS,
            }
        elif fault.kind == "redirect":
            status = fault.status if 300 <= fault.status < 400 else 302
            headers["Location"] = fault.location or ""
        entry["status"] = status
        self._send(status, body if body is not None else {"message": "Server Error"}, headers)
        return True

    def _wait(self, fault: Fault) -> None:
        while not fault.released.wait(0.05):
            if self.fake.stopping.is_set() or self._gone():
                return

    def _gone(self) -> bool:
        """Whether the client hung up (a killed process closes its sockets)."""
        self.connection.setblocking(False)
        try:
            return len(self.connection.recv(1, socket.MSG_PEEK)) == 0
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.setblocking(True)

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self, status: int, body: Any, headers: dict[str, str] | None = None, *, cut: Fault | None = None
    ) -> None:
        text = isinstance(body, str)
        data = b"" if status in (204, 304) else body.encode() if text else json.dumps(body).encode()
        try:
            self.send_response(status)
            if status not in (204, 304):
                self.send_header("Content-Type", "text/html" if text else "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
            self.send_header("X-GitHub-Request-Id", "FAKE:0001")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if cut is None:
                self.wfile.write(data)
            else:
                self._send_part(cut, data)
        except OSError:
            self.close_connection = True

    def _send_part(self, fault: Fault, data: bytes) -> None:
        """Send half of the answer and hang up, or all of it one byte at a time (`seconds` between two)."""
        if fault.kind == "half":
            self.wfile.write(data[: len(data) // 2])
            self._drop()
            return
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            self.wfile.flush()
            if fault.released.wait(fault.seconds) or self.fake.stopping.is_set():
                return
