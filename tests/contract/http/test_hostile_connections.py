"""Peers that never finish: each connection ends in a bounded time, and nobody takes all places."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from closeout.server.bodies import Limits
from closeout.server.exchange import Exchange
from closeout.server.protocol import Connection
from closeout.server.shared import Timers
from closeout.server.upload import Upload
from tests.contract.http import strangers
from tests.contract.http.serving import Running, serving
from tests.until import until

QUICK = Timers(head=0.6, idle=0.6, answer=5.0, write=0.6, linger=0.3)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server with short timers."""
    with serving(timers=QUICK, limits=Limits(read_seconds=0.6)) as running:
        yield running


def side_by_side(ends: Callable[[str], bool], cases: Iterable[str]) -> list[str]:
    """Try all cases at once, because each waits for a timer; return those that did not end."""
    names = list(cases)
    with ThreadPoolExecutor(len(names)) as pool:
        return [name for name, ended in zip(names, pool.map(ends, names), strict=True) if not ended]


def answered(server: Running, request: bytes = strangers.GET) -> socket.socket:
    """Return a connection on which one request has been answered."""
    connection = server.connect()
    connection.sendall(request)
    assert connection.recv(65536).startswith(b"HTTP/1.1 ")
    return connection


AFTER_AN_ANSWER: dict[str, bytes] = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "half an empty line": b"\r",
    "a byte of a head": b"G",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "a head without its body": strangers.upload(10),
    "a byte of a body": strangers.upload(10) + b"x",
    "a large body that stops": strangers.upload(2_000_000) + b"x" * 100_000,
}


def test_silence_after_an_answer_ends(server: Running) -> None:
    """Whatever follows a keep-alive answer, the connection ends by a timer."""

    def ends(case: str) -> bool:
        with answered(server) as connection:
            connection.sendall(AFTER_AN_ANSWER[case])
            with suppress(TimeoutError):
                strangers.everything(connection)
                return True
        return False

    assert side_by_side(ends, AFTER_AN_ANSWER) == [], "these are still open"


def test_a_body_that_nobody_reads_ends_its_connection(server: Running) -> None:
    """The answer comes without the body, and the connection ends even if the body does not."""
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        assert b"connection: close" in strangers.everything(connection)


DRIPS: dict[str, tuple[bytes, bytes]] = {
    "empty lines": (b"", b"\r\n"),
    "a head": (b"GET / HTTP/1.1\r\nX-A: ", b"x"),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"),
    "a body": (strangers.upload(100_000), b"x"),
    "a large body": (strangers.upload(20_000_000), b"x"),
    "chunks": (
        b"POST /webhook HTTP/1.1\r\nHost: x\r\n"
        + strangers.SIGNATURE
        + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n",
    ),
    "trailers": (
        b"POST /webhook HTTP/1.1\r\nHost: x\r\n"
        + strangers.SIGNATURE
        + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        b"X-A: b\r\n",
    ),
}


def test_single_bytes_are_no_progress(server: Running) -> None:
    """A peer that sends a little within each timer does not move its deadline."""

    def ends(case: str) -> bool:
        first, piece = DRIPS[case]
        with server.connect() as connection:
            connection.sendall(first)
            return strangers.drip(connection, piece, 0.1, 10)

    assert side_by_side(ends, DRIPS) == [], "these are still open"


def test_an_empty_line_between_requests_is_ignored(server: Running) -> None:
    """Some clients send one after a body; RFC 9112, 2.2 asks a server to ignore it."""
    last = strangers.GET.replace(b"Host", b"Connection: close\r\nHost")
    with server.connect() as connection:
        connection.sendall(strangers.GET + b"\r\n" + last)
        assert strangers.everything(connection).count(b"HTTP/1.1 200") == 2


def test_answers_that_nobody_reads_end_the_connection(server: Running) -> None:
    """Pipelined requests stop when their answers are not read, and a timer ends the connection."""
    closed = server.app.metrics.closed["answer"]
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(0.2)
        requests = b"GET /runs/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 5000

        def over() -> bool:
            nonlocal requests
            with suppress(TimeoutError, ConnectionError):
                requests = requests[connection.send(requests) :]
            return server.app.metrics.closed["answer"] > closed

        until("the end of a connection that reads nothing", over)
        assert strangers.is_closed(connection)


def test_a_half_closed_connection_still_gets_its_answer(server: Running) -> None:
    """A sender may close its side after a whole request; then the connection ends."""
    with server.connect() as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert strangers.everything(connection).startswith(b"HTTP/1.1 200")


def test_a_thousand_requests_in_one_piece_are_answered_in_turn(server: Running) -> None:
    """Pipelining works, however the requests are cut into pieces."""
    requests = strangers.GET * 999 + strangers.GET.replace(b"Host", b"Connection: close\r\nHost")
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(requests), 4999):
            connection.sendall(requests[start : start + 4999])
        assert strangers.everything(connection).count(b"HTTP/1.1 200") == 1000


# --- places ---------------------------------------------------------------------------------------------------


def test_a_full_server_still_accepts_a_delivery() -> None:
    """The connection that has waited longest makes room: holding all of them blocks nobody."""
    with serving(most=16) as server, strangers.many(40, lambda: answered(server)) as held:
        assert server.deliver().status == 202
        assert strangers.is_closed(held[0])
        assert not strangers.is_closed(held[-1])
        assert server.app.metrics.connections() <= 16
        assert server.app.metrics.closed["full"] >= 24
        assert any("connection limit reached" in line for line in server.log)
        text = server.send("GET", "/metrics").body.decode()
    assert 'closeout_connections_closed_total{reason="full"}' in text
    assert "closeout_connections_max 16" in text


def test_a_request_that_is_being_answered_keeps_its_place() -> None:
    """A delivery that waits for its commit is not closed for a newcomer."""
    with serving(most=4) as server:
        server.store.hold.clear()
        with server.connect() as waiting:
            body, signed = _delivery()
            waiting.sendall(signed + body)
            until("the delivery at the store", lambda: server.app.webhook.held)
            with strangers.many(12, server.connect):
                until("a full server", lambda: server.app.metrics.closed["full"] >= 8)
                server.store.hold.set()
                assert waiting.recv(4096).startswith(b"HTTP/1.1 202")


def test_a_client_that_delivered_is_the_last_to_make_room() -> None:
    """An idle connection that brought a verified delivery stays; others make room for each other."""
    with serving(most=4) as server, server.connect() as proxy:
        body, signed = _delivery()
        proxy.sendall(signed + body)
        assert proxy.recv(4096).startswith(b"HTTP/1.1 202")
        with strangers.many(12, server.connect):
            until("a full server", lambda: server.app.metrics.closed["full"] >= 9)
            assert not strangers.is_closed(proxy)


def test_one_address_has_a_share() -> None:
    """An address that is not a trusted proxy gets an eighth; another one is still served."""
    with (
        serving(most=64, trusted_proxies=("127.0.0.1",)) as server,
        strangers.many(20, lambda: strangers.connect(server.port, source="127.0.0.9")),
    ):
        until("the share to be used up", lambda: server.app.metrics.closed["address-share"] >= 12)
        assert server.app.metrics.connections() == 8
        assert server.deliver().status == 202
        assert any("share" in line and "127.0.0.9" in line for line in server.log)


def test_a_trusted_proxy_has_no_share() -> None:
    """By default loopback is trusted: there the reverse proxy is."""
    with serving(most=64) as server, strangers.many(40, server.connect):
        until("forty connections", lambda: server.app.metrics.connections() == 40)
        assert server.app.metrics.closed["address-share"] == 0


# --- memory ---------------------------------------------------------------------------------------------------


@contextmanager
def without_garbage_collector() -> Iterator[None]:
    """Free nothing but by its last reference."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _reset_after_the_answer(server: Running) -> None:
    connection = answered(server, strangers.head(60_000))
    strangers.reset(connection)


def _reset_in_a_body(server: Running) -> None:
    connection = server.connect()
    connection.sendall(strangers.upload(100_000) + b"x" * 50_000)
    strangers.reset(connection)


def _reset_in_a_large_body(server: Running) -> None:
    connection = server.connect()
    connection.sendall(strangers.upload(2_000_000) + b"x" * 1_100_000)
    spool = server.app.webhook.spool
    until("its task to wait for more", lambda: spool.bytes > 1_000_000)
    strangers.reset(connection)
    until("the spool to be empty", lambda: spool.files == 0)


def _reset_in_a_chunked_body(server: Running) -> None:
    connection = server.connect()
    connection.sendall(
        b"POST /webhook HTTP/1.1\r\n" + strangers.SIGNATURE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"
    )
    strangers.reset(connection)


def _wrong_signature(server: Running) -> None:
    connection = answered(server, strangers.upload(10) + b"x" * 10)
    strangers.reset(connection)


@pytest.mark.parametrize(
    "attack",
    [
        _reset_after_the_answer,
        _reset_in_a_body,
        _reset_in_a_large_body,
        _reset_in_a_chunked_body,
        _wrong_signature,
    ],
)
def test_a_connection_that_ends_is_freed_without_the_garbage_collector(
    attack: Callable[[Running], None],
) -> None:
    """Nothing refers to itself: 40 MB of heads must not wait for a rare collection."""
    with serving() as server, without_garbage_collector():
        for _ in range(5):
            attack(server)
        until("all of them to be freed", lambda: server.app.metrics.connections() == 0 and not _alive())
        until("the spool to be empty", lambda: server.app.webhook.spool.files == 0)
        assert server.app.webhook.unverified.held == 0
        assert server.app.webhook.spool.bytes == 0
        assert server.app.webhook.spool.pending == 0


def _alive() -> int:
    return sum(isinstance(each, (Connection, Upload, Exchange)) for each in gc.get_objects())


def _delivery() -> tuple[bytes, bytes]:
    """Return a body, and a head that is signed for it."""
    from closeout.testing import deliveries
    from tests.contract.http.serving import SECRET

    body = deliveries.encode(deliveries.pull_request())
    signed = deliveries.signed_headers("pull_request", body, SECRET, f"g-{time.monotonic_ns()}")
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    return body, f"POST /webhook HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
