"""What a sender may not do: send too much, too slowly, or half; and what becomes of the connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.server.bodies import Limits
from closeout.server.shared import Timers
from closeout.testing import deliveries
from tests.contract.http import strangers
from tests.contract.http.serving import SECRET, Running, serving
from tests.until import until

BODY = deliveries.encode(deliveries.pull_request())
MEGABYTE = 1024 * 1024


def head(body_length: int | None, *, signature: str | None = None, extra: str = "", guid: str = "g") -> bytes:
    """The head of a delivery; by default signed for BODY."""
    signed = deliveries.signed_headers("pull_request", BODY, SECRET, guid)
    if signature is not None:
        signed["X-Hub-Signature-256"] = signature
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items()) + extra
    if body_length is not None:
        lines += f"Content-Length: {body_length}\r\n"
    return f"POST /webhook HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()


def everything(connection: socket.socket, seconds: float = 5.0) -> bytes:
    """What comes until the server closes."""
    connection.settimeout(seconds)
    received = b""
    with contextlib.suppress(ConnectionResetError):  # it closed while we were still sending
        while chunk := connection.recv(65536):
            received += chunk
    return received


QUICK = Limits(read_seconds=0.4, body_bytes=MEGABYTE, memory_bytes=3 * MEGABYTE)


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    """A server with small limits and short deadlines."""
    with serving(limits=QUICK, timers=Timers(head=0.5)) as running:
        yield running


@pytest.fixture
def server(strict: Running) -> Running:
    """The strict server with an empty store."""
    strict.store.reset()
    return strict


def test_a_large_announced_body_is_refused_unread(server: Running) -> None:
    """413 after the head alone; the connection closes."""
    with server.connect() as connection:
        connection.sendall(head(MEGABYTE + 1))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer
    assert b'"payload-too-large"' in answer


def test_a_large_body_without_a_length_is_refused_while_it_comes(server: Running) -> None:
    """A chunked body is cut off at the limit: what it announces does not matter."""
    with server.connect() as connection:
        connection.sendall(head(None, extra="Transfer-Encoding: chunked\r\n"))
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(20):
            connection.sendall(chunk)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert server.store.deliveries() == []


def test_a_chunked_body_within_the_limit_is_accepted(server: Running) -> None:
    """Some proxies send no length."""
    with server.connect() as connection:
        connection.sendall(head(None, extra="Transfer-Encoding: chunked\r\n"))
        for start in range(0, len(BODY), 500):
            piece = BODY[start : start + 500]
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")


def test_an_unsigned_body_is_answered_before_it_is_sent(server: Running) -> None:
    """401 after the head alone, and who sends the body all the same can still read the answer."""
    with server.connect() as connection:
        connection.sendall(head(900_000, signature="none"))
        connection.settimeout(10)
        first = connection.recv(4096)
        assert first.startswith(b"HTTP/1.1 401")
        connection.sendall(b"x" * 900_000)
        rest = everything(connection)
    assert b"Unauthorized request" in first + rest


def test_an_unsigned_request_with_expect_100_is_refused_without_it(server: Running) -> None:
    """A sender that asks first never gets to send its body."""
    with server.connect() as connection:
        connection.sendall(head(1000, signature="none", extra="Expect: 100-continue\r\n"))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"100 Continue" not in answer


def test_a_signed_request_with_expect_100_gets_it(server: Running) -> None:
    """And then its answer."""
    with server.connect() as connection:
        connection.sendall(head(len(BODY), extra="Expect: 100-continue\r\n"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")


# --- time -----------------------------------------------------------------------------------------------------


class Waited(NamedTuple):
    """How a connection ended that was too slow."""

    server: Running
    answer: bytes
    seconds: float


def drips(connection: socket.socket) -> None:
    """Send a body byte by byte, and not to its end."""
    connection.sendall(head(len(BODY), guid="drips") + BODY[:10])
    for byte in BODY[10:16]:
        time.sleep(0.05)
        connection.sendall(bytes([byte]))


def delivers_and_begins_again(connection: socket.socket) -> None:
    """Deliver, and begin another head."""
    connection.sendall(head(len(BODY)) + BODY)
    assert connection.recv(4096).startswith(b"HTTP/1.1 202")
    connection.sendall(b"POST /webhook HTTP/1.1\r\nHost")


SLOW: dict[str, Callable[[socket.socket], object]] = {
    "drips": drips,
    "head alone": lambda connection: connection.sendall(head(len(BODY), guid="head alone")),
    "half a head": delivers_and_begins_again,
    "nothing": lambda _connection: None,
}


@pytest.fixture(scope="module")
def waited() -> Iterator[Callable[[str], Waited]]:
    """Have all of `SLOW` wait for their deadlines side by side; return how the connection of one ended."""
    with serving(limits=QUICK, timers=Timers(head=0.5)) as server, ThreadPoolExecutor(len(SLOW)) as pool:

        def wait(name: str) -> Waited:
            began = time.monotonic()
            with server.connect() as connection:
                SLOW[name](connection)
                answer = everything(connection)
            return Waited(server, answer, time.monotonic() - began)

        ends = {name: pool.submit(wait, name) for name in SLOW}
        yield lambda name: ends[name].result(30)


def test_a_body_that_comes_too_slowly_meets_the_deadline(waited: Callable[[str], Waited]) -> None:
    """A byte now and then does not extend it: 408 in the time that a whole body has, and nothing stored."""
    server, answer, seconds = waited("drips")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"read-timeout"' in answer
    assert 0.35 < seconds < 9, "the deadline is 0.4 s, the default would be 10"
    assert "drips" not in [delivery.guid for delivery in server.store.deliveries()]


def test_a_body_that_never_comes_meets_the_deadline(waited: Callable[[str], Waited]) -> None:
    """The head alone holds no connection for long."""
    assert waited("head alone").answer.startswith(b"HTTP/1.1 408")


def test_a_head_that_comes_too_slowly_meets_a_deadline_too(waited: Callable[[str], Waited]) -> None:
    """Half a head is answered 408 and closed, on a connection's first request and on later ones."""
    assert waited("half a head").answer.startswith(b"HTTP/1.1 408")


def test_a_connection_that_never_speaks_is_closed(waited: Callable[[str], Waited]) -> None:
    """Without a word: there is no request to answer."""
    assert waited("nothing").answer == b""


# --- what ends a connection -----------------------------------------------------------------------------------


def test_a_head_without_end_is_refused(server: Running) -> None:
    """431 after 64 KB: a head is kept in memory until it ends."""
    with server.connect() as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\n")
        for number in range(17):
            connection.sendall(b"X-%d: %b\r\n" % (number, b"x" * 4000))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b'"headers-too-large"' in answer


def test_an_answer_to_head_has_no_body(server: Running) -> None:
    """A proxy would take the body for the answer to the next request on the connection."""
    with server.connect() as connection:
        connection.sendall(b"HEAD /webhook HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /healthz HTTP/1.0\r\n\r\n")
        first, second, body = everything(connection).split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 405 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert body == b'{"status": "ok"}'


def test_what_is_not_http_is_answered_in_the_one_shape(server: Running) -> None:
    """400 as JSON, then closed."""
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"bad-request"' in answer


def test_a_sender_who_leaves_during_a_body_leaves_nothing(server: Running) -> None:
    """Nothing is stored or held, and the outcome is counted."""
    before = server.app.metrics.deliveries["disconnected"]
    with server.connect() as connection:
        connection.sendall(head(len(BODY)) + BODY[:100])
        time.sleep(0.1)
    until("the count", lambda: server.app.metrics.deliveries["disconnected"] != before)
    assert server.app.metrics.deliveries["disconnected"] == before + 1
    assert server.store.deliveries() == []
    assert server.app.webhook.unverified.held == 0


def test_a_delivery_whose_sender_leaves_before_the_answer_is_stored() -> None:
    """It arrived completely: GitHub will send it again, and it will be a duplicate."""
    with serving() as server:
        server.store.hold.clear()
        with server.connect() as connection:
            connection.sendall(head(len(BODY), guid="left") + BODY)
            time.sleep(0.1)
        server.store.hold.set()
        until("the delivery", server.store.deliveries)
        assert server.deliver(guid="left").json["duplicate"]
        assert server.app.webhook.unverified.held == 0


def eventually_held(server: Running, size: int) -> None:
    """Wait until that many bytes of bodies are in memory."""
    deadline = time.monotonic() + 20
    while server.app.webhook.unverified.held < size:
        assert time.monotonic() < deadline, f"{server.app.webhook.unverified.held} of {size} bytes were read"
        time.sleep(0.01)


def crowded(**limits: int) -> Limits:
    """Return small limits; nothing is over its time, however busy the machine is."""
    return Limits(read_seconds=60.0, body_bytes=4 * MEGABYTE, memory_bytes=2 * MEGABYTE, **limits)


PIECE = b"x" * (900 * 1024)


def test_bodies_that_memory_cannot_hold_go_to_the_spool() -> None:
    """Many bodies just under 1 MB are bounded in memory, none is refused, and a delivery gets in beside them."""
    with serving(limits=crowded()) as server:
        webhook = server.app.webhook

        def unfinished() -> socket.socket:
            connection = server.connect()
            connection.sendall(head(1000 * 1024) + PIECE)
            return connection

        with strangers.many(6, unfinished) as held:
            until(
                "six bodies",
                lambda: (
                    webhook.unverified.held + webhook.spool.bytes > 6 * len(PIECE) - MEGABYTE
                    and webhook.spool.files >= 4
                ),
            )
            assert webhook.unverified.held <= 2 * MEGABYTE
            assert server.deliver().status == 202
            assert not any(strangers.is_closed(connection) for connection in held)
        until("nothing to be held", lambda: webhook.unverified.held == 0 and webhook.spool.files == 0)


def test_the_oldest_body_makes_room_when_the_spool_is_full_too() -> None:
    """Strangers' bodies never keep a small delivery out, even one that comes in pieces."""
    with serving(limits=crowded(spool_files=0)) as server, server.connect() as oldest:
        oldest.sendall(head(1000 * 1024) + PIECE)
        eventually_held(server, len(PIECE))
        with server.connect() as second, server.connect() as delivery:
            second.sendall(head(1000 * 1024) + PIECE)
            eventually_held(server, 2 * len(PIECE))
            body = deliveries.encode(deliveries.pull_request() | {"filler": "x" * 600_000})
            signed = deliveries.signed_headers("pull_request", body, SECRET, "g-2")
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
            delivery.sendall(f"POST /webhook HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode())
            for start in range(0, len(body), 100_000):
                delivery.sendall(body[start : start + 100_000])
            assert delivery.recv(4096).startswith(b"HTTP/1.1 202")
        assert b'"overloaded"' in everything(oldest)
        until("its count", lambda: server.app.metrics.closed["memory"] >= 1)


def test_large_bodies_are_limited_by_themselves() -> None:
    """When the disk's share is full one of the large bodies is refused, and small deliveries get in."""
    with serving(limits=crowded(spool_bytes=3 * MEGABYTE)) as server:

        def unfinished() -> socket.socket:
            connection = server.connect()
            connection.sendall(head(4 * MEGABYTE) + b"x" * (2 * MEGABYTE))
            return connection

        with strangers.many(2, unfinished) as held:
            until("a refusal", lambda: any(strangers.is_closed(connection) for connection in held))
            until("its count", lambda: server.app.metrics.deliveries["overloaded"])
            assert server.app.metrics.deliveries["overloaded"] == 1
            assert server.app.webhook.spool.bytes <= 3 * MEGABYTE
            assert server.deliver().status == 202


@pytest.mark.parametrize("room", [{"spool_files": 3}, {"spool_bytes": 6 * MEGABYTE}])
def test_the_oldest_large_body_of_a_stranger_makes_room_for_a_delivery(room: dict[str, int]) -> None:
    """Whoever holds the whole spool with bodies that never end keeps no large delivery out."""
    payload = deliveries.pull_request() | {"filler": "x" * (3 * MEGABYTE)}
    with serving(limits=crowded(**room)) as server:

        def unfinished() -> socket.socket:
            connection = server.connect()
            connection.sendall(head(4 * MEGABYTE) + b"x" * (2 * MEGABYTE - 1))
            return connection

        spool = server.app.webhook.spool
        with strangers.many(3, unfinished) as held:
            until("a full spool", lambda: spool.bytes + spool.pending >= 6 * MEGABYTE - 3)
            assert server.deliver(payload, guid="large").status == 202
            until("the oldest to be refused", lambda: strangers.is_closed(held[0]))
            assert not strangers.is_closed(held[2])
        assert server.deliver(payload, guid="wrong", secret=b"wrong").status == 401
        until("nothing to be held", lambda: (spool.files, spool.bytes, spool.pending) == (0, 0, 0))


def test_a_delivery_whose_sender_leaves_while_the_secrets_are_read_is_stored() -> None:
    """GitHub gives up after ten seconds, and a rotated secret may take longer to read."""
    active = [b"the value before"]
    reading, release = threading.Event(), threading.Event()

    def refresh() -> bool:
        reading.set()
        active[0] = SECRET
        return release.wait(20)

    with serving(secrets=lambda: active, refresh=refresh) as server:
        connection = server.connect()
        connection.sendall(head(len(BODY)) + BODY)
        assert reading.wait(10)
        strangers.reset(connection)
        until("the connection's end", lambda: server.app.metrics.connections() == 0)
        assert server.app.webhook.unverified.held > len(BODY)
        release.set()
        until("the delivery", lambda: server.store.groups)
        assert server.app.webhook.unverified.held == 0
        assert server.app.metrics.deliveries["disconnected"] == 0


def test_senders_who_leave_while_the_secrets_are_read_leave_no_more_than_the_limit() -> None:
    """The reading may take seconds, and bodies that nobody counts would fill the memory meanwhile."""
    reading, release = threading.Event(), threading.Event()

    def refresh() -> bool:
        reading.set()
        return release.wait(20)

    with serving(refresh=refresh, limits=Limits(memory_bytes=MEGABYTE)) as server:
        webhook = server.app.webhook
        known: set[object] = set()
        for _ in range(5):
            connection = server.connect()
            connection.sendall(head(500_000) + b"x" * 500_000)
            assert reading.wait(10)
            until("the body", lambda: not known.issuperset(webhook.waits_for_secrets))
            known.update(webhook.waits_for_secrets)
            strangers.reset(connection)
            until("the connection's end", lambda: server.app.metrics.connections() == 0)
        assert len(webhook.waits_for_secrets) == 2
        assert 1_000_000 <= webhook.unverified.held <= MEGABYTE
        release.set()
        assert server.deliver().status == 202
        until("nothing to be held", lambda: webhook.unverified.held == 0)
        outcomes = server.app.metrics.deliveries
        assert (outcomes["overloaded"], outcomes["unauthorized"]) == (3, 2)


def full_disk() -> IO[bytes]:
    """Open a file whose disk has no space."""
    return Path("/dev/full").open("r+b", buffering=0)


def test_a_full_disk_fails_the_one_body_that_meets_it() -> None:
    """503 for a large body that cannot be spooled; small ones do not need the disk."""
    payload = deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)}
    with serving(spool_file=full_disk) as server:
        answer = server.deliver(payload, guid="large")
        assert (answer.status, answer.json["error"]) == (503, "store-unavailable")
        assert server.deliver(guid="small").status == 202
        assert server.app.webhook.spool.files == 0
        assert any("No space left" in line for line in server.log)


def test_an_abandoned_body_is_never_read_as_a_request() -> None:
    """The connection ends with the answer, whatever the rest of the body looks like."""
    with (
        serving(spool_file=full_disk) as server,
        server.connect() as connection,
    ):
        connection.sendall(head(2 * MEGABYTE) + b"x" * 200_000)
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503")
        with contextlib.suppress(ConnectionError):
            connection.sendall(strangers.GET)
        answer += everything(connection)
        assert b"connection: close" in answer
        assert answer.count(b"HTTP/1.1") == 1


def test_the_last_space_of_a_disk_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger may be on the same disk."""
    monkeypatch.setattr("closeout.server.spool.SPARE_DISK", 1 << 62)
    payload = deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)}
    with serving() as server:
        assert server.deliver(payload, guid="large").status == 503
        assert server.deliver(guid="small").status == 202


def test_a_large_delivery_is_taken_beside_others() -> None:
    """Two megabytes go through the spool; the answer is the same, and nothing is left of it."""
    payload = deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)}
    with serving() as server:
        assert server.deliver(payload, guid="large").status == 202
        assert server.deliver(payload, guid="wrong", secret=b"wrong").status == 401
        spool = server.app.webhook.spool
        until("nothing to be held", lambda: (spool.files, spool.bytes, spool.pending) == (0, 0, 0))
        assert server.app.webhook.held == 0


def test_a_large_chunked_delivery_is_taken() -> None:
    """One that turns out to be large moves to the spool with what had come."""
    body = deliveries.encode(deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)})
    signed = deliveries.signed_headers("pull_request", body, SECRET, "large")
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    with serving() as server, server.connect() as connection:
        connection.sendall(f"POST /webhook HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(body), 300_000):
            piece = body[start : start + 300_000]
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")


def test_a_large_delivery_meets_a_rotated_secret() -> None:
    """What was spooled is hashed again with the new secret."""
    active = [b"old"]

    def refresh() -> bool:
        active[:] = [SECRET]
        return True

    payload = deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)}
    with serving(secrets=lambda: active, refresh=refresh) as server:
        assert server.deliver(payload, guid="large").status == 202


# --- heads ----------------------------------------------------------------------------------------------------


def cut(whole: bytes, size: int) -> Iterator[bytes]:
    """Yield pieces of this size."""
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


@pytest.mark.parametrize("size", [1 << 20, 1 << 16, 4096, 65_535])
@pytest.mark.parametrize("before", [b"", strangers.GET], ids=["first", "pipelined"])
@pytest.mark.parametrize(("length", "status"), [(65_536, b"404"), (65_537, b"431"), (70_000, b"431")])
def test_a_head_has_64_kb_at_most(
    server: Running, length: int, status: bytes, before: bytes, size: int
) -> None:
    """To the byte, however it is cut into pieces, and after another request too."""
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for piece in cut(before + strangers.head(length), size):
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        answers = everything(connection)
    assert b"HTTP/1.1 " + status in answers
    assert answers.count(b"HTTP/1.1 ") == (2 if before else 1)


def test_a_head_has_100_fields_at_most(server: Running) -> None:
    """Each takes twenty times its bytes in memory."""
    for fields, status in ((100, b"404"), (101, b"431")):
        with server.connect() as connection:
            connection.sendall(b"GET /nothing HTTP/1.1\r\n" + b"a: b\r\n" * fields + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "target",
    [
        "/%6detrics",
        "/metrics%00",
        "/%2fmetrics",
        "//metrics",
        "/./metrics",
        "http://x/metrics",
        "/metrics#x",
        "*",
    ],
)
def test_a_path_is_compared_exactly(server: Running, target: str) -> None:
    """Nothing is decoded or normalized, so that a proxy's rule for one exact path works."""
    with server.connect() as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(4096)[9:12] in (b"404", b"400")


def test_an_encoded_webhook_path_is_not_the_webhook(server: Running) -> None:
    """No delivery is accepted at a path that a proxy does not know."""
    with server.connect() as connection:
        connection.sendall(head(len(BODY)).replace(b"/webhook", b"/%77ebhook") + BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 404")


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID", "Content-Type", "X-Hub-Signature-256", "X-Hub-Signature", "X-Any"]),
        st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40),
        max_size=6,
    ),
    st.binary(max_size=200),
    st.booleans(),
)  # fmt: skip
def test_no_request_causes_a_500(strict: Running, headers: dict[str, str], body: bytes, signed: bool) -> None:
    """Any headers and any body get a named error or an answer, signed or not."""
    if signed:
        headers = {**headers, "X-Hub-Signature-256": deliveries.signature(body, SECRET)}
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
    with strict.connect() as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines)
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = everything(connection)
    if answer:
        assert int(answer.split(b" ", 2)[1]) in (200, 202, 400, 401, 408), answer
    assert b'"internal-error"' not in answer


def test_in_flight_deliveries_are_answered_when_the_server_drains() -> None:
    """The end waits for the commit of what had come before it; `/readyz` says no meanwhile."""
    answers: list[int] = []
    with serving() as server:
        server.store.hold.clear()
        thread = threading.Thread(target=lambda: answers.append(server.deliver(guid="late").status))
        thread.start()
        until("the delivery at the store", lambda: server.app.webhook.held)
        threading.Timer(0.1, server.store.hold.set).start()
        server.app.drain()
        assert server.send("GET", "/readyz").status == 503
        server.store.hold.wait(2)
    thread.join(5)
    assert answers == [202]
