"""An ASGI application on a connection: what it receives, how its answer is framed, and what ends it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from closeout.server.asgi import Receive, Scope, Send
from tests.unit.server.wire import App, Wire, play, turns

Answer = Callable[[Send], Awaitable[None]]
FORM = b"f=a"


def request(line: bytes = b"GET /a%20b?x=1 HTTP/1.1", *headers: bytes) -> bytes:
    """Return a request."""
    return b"\r\n".join((line, b"Host: h", *headers, b"", b""))


def page(answer: Answer) -> App:
    """Return an application that answers so."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send)

    return App(run)


def streamed(*pieces: bytes, status: int = 200, headers: Any = ()) -> Answer:
    """Return an answer in pieces, the last of which is empty."""

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return answer


def test_an_application_receives_the_request() -> None:
    """The path as sent, the client, and a request without a body; then nothing more."""
    seen: dict[str, Any] = {}

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        seen["received"] = await receive()
        again = asyncio.ensure_future(receive())
        await turns(3)
        seen["again"] = again.done()
        again.cancel()
        await streamed(b"x")(send)

    async def scene() -> None:
        wire = Wire(App(look))
        wire.send(request())
        await turns(20)
        assert wire.heads() == ["HTTP/1.1 200 OK"]

    play(scene)
    assert (seen["path"], seen["raw_path"], seen["query_string"]) == ("/a%20b", b"/a%20b", b"x=1")
    assert (seen["type"], seen["method"], seen["scheme"], seen["http_version"]) == (
        "http",
        "GET",
        "http",
        "1.1",
    )
    assert seen["client"] == ("192.0.2.7", 4711)
    assert seen["received"] == {"type": "http.request", "body": b"", "more_body": False}
    assert seen["again"] is False


@pytest.mark.parametrize(
    ("line", "status", "pieces", "length", "body", "kept"),
    [
        (b"GET / HTTP/1.1", 200, (b"ab", b"c"), 3, b"abc", True),
        (b"GET / HTTP/1.0", 200, (b"ab", b"c"), 3, b"abc", False),
        (b"HEAD / HTTP/1.1", 200, (b"ab", b"c"), 3, b"", True),
        (b"GET / HTTP/1.1", 304, (), None, b"", True),
        (b"GET / HTTP/1.1", 204, (), None, b"", True),
    ],
)
def test_an_answer_is_sent_whole_with_its_length(
    line: bytes, status: int, pieces: tuple[bytes, ...], length: int | None, body: bytes, kept: bool
) -> None:
    """In however many pieces the application makes it. To HEAD it has no body, and some statuses have no length either."""

    async def scene() -> None:
        wire = Wire(page(streamed(*pieces, status=status)))
        wire.send(request(line))
        await turns()
        head, _, rest = wire.written.partition(b"\r\n\r\n")
        said = re.search(rb"content-length: (\d+)", head)
        assert (None if said is None else int(said[1])) == length
        assert b"transfer-encoding" not in head
        assert rest == body
        assert (wire.done == []) is kept

    play(scene)


def test_an_answer_has_one_length() -> None:
    """Whatever case the name of the application's header has."""

    async def scene() -> None:
        wire = Wire(page(streamed(b"abc", headers=[(b"Content-Length", b"3")])))
        wire.send(request())
        await turns()
        assert wire.written.lower().count(b"content-length") == 1
        assert wire.written.endswith(wire.shared.date + b"content-length: 3\r\n\r\nabc")

    play(scene)


@pytest.mark.parametrize("value", [b"1\r\nset-cookie: a=b", b"1\n\n<h1>", b"a\rb", b"a\0b"])
def test_a_header_with_a_line_break_in_it_is_never_sent(value: bytes) -> None:
    """Whatever a page puts into it: the connection ends without an answer."""

    async def scene() -> None:
        with suppress(ValueError):
            wire = Wire(page(streamed(b"x", headers=[(b"location", value)])))
            wire.send(request())
            await turns()
            assert wire.written == b""
            assert wire.done != []

    play(scene)


def test_a_connection_closes_after_an_unread_body() -> None:
    """The rest of it must not be read as the next request."""

    async def scene() -> None:
        wire = Wire(page(streamed(b"x")))
        wire.send(request(b"POST / HTTP/1.1", b"Content-Length: 70000"))
        await turns()
        assert b"connection: close" in wire.written
        assert wire.done == ["eof", "resume"]

    play(scene)


def test_an_unread_body_delays_no_answer() -> None:
    """The connection waits for the application at once, and counts only the head."""

    async def scene() -> None:
        for method in (b"PUT", b"POST"):
            wire = Wire(page(streamed(b"x")))
            head = request(method + b" / HTTP/1.1", b"Content-Length: 70000")
            wire.send(head)
            assert (wire.waits_for, wire.held) == ("answer", len(head))

    play(scene)


@pytest.mark.parametrize("cut", range(len(FORM) + 1))
def test_a_form_is_read_before_the_application_starts(cut: int) -> None:
    """However it is cut into pieces, and the request after it is a request."""
    read: list[bytes] = []

    async def form(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        read.append((await receive())["body"])
        await streamed(b"x", headers=[(b"Content-Length", b"1")])(send)

    async def scene() -> None:
        wire = Wire(App(form))
        sent = request(b"POST / HTTP/1.1", b"Content-Length: %d" % len(FORM)) + FORM + request()
        head = len(sent) - len(FORM) - len(request())
        wire.send(sent[: head + cut])
        await turns()
        whole = cut == len(FORM)
        assert read == ([FORM] if whole else [])
        assert wire.held == (0 if whole else head + cut)
        wire.send(sent[head + cut :])
        await turns(16)
        assert read == [FORM, b""]
        assert "close" not in wire.done

    play(scene)


@pytest.mark.parametrize(("came", "told"), [(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"a", b"")])
def test_a_browser_that_expects_100_continue_gets_it(came: bytes, told: bytes) -> None:
    """Unless it did not wait; others do not get it."""

    async def scene() -> None:
        for asks, answer in ((b"Expect: 100-continue", told), (b"Accept: */*", b"")):
            wire = Wire(page(streamed(b"x")))
            length = b"Content-Length: %d" % (len(came) + 1)
            wire.send(request(b"POST / HTTP/1.1", length, asks) + came)
            assert (wire.written, wire.waits_for) == (answer, "body")
            wire.send(b"b")
            await turns()
            assert wire.heads()[-1:] == ["HTTP/1.1 200 OK"]

    play(scene)


def test_a_form_that_does_not_arrive_is_refused_in_time() -> None:
    """A sender that stops in the middle keeps neither the connection nor its memory."""

    async def scene() -> None:
        wire = Wire(page(streamed(b"x")))
        wire.send(request(b"POST / HTTP/1.1", b"Content-Length: 9") + b"form")
        await turns()
        assert wire.waits_for == "body"
        wire.connection.expire()
        assert b"408" in wire.written
        assert b"read-timeout" in wire.written

    play(scene)


@pytest.mark.parametrize("started", [False, True])
def test_an_application_that_does_not_finish_ends_its_connection(started: bool) -> None:
    """Half an answer is not kept open for the next one."""

    async def broken(send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise RuntimeError("a defect")

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        wire = Wire(page(broken))
        wire.send(request())
        await turns()
        assert wire.heads() == []
        assert wire.done[-1:] == ["close"]

    play(scene)


def test_nothing_is_sent_after_the_client_has_left() -> None:
    """The application stops, and the head is freed at once."""
    ended: list[str] = []

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")
            await send({"type": "http.response.body", "body": b"x"})

    async def scene() -> None:
        wire = Wire(page(answer))
        wire.send(request())
        await turns()
        exchange: Any = wire.connection._request
        assert exchange.held > 0
        wire.connection.abort()
        assert (exchange.head.headers, exchange.head.target) == ([], b"")
        await turns()
        assert ended == ["cancelled"]
        assert wire.written == b""
        assert wire.done == ["reset", "abort"]

    play(scene)
