"""A connection's states: what it waits for in each, what it counts, and how it ends."""

from __future__ import annotations

import pytest

from closeout.server.asgi import Receive, Scope, Send
from closeout.server.connection_limits import ConnectionLimits
from closeout.server.head import HEAD_BYTES
from closeout.server.protocol import LINGER_BYTES, WRITE_BUFFER, Connection
from closeout.testing import deliveries
from tests.unit.server.wire import SECRET, App, Wire, nothing, play, turns

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
BODY = deliveries.encode(deliveries.pull_request())


def delivery(body: bytes = BODY, *, secret: bytes = SECRET, guid: str = "g-1", more: bytes = b"") -> bytes:
    """Return a signed delivery."""
    headers = deliveries.signed_headers("pull_request", body, secret, guid)
    lines = b"".join(
        f"{name}: {value}\r\n".encode() for name, value in headers.items() if name != "Content-Length"
    )
    return b"POST /webhook HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (lines, more, len(body), body)


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answer."""
    del scope, send
    await receive()
    await receive()


def test_each_state_has_its_own_deadline() -> None:
    """Only a finished request resets it, never a byte."""

    async def scene() -> None:
        wire = Wire()
        assert (wire.waits_for, wire.high) == ("head", WRITE_BUFFER)
        wire.send(GET)
        assert wire.waits_for == "answer"
        await turns()
        assert wire.waits_for == "idle"
        wire.send(b"\r\n")
        assert wire.waits_for == "idle"
        wire.send(b"P")
        assert wire.waits_for == "head"
        whole = delivery()
        wire.send(whole[1:-1])
        assert wire.waits_for == "body"
        wire.send(whole[-1:])
        assert wire.waits_for == "answer"
        await turns()
        wire.app.commit()
        await turns()
        assert wire.waits_for == "idle"
        assert wire.heads() == ["HTTP/1.1 200 OK", "HTTP/1.1 202 Accepted"]
        assert wire.done == []

    play(scene)


@pytest.mark.parametrize("first", [b"G", delivery()[:-2], GET])
def test_no_byte_extends_a_deadline(first: bytes) -> None:
    """Of a head, a body, or the next request: otherwise a slow sender would stay forever."""

    async def scene() -> None:
        wire = Wire(App(silent))
        wire.send(first)
        wire.connection.deadline -= 100
        before = wire.connection.deadline
        wire.send(b"T")
        assert wire.connection.deadline == before

    play(scene)


def test_a_head_that_came_in_pieces_is_read_whole() -> None:
    """Also when its end is cut."""

    async def scene() -> None:
        for cut in range(1, len(GET)):
            wire = Wire()
            wire.send(GET[:cut])
            assert wire.held == cut
            wire.send(GET[cut:])
            await turns()
            assert wire.heads() == ["HTTP/1.1 200 OK"]
            assert wire.held == 0

    play(scene)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"?\r\n\r\n", "400 Bad Request"),
        (b"?", "400 Bad Request"),
        (b"GET /" + b"x" * HEAD_BYTES, "431 Request Header Fields Too Large"),
    ],
)
def test_an_invalid_request_is_answered_and_the_connection_lingers(sent: bytes, status: str) -> None:
    """Closing at once would reset the connection, and the sender would not see the answer."""

    async def scene() -> None:
        wire = Wire()
        wire.send(sent)
        assert wire.heads() == [f"HTTP/1.1 {status}"]
        assert b"connection: close\r\n" in wire.written
        assert wire.done == ["eof", "resume"]
        assert (wire.waits_for, wire.held) == ("linger", 0)
        wire.send(b"x" * LINGER_BYTES)
        assert wire.done == ["eof", "resume"]
        wire.send(b"x")
        assert wire.done[2:] == ["reset", "abort"]
        assert "a request was refused: " in wire.app.written.getvalue()

    play(scene)


@pytest.mark.parametrize(
    ("sent", "reason", "answer"),
    [
        (b"", "idle", []),
        (b"GET", "head", ["HTTP/1.1 408 Request Timeout"]),
        (delivery()[:-1], "body", ["HTTP/1.1 408 Request Timeout"]),
        (GET, "answer", []),
    ],
)
def test_a_deadline_that_passes_ends_the_request(sent: bytes, reason: str, answer: list[str]) -> None:
    """It is counted by what was waited for; who waits for an answer gets none."""

    async def scene() -> None:
        wire = Wire(App(silent))
        wire.send(sent)
        await turns()
        wire.connection.expire()
        assert wire.heads() == answer
        assert wire.closed == {reason: 1}
        assert wire.held == 0
        assert wire.done == {"idle": ["close"], "answer": ["reset", "abort"]}.get(reason, ["eof", "resume"])
        wire.connection.expire()
        assert wire.closed == {reason: 1}
        assert wire.done[-2:] in (["reset", "abort"], ["abort"])

    play(scene)


def test_bytes_after_a_request_wait_for_its_answer_and_are_counted() -> None:
    """Beyond the size of a head, reading stops."""

    async def scene() -> None:
        app = App()
        wire = Wire(app)
        wire.send(delivery() + GET)
        assert wire.held == len(GET)
        wire.send(b"x" * (HEAD_BYTES - len(GET)))
        assert wire.done == []
        wire.send(b"x")
        assert wire.done == ["pause"]
        assert wire.held == HEAD_BYTES + 1
        await turns()
        app.commit()
        await turns()
        assert wire.heads()[:2] == ["HTTP/1.1 202 Accepted", "HTTP/1.1 200 OK"]
        # What follows the GET is no request: it is read, refused, and the rest of it is dropped.
        assert wire.done[:3] == ["pause", "resume", "resume"]

    play(scene)


def test_pipelined_requests_are_answered_in_turn() -> None:
    """Each in a turn of its own."""

    async def scene() -> None:
        wire = Wire()
        wire.send(GET * 3)
        wire.send(b"\r\n")
        assert wire.held == len(GET) * 3 + 2
        await turns(40)
        assert wire.heads() == ["HTTP/1.1 200 OK"] * 3
        assert wire.held == 0

    play(scene)


def test_a_peer_that_does_not_read_gets_no_further_answer() -> None:
    """Its next request waits, what it did not read is counted, and there is a deadline for it."""

    async def scene() -> None:
        wire = Wire()
        wire.unread = 5000
        wire.connection.pause_writing()
        assert wire.waits_for == "head"
        assert wire.held == 5000
        wire.send(GET)
        await turns()
        assert wire.heads() == []
        assert wire.held == 5000 + len(GET)
        wire.unread = 0
        wire.connection.resume_writing()
        assert wire.held == len(GET)
        await turns()
        assert wire.heads() == ["HTTP/1.1 200 OK"]
        assert (wire.held, wire.waits_for) == (0, "idle")
        wire.send(GET)
        await turns()
        assert wire.heads() == ["HTTP/1.1 200 OK"] * 2

    play(scene)


def test_a_request_waits_for_a_peer_that_reads_in_bursts() -> None:
    """It begins once everything before it was read."""

    async def scene() -> None:
        wire = Wire()
        wire.connection.pause_writing()
        wire.send(GET)
        wire.connection.resume_writing()
        wire.connection.pause_writing()
        await turns()
        assert wire.heads() == []
        wire.connection.resume_writing()
        await turns()
        assert wire.heads() == ["HTTP/1.1 200 OK"]

    play(scene)


@pytest.mark.parametrize(("line", "held"), [(b"", len(GET)), (b"Connection: close\r\n", 0)])
def test_what_follows_a_request_that_is_refused_at_once_is_counted(line: bytes, held: int) -> None:
    """Unless the connection closes: then nobody keeps it."""

    async def scene() -> None:
        wire = Wire()
        wire.send(b"HEAD /webhook HTTP/1.1\r\n%b\r\n" % line + GET)
        assert wire.heads() == ["HTTP/1.1 405 Method Not Allowed"]
        assert wire.held == held
        await turns()
        assert (wire.heads()[1:], wire.held) == (["HTTP/1.1 200 OK"] if held else [], 0)

    play(scene)


def test_waiting_and_closing_connections_make_room_at_the_limit() -> None:
    """Also those that do not read their last answer, or a refusal."""

    async def unread(wire: Wire) -> None:
        wire.send(GET)
        wire.connection.pause_writing()
        await turns()

    async def refused(wire: Wire) -> None:
        wire.send(b"?")

    async def closing(wire: Wire) -> None:
        wire.send(GET.replace(b"1.1", b"1.0"))
        await turns()

    async def scene() -> None:
        for ends in (unread, refused, closing):
            connection_limits = ConnectionLimits(1, ())
            first = Wire(connection_limits=connection_limits)
            await ends(first)
            assert "abort" not in first.done
            assert Wire(connection_limits=connection_limits).done == []
            assert first.done[-1] == "abort"

    play(scene)


def test_a_complete_head_is_progress() -> None:
    """Its connection makes room only after those that have waited meanwhile, and before those that came later."""

    async def scene() -> None:
        connection_limits = ConnectionLimits(2, ("0.0.0.0/0",))
        sending, silent_ = (
            Wire(connection_limits=connection_limits),
            Wire(connection_limits=connection_limits),
        )
        sending.send(delivery()[:-1])
        third = Wire(connection_limits=connection_limits)
        assert (sending.done, silent_.done) == ([], ["reset", "abort"])
        Wire(connection_limits=connection_limits)
        assert (sending.done, third.done) == (["reset", "abort"], [])

    play(scene)


def test_an_answer_that_is_not_read_ends_the_connection() -> None:
    """The deadline is the one for writing, however long an idle connection may stay."""

    async def scene() -> None:
        app = App(silent)
        wire = Wire(app)
        wire.send(delivery())
        await turns()
        wire.unread = 5000
        wire.connection.pause_writing()
        assert wire.waits_for == "answer"
        app.commit()
        await turns()
        assert wire.waits_for == "write"
        wire.connection.expire()
        assert wire.closed == {"answer": 1}
        assert wire.done == ["reset", "abort"]
        assert wire.held == 0

    play(scene)


def test_a_half_closed_connection_still_gets_its_answer() -> None:
    """After it the connection closes, without waiting for more."""

    async def scene() -> None:
        wire = Wire()
        wire.send(GET + GET)
        assert wire.connection.eof_received() is True
        await turns(20)
        assert wire.heads() == ["HTTP/1.1 200 OK"] * 2
        assert wire.done == ["close"]
        assert wire.waits_for == "write"
        idle = Wire()
        idle.send(b"GET")
        assert idle.connection.eof_received() is False
        assert idle.waits_for == "write"

    play(scene)


@pytest.mark.parametrize("line", [b"Connection: close\r\n", b""])
def test_a_connection_is_kept_unless_its_peer_says_otherwise(line: bytes) -> None:
    """The answer says which."""

    async def scene() -> None:
        app = App()
        wire = Wire(app)
        wire.send(delivery(more=line))
        await turns()
        app.commit()
        await turns()
        assert (b"connection: close" in wire.written) is bool(line)
        assert wire.done == (["close"] if line else [])
        assert wire.connection.proven

    play(scene)


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    """Or a client would read it as the next answer."""

    async def scene() -> None:
        wire = Wire()
        wire.send(b"HEAD /webhook HTTP/1.1\r\n\r\n")
        head, _, body = wire.written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        assert int(head.partition(b"content-length: ")[2]) > 0
        assert body == b""

    play(scene)


def test_a_draining_server_closes_idle_connections_and_finishes_the_others() -> None:
    """New connections are refused."""

    async def scene() -> None:
        idle, busy = Wire(), Wire()
        busy.send(delivery())
        unread = Wire()
        unread.connection.pause_writing()
        for wire in (idle, busy, unread):
            wire.shared.drain()
        assert unread.done == []
        unread.connection.resume_writing()
        assert unread.done == ["close"]
        assert (idle.done, busy.done) == (["close"], [])
        assert idle.waits_for == "write"
        await turns()
        busy.app.commit()
        await turns()
        assert b"connection: close" in busy.written
        assert busy.done == ["close"]

    play(scene)


def test_a_deadline_that_is_reached_ends_the_connection() -> None:
    """Not a moment before; and whatever fails at that, the connection ends and the log has why."""

    class Broken(Connection):
        def expire(self) -> None:
            raise RuntimeError("a defect")

    async def scene() -> None:
        idle, broken = Wire(), Wire(kind=Broken)
        for wire, done in ((idle, ["close"]), (broken, ["reset", "abort"])):
            deadline = wire.connection.deadline
            wire.shared.sweep(deadline - 0.001)
            assert wire.done == []
            wire.shared.sweep(deadline)
            assert wire.done == done
        assert "a connection could not be ended: RuntimeError" in broken.app.written.getvalue()

    play(scene)


def test_a_connection_without_a_place_is_not_read() -> None:
    """It holds nothing, and its end affects no other."""

    async def scene() -> None:
        connection_limits = ConnectionLimits(1, ())
        first = Wire(connection_limits=connection_limits)
        first.send(GET)
        second = Wire(connection_limits=connection_limits)
        assert second.done == ["abort"]
        assert second.shared.connections == set()
        assert second.connection.deadline == float("inf")
        second.connection.connection_lost(None)
        assert len(connection_limits) == 1
        first.connection.connection_lost(None)
        assert len(connection_limits) == 0
        assert first.shared.connections == set()

    play(scene)


def test_memory_is_freed_by_ending_what_cannot_be_spooled() -> None:
    """A head is dropped with its connection; a body goes to the spool; a verified delivery loses only what follows it."""

    async def scene() -> None:
        head = Wire(App(nothing))
        head.send(b"GET /")
        head.connection.release_memory()
        assert head.done == ["reset", "abort"]
        body = Wire()
        body.send(delivery()[:-1])
        assert body.held > 0
        body.connection.release_memory()
        assert (body.held, body.done) == (0, [])
        verified = Wire()
        verified.send(delivery() + GET)
        verified.connection.release_memory()
        assert (verified.held, verified.done) == (0, ["pause"])
        await turns()
        verified.app.commit()
        await turns()
        assert b"connection: close" in verified.written
        assert [wire.closed for wire in (head, body, verified)] == [{"memory": 1}, {"memory": 1}, {}]
        body.connection.abort()
        body.app.webhook.spool.close()
        await turns()

    play(scene)
