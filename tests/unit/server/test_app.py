"""The application without its pages: what it answers, and what it logs of it."""

from __future__ import annotations

import asyncio
import io
import re
from types import SimpleNamespace
from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.server.app import LOGGED_PATH, Application, is_page, without_base
from closeout.server.asgi import Message
from closeout.server.log import Log
from tests.unit.server.wire import server_parts


class Asked:
    """An application, what it answered last, and what it logged."""

    def __init__(self, *, stats: Any = dict, **parts: Any) -> None:
        self.written = io.StringIO()
        self.sent: list[Message] = []
        self.fails_at = ""
        log = Log(stream=self.written, hold_seconds=0.0)
        views = SimpleNamespace(stats=stats)
        self.app = Application(server_parts(accept=None, log=log, views=views, **parts))

    def get(self, path: str, *, query: bytes = b"", method: str = "GET") -> int:
        """Return the status of an answer to a request from this machine, 0 without one."""
        self.sent = []
        scope = {
            "path": path,
            "query_string": query,
            "method": method,
            "headers": [],
            "client": ("127.0.0.1", 1),
        }
        asyncio.run(self.app(scope, self._receive, self._send))
        return next((each["status"] for each in self.sent if each["type"] == "http.response.start"), 0)

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == self.fails_at:
            raise RuntimeError("a defect")
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        """Return the last answer's body."""
        return b"".join(each.get("body", b"") for each in self.sent)

    @property
    def lines(self) -> list[str]:
        """Return what was logged, without the time."""
        return [line.partition("closeout: ")[2] or line for line in self.written.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("path", "query", "method", "logged"),
    [
        ("/x", b"", "GET", "method=GET path=/x "),
        ("/x", b"a=1", "POST", "method=POST path=/x?a=1 "),
        ("/x", b"a=1&signature=s3", "GET", "method=GET path=/x?a=1&signature=[redacted] "),
        ("/x", b"", "M" * 17, f"method={'M' * 16} path=/x "),
        ("/" + "x" * LOGGED_PATH, b"", "GET", f"method=GET path=/{'x' * (LOGGED_PATH - 1)} "),
    ],
)
def test_the_log_has_a_line_for_each_request(path: str, query: bytes, method: str, logged: str) -> None:
    """Of bounded length, and without what opens a page."""
    asked = Asked()
    assert asked.get(path, query=query, method=method) == 404
    (line,) = asked.lines
    assert re.fullmatch(re.escape(f"request answered with 404 {logged}") + r"ms=\d{1,3}\.\d", line)


def test_the_log_says_how_long_an_answer_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """In milliseconds, to the tenth."""
    moments = iter((10.0, 10.01234))
    monkeypatch.setattr("closeout.server.app.time", SimpleNamespace(perf_counter=lambda: next(moments)))
    asked = Asked()
    asked.get("/x")
    assert asked.lines[0].endswith(" ms=12.3")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_not_logged(path: str) -> None:
    """They come every few seconds."""
    asked = Asked()
    assert asked.get(path) == 200
    assert asked.lines == []


def test_a_defect_is_logged_and_answered_without_its_text() -> None:
    """A client gets one answer, or the part of one that was sent before the defect."""

    def stats() -> None:
        raise RuntimeError("at /srv/secret")

    asked = Asked(stats=stats)
    assert asked.get("/metrics") == 500
    assert b"/srv" not in asked.body
    assert asked.lines[0] == "a request failed: RuntimeError"
    assert "at /srv/secret" in asked.lines[-1]
    asked.fails_at = "http.response.body"
    assert asked.get("/healthz") == 200
    assert len(asked.sent) == 1


def test_metrics_say_what_is_held_even_when_the_ledger_cannot_be_read() -> None:
    """Bodies that arrive, and those that wait for their commit."""

    def stats() -> None:
        raise StoreUnavailable("locked")

    asked = Asked(stats=stats)
    asked.app.webhook.held = 1000
    asked.app.webhook.unverified.held = 30
    assert asked.get("/metrics") == 200
    assert b"\ncloseout_held_bytes 1030\n" in asked.body
    assert b"\ncloseout_connections 0\n" in asked.body
    assert b"\ncloseout_connections_max 0\n" in asked.body
    assert asked.lines == ["the ledger's statistics cannot be read reason=locked"]


def test_workflows_are_answered_where_somebody_may_ask() -> None:
    """Without a guard there is nothing at its path."""

    def guard(_token: str, _number: int) -> Any:
        raise AssertionError

    assert Asked(guard=guard).get("/guard", query=b"pull-request=17") == 401
    assert Asked().get("/guard") == 404


def test_a_server_that_drains_is_not_ready() -> None:
    """Load balancers send it nothing more; that it lives stays true."""
    asked = Asked()
    assert asked.get("/readyz") == 200
    asked.app.drain()
    assert asked.get("/readyz") == 503
    assert b'"draining"' in asked.body
    assert asked.get("/healthz") == 200


@pytest.mark.parametrize(
    ("path", "anybody", "signed_in"),
    [
        ("/runs/r-1", True, True),
        ("/runs", False, True),
        ("/", False, True),
        ("/api/runs", False, True),
        ("/healthz", False, False),
        ("/apix", False, False),
        ("/x/runs", False, False),
    ],
)
def test_without_sign_in_there_are_the_pages_of_details_links_only(
    path: str, anybody: bool, signed_in: bool
) -> None:
    """On any other path a program learns that nothing is there, without a page's imports."""
    assert is_page(path, signed_in=False) is anybody
    assert is_page(path, signed_in=True) is signed_in


@pytest.mark.parametrize(
    ("path", "base", "below"),
    [
        ("/closeout/runs", "/closeout", "/runs"),
        ("/closeout", "/closeout", "/"),
        ("/closeout/", "/closeout", "/"),
        ("/runs", "/closeout", "/runs"),
        ("/closeoutruns", "/closeout", "/closeoutruns"),
        ("/runs/r-1", "", "/runs/r-1"),
        ("/runs/r-1", "/runs", "/runs/r-1"),
    ],
)
def test_a_page_is_found_with_and_without_the_base_path(path: str, base: str, below: str) -> None:
    """A base path that is the name of a page is never taken off: nobody could tell which was meant."""
    assert without_base(path, base) == below
