"""Why a host did not answer: each cause has a name and says whether to retry. Also which connections are kept."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from closeout.adapters import transport
from closeout.adapters.deadline import DeadlineConnection
from closeout.adapters.transport import NoAnswer, Transport
from closeout.core.url import parse
from closeout.ports import HttpAnswer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (TimeoutError("x"), "ReadTimeout", True),
        (socket.gaierror("x"), "NameResolution", True),
        (ConnectionRefusedError("x"), "ConnectionError", True),
        (ssl.SSLError("x"), "TLS", True),
        (transport._Refused("it is refused"), "RefusedAddress", False),
        (ValueError("x"), "BadRequest", False),
        (http.client.InvalidURL("x"), "BadRequest", False),
        (UnicodeEncodeError("ascii", "é", 0, 1, "x"), "BadRequest", False),
        (http.client.IncompleteRead(b""), "ConnectionError", True),
        (ConnectionResetError("x"), "ConnectionError", True),
    ],
)
def test_each_cause_has_a_name(error: Exception, reason: str, again: bool) -> None:
    """A request that cannot or must not be sent is not sent again."""
    found = transport._translate(error, "h.example", 5.0)
    assert (found.reason, found.transient) == (reason, again)
    assert "h.example" in str(found) or "refused" in str(found)


@contextmanager
def answering(*answers: bytes, close: bool = False) -> Iterator[tuple[str, list[int]]]:
    """Yield a server's URL and the connection number of each request; it gives its answers in turn.

    With `close` it closes a connection after an answer that did not announce it.
    """
    left, served = list(answers), []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        number = 0
        while left:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            number += 1
            with accepted:
                while left and b"\r\n\r\n" in accepted.recv(65_536):
                    served.append(number)
                    accepted.sendall(left.pop(0))
                    if close:
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x", served
    finally:
        listening.close()
        thread.join(10)


def get(sender: Transport, url: str, limit: int = 1_000) -> HttpAnswer:
    """Send one request."""
    return sender.send("GET", parse(url), headers={}, body=None, timeout=5.0, limit=limit)


def refused(sender: Transport, url: str, limit: int = 1_000) -> tuple[str, bool]:
    """Return why there is no answer, and whether to come again."""
    with pytest.raises(NoAnswer) as caught:
        get(sender, url, limit)
    return caught.value.reason, caught.value.transient


def close(sender: Transport) -> None:
    """Close its idle connections."""
    for _, connection in sender._kept:
        connection.close()


def test_a_connection_is_kept_for_the_next_request() -> None:
    """Whatever was requested before, to one origin."""
    sender = Transport()
    with answering(OK, OK) as (url, served):
        assert [get(sender, url).body, get(sender, url + "?y").body] == [b"ok", b"ok"]
        assert served == [1, 1]
        close(sender)


def test_a_small_request_is_sent_at_once() -> None:
    """Otherwise its body would wait for an acknowledgement of its head, which a server may delay."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = DeadlineConnection(f"127.0.0.1:{server.getsockname()[1]}", None, time.monotonic() + 60)
        made.connect()
        connected = cast("Any", made.sock)._socket
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        made.close()
        assert connected.fileno() == -1, "closed, not left to whoever collects it"


def chunked(size: int) -> bytes:
    """Return an answer of so many bytes that does not announce how many there are."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)


@pytest.mark.parametrize(
    ("first", "limit", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 2, ("TooLarge", False)),
        (chunked(transport.PIECE + 1), transport.PIECE, ("TooLarge", False)),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, 1_000, ("ConnectionError", True)),
        (b"SSH-2.0-x\r\n", 1_000, ("ConnectionError", True)),
    ],
    ids=["too large", "too large in chunks", "early", "no HTTP"],
)
def test_a_connection_is_kept_only_after_a_whole_answer(
    first: bytes, limit: int, reason: tuple[str, bool]
) -> None:
    """Otherwise the next answer would be the rest of this one. An answer may be as long as the limit."""
    sender = Transport()
    with answering(first, OK) as (url, served):
        assert refused(sender, url, limit) == reason
        assert get(sender, url, limit=2).body == b"ok"
        assert served == [1, 2]
        close(sender)


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["length", "chunks"],
)
def test_half_an_answer_is_refused(half: bytes) -> None:
    """A list that was cut off would look complete."""
    with answering(half, close=True) as (url, _):
        assert refused(Transport(), url) == ("ConnectionError", True)


def test_a_connection_closed_by_the_server_is_not_used_again() -> None:
    """A kept connection says nothing about the server."""
    sender = Transport()
    with answering(OK, OK, close=True) as (url, served):
        assert get(sender, url).body == b"ok"
        _, connection = sender._kept[0]
        _wait_for(connection.dropped)
        assert get(sender, url).body == b"ok"
        assert served == [1, 2]
        assert connection.sock is None, "a process has so many files and no more"


def test_over_https_nothing_is_sent_before_the_handshake() -> None:
    """A request carries a token."""
    sender = Transport()
    with answering(OK) as (url, served):
        assert refused(sender, url.replace("http:", "https:")) == ("TLS", True)
        assert get(sender, url).body == b"ok"
        assert served == [2]
        close(sender)


def test_kept_connections_are_limited() -> None:
    """The one that was unused for the longest time is closed."""
    sender = Transport(connections=1)
    with answering(OK) as (first, _), answering(OK) as (second, _):
        get(sender, first)
        (_, kept), *_ = sender._kept
        get(sender, second)
        assert [origin for origin, _ in sender._kept] == [parse(second).origin]
        assert kept.sock is None
        close(sender)


def test_values_of_one_header_are_joined() -> None:
    """Two `Location`s are neither."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: /a\r\nlocation: /b\r\nContent-Length: 0\r\n\r\n"
    with answering(answer) as (url, _):
        sender = Transport()
        assert get(sender, url).headers["location"] == "/a, /b"
        close(sender)


def _wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def test_a_connection_that_times_out_has_its_own_name() -> None:
    """Nothing was sent yet, so even a request that must not be repeated can be tried again."""
    with pytest.raises(NoAnswer, match=r"^127\.0\.0\.1 did not accept a connection in time$") as caught:
        Transport()._connect(parse("http://127.0.0.1:9"), 0.0)
    assert (caught.value.reason, caught.value.transient) == ("ConnectTimeout", True)


@pytest.mark.parametrize(
    ("found", "share"),
    [(["127.0.0.9", "127.0.0.1", "127.0.0.8"], 5.0), (["127.0.0.9", "127.0.0.1"], 10.0)],
)
def test_an_address_that_refuses_leaves_time_for_the_others(found: list[str], share: float) -> None:
    """Each gets an equal share of the remaining time, and the first that answers is used."""

    class Several(DeadlineConnection):
        def addresses(self) -> list[str]:
            return found

        def _left(self) -> float:
            return 10.0

    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Several("several.test", None, 0.0, server.getsockname()[1])
        with made._connected() as connected:
            assert connected.getpeername()[0] == "127.0.0.1"
            assert connected.gettimeout() == share
