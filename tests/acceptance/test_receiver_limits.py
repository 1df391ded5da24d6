"""What a sender may not do: send too much, too slowly, or half; and what becomes of the connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.server.bodies import Limits
from closeout.server.protocol import Timers
from closeout.testing import deliveries
from tests.acceptance.serving import SECRET, Running, serving

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


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    """A server with small limits and short deadlines."""
    limits = Limits(read_seconds=0.4, body_bytes=MEGABYTE, memory_bytes=3 * MEGABYTE)
    with serving(limits=limits, timers=Timers(head=0.5)) as running:
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
    assert server.store.kept == {}


def test_a_chunked_body_within_the_limit_is_taken(server: Running) -> None:
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
        connection.settimeout(2)
        first = connection.recv(4096)
        assert first.startswith(b"HTTP/1.1 401")
        connection.sendall(b"x" * 900_000)
        rest = everything(connection)
    assert b"Unauthorized request" in first + rest


def test_who_waits_for_100_continue_is_refused_without_it(server: Running) -> None:
    """An unsigned sender that asks first never gets to send its body."""
    with server.connect() as connection:
        connection.sendall(head(1000, signature="none", extra="Expect: 100-continue\r\n"))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"100 Continue" not in answer


def test_who_waits_for_100_continue_with_a_signature_gets_it(server: Running) -> None:
    """And then its answer."""
    with server.connect() as connection:
        connection.sendall(head(len(BODY), extra="Expect: 100-continue\r\n"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")


def test_a_body_that_comes_too_slowly_meets_the_deadline(server: Running) -> None:
    """A byte now and then does not extend it: 408 in the time that a whole body has, and nothing stored."""
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(head(len(BODY)) + BODY[:10])
        for byte in BODY[10:16]:
            time.sleep(0.05)
            connection.sendall(bytes([byte]))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"read-timeout"' in answer
    assert 0.35 < time.monotonic() - began < 9, "the deadline is 0.4 s, the default would be 10"
    assert server.store.kept == {}


def test_a_body_that_never_comes_meets_the_deadline(server: Running) -> None:
    """The head alone holds no connection for long."""
    with server.connect() as connection:
        connection.sendall(head(len(BODY)))
        assert everything(connection).startswith(b"HTTP/1.1 408")


def test_a_head_that_comes_too_slowly_meets_a_deadline_too(server: Running) -> None:
    """Half a head is answered 408 and closed, on a connection's first request and on later ones."""
    with server.connect() as connection:
        connection.sendall(head(len(BODY)) + BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_connection_that_never_speaks_is_closed(server: Running) -> None:
    """Without a word: there is no request to answer."""
    with server.connect() as connection:
        assert everything(connection) == b""


def test_a_head_without_end_is_refused(server: Running) -> None:
    """431 after 64 KB: a head is kept in memory until it ends."""
    with server.connect() as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\n")
        for number in range(17):
            connection.sendall(b"X-%d: %b\r\n" % (number, b"x" * 4000))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b'"headers-too-large"' in answer


def test_what_is_not_http_is_answered_in_the_one_shape(server: Running) -> None:
    """400 as JSON, then closed."""
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"bad-request"' in answer


def test_who_leaves_in_the_middle_of_a_body_leaves_nothing(server: Running) -> None:
    """Nothing is stored, nothing is held, and the outcome is counted."""
    before = server.app.metrics.deliveries["disconnected"]
    with server.connect() as connection:
        connection.sendall(head(len(BODY)) + BODY[:100])
        time.sleep(0.1)
    deadline = time.monotonic() + 2
    while server.app.metrics.deliveries["disconnected"] == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.app.metrics.deliveries["disconnected"] == before + 1
    assert server.store.kept == {}
    assert server.app.webhook.unverified.held == 0


def test_who_leaves_before_the_answer_is_still_stored() -> None:
    """A delivery that came whole is worth keeping: GitHub will send it again, and it will be a duplicate."""
    with serving() as server:
        server.store.hold.clear()
        with server.connect() as connection:
            connection.sendall(head(len(BODY), guid="left") + BODY)
            time.sleep(0.1)
        server.store.hold.set()
        deadline = time.monotonic() + 2
        while not server.store.kept and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.deliver(guid="left").json["duplicate"]
        assert server.app.webhook.unverified.held == 0


def eventually_held(server: Running, size: int) -> None:
    """Wait until that many bytes of bodies are in memory."""
    deadline = time.monotonic() + 20
    while server.app.webhook.unverified.held < size:
        assert time.monotonic() < deadline, f"{server.app.webhook.unverified.held} of {size} bytes were read"
        time.sleep(0.01)


@pytest.fixture
def patient() -> Iterator[Running]:
    """A server with small limits that waits for as long as a busy machine takes."""
    limits = Limits(read_seconds=30.0, body_bytes=MEGABYTE, memory_bytes=3 * MEGABYTE)
    with serving(limits=limits) as running:
        yield running


def test_bodies_in_memory_are_limited(patient: Running) -> None:
    """When too many are being read at once, the next gets 503 `overloaded`; then all is well again."""
    piece = b"x" * (900 * 1024)
    held = []
    patient.store.hold.clear()
    try:
        for _ in range(3):
            connection = patient.connect()
            connection.sendall(head(MEGABYTE) + piece)
            held.append(connection)
        eventually_held(patient, len(held) * len(piece))
        with patient.connect() as late:
            late.sendall(head(MEGABYTE) + b"x" * (600 * 1024))
            answer = late.recv(4096)
    finally:
        patient.store.hold.set()
        for connection in held:
            connection.close()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"overloaded"' in answer
    deadline = time.monotonic() + 2
    while patient.app.webhook.unverified.held and time.monotonic() < deadline:
        time.sleep(0.02)
    assert patient.deliver().status == 202


def test_a_large_delivery_is_taken_beside_others() -> None:
    """Two megabytes go through a thread; the answer is the same."""
    payload = deliveries.pull_request() | {"filler": "x" * (2 * MEGABYTE)}
    with serving() as server:
        assert server.deliver(payload, guid="large").status == 202
        assert server.deliver(payload, guid="wrong", secret=b"wrong").status == 401


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
def test_no_request_makes_a_500(strict: Running, headers: dict[str, str], body: bytes, signed: bool) -> None:
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
        time.sleep(0.2)
        threading.Timer(0.4, server.store.hold.set).start()
        server.app.drain()
        assert server.send("GET", "/readyz").status == 503
        server.store.hold.wait(2)
    thread.join(5)
    assert answers == [202]
