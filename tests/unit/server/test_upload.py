"""A delivery's body on a connection: where it is kept as it arrives, and what ends it."""

from __future__ import annotations

import asyncio

import pytest

from closeout.intake.receiver import Receiver
from closeout.testing import deliveries
from tests.unit.server.wire import SECRET, App, Wire, play, turns

BODY = deliveries.encode(deliveries.pull_request())
CONTINUE = "HTTP/1.1 100 Continue"


def head(*lines: bytes, secret: bytes = SECRET, length: int | None = len(BODY)) -> bytes:
    """Return the head of a delivery; without a length it is sent in chunks."""
    headers = deliveries.signed_headers("pull_request", BODY, secret, "g-1")
    named = [f"{name}: {value}".encode() for name, value in headers.items() if name != "Content-Length"]
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    return b"\r\n".join((b"POST /webhook HTTP/1.1", *named, framing, *lines, b"", b""))


def chunk(piece: bytes) -> bytes:
    """Return one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def answered(wire: Wire) -> str:
    """Return the status of the answer: a body on disk is hashed and read by another thread."""
    async with asyncio.timeout(10):
        while not wire.heads():
            await asyncio.sleep(0.002)
            wire.app.commit()
    spool = wire.app.webhook.spool
    await spool.do(lambda: None)
    spool.close()
    assert (wire.held, wire.app.webhook.held) == (0, 0)
    assert (spool.files, spool.bytes, spool.pending, len(spool.unverified)) == (0, 0, 0, 0)
    return wire.heads()[0].removeprefix("HTTP/1.1 ")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("small", "files"), [(len(BODY), 0), (len(BODY) - 1, 1)])
def test_a_body_over_the_size_of_a_small_one_goes_to_disk(chunked: bool, small: int, files: int) -> None:
    """Whether its length was announced or not."""

    async def scene() -> None:
        wire = Wire(App(small_bytes=small))
        wire.send(head(length=None) + chunk(BODY) if chunked else head() + BODY[:-1])
        assert wire.app.webhook.spool.files == files
        assert (wire.held == 0) is bool(files)
        assert not wire.connection.proven
        wire.send(chunk(b"") if chunked else BODY[-1:])
        assert await answered(wire) == "202 Accepted"
        assert wire.connection.proven

    play(scene)


@pytest.mark.parametrize(
    ("most", "small", "status"),
    [
        (len(BODY), len(BODY), "202 Accepted"),
        (len(BODY), 100, "202 Accepted"),
        (len(BODY) - 1, len(BODY), "413 Content Too Large"),
        (len(BODY) - 1, 100, "413 Content Too Large"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_the_largest_size_at_most(most: int, small: int, status: str, chunked: bool) -> None:
    """On disk too; over it the connection closes, because nobody reads the rest. After chunks it always does."""

    async def scene() -> None:
        wire = Wire(App(body_bytes=most, small_bytes=small))
        wire.send(head(length=None) + chunk(BODY) + chunk(b"") if chunked else head() + BODY)
        assert (await answered(wire)).startswith(status[:4])
        assert (b"connection: close" in wire.written) is (chunked or status.startswith("413"))

    play(scene)


@pytest.mark.parametrize(("came", "told"), [(b"", [CONTINUE]), (BODY[:1], [])])
@pytest.mark.parametrize("small", [len(BODY), 100])
def test_who_asks_before_sending_the_body_is_told_to_go_on(came: bytes, told: list[str], small: int) -> None:
    """Unless they did not wait."""

    async def scene() -> None:
        wire = Wire(App(small_bytes=small))
        wire.send(head(b"Expect: 100-continue") + came)
        assert wire.heads() == told
        wire.written = b""
        wire.send(BODY[len(came) :])
        assert await answered(wire) == "202 Accepted"

    play(scene)


@pytest.mark.parametrize("small", [len(BODY), 100])
def test_chunks_that_are_none_end_the_request(small: int) -> None:
    """Wherever the first of them are kept; nobody could tell where the body ends."""

    async def scene() -> None:
        wire = Wire(App(small_bytes=small))
        wire.send(head(length=None) + chunk(BODY[:200]))
        wire.send(b"zz\r\n")
        assert await answered(wire) == "400 Bad Request"
        assert "eof" in wire.done
        assert wire.app.metrics.deliveries == {}

    play(scene)


@pytest.mark.parametrize("small", [len(BODY), 100])
def test_who_leaves_before_the_body_is_complete_leaves_nothing(small: int) -> None:
    """It is counted, and nobody gets an answer."""

    async def scene() -> None:
        wire = Wire(App(small_bytes=small))
        wire.send(head() + BODY[:-1])
        await turns()
        wire.connection.connection_lost(None)
        await turns()
        assert wire.app.metrics.deliveries == {"disconnected": 1}
        assert wire.held == 0
        spool = wire.app.webhook.spool
        assert (spool.files, spool.bytes, spool.pending) == (0, 0, 0)
        assert wire.written == b""
        spool.close()

    play(scene)


def test_who_leaves_while_the_secrets_are_read_is_counted_until_they_are() -> None:
    """A complete delivery is stored although nobody waits for its answer; its memory counts meanwhile."""

    async def scene() -> None:
        for connected in (True, False):
            wire = Wire()
            sent = head(secret=b"another of sixteen") + BODY
            wire.send(sent)
            if not connected:
                wire.connection.connection_lost(None)
            assert wire.held == len(sent)
            async with asyncio.timeout(10):
                while wire.app.webhook.waits_for_secrets:
                    await asyncio.sleep(0.002)
            assert wire.held == 0
            assert wire.app.metrics.deliveries == {"unauthorized": 1}

    play(scene)


def test_a_delivery_that_a_new_secret_matches_is_unverified_no_more() -> None:
    """While it waits for its commit its memory is not that of strangers, and it never gives way."""
    active = [b"the old one of sixteen"]

    def refresh() -> bool:
        active[:] = [SECRET]
        return True

    async def scene() -> None:
        parts = {"receiver": Receiver((), (), lambda: active), "refresh": refresh}
        wire = Wire(App(parts=parts))
        wire.send(head() + BODY[:-1])
        wire.send(BODY[-1:])
        assert wire.held == len(head() + BODY)
        async with asyncio.timeout(10):
            while not wire.app.groups:
                await asyncio.sleep(0.002)
        assert (wire.held, wire.app.webhook.held) == (0, len(BODY))
        wire.connection.release_memory()
        assert wire.heads() == []
        assert await answered(wire) == "202 Accepted"

    play(scene)


def test_a_complete_body_that_gives_way_is_answered_and_its_connection_closes() -> None:
    """It waits for the secrets, and is not verified when they have been read."""

    async def scene() -> None:
        wire = Wire()
        wire.send(head(secret=b"another of sixteen") + BODY)
        wire.connection.release_memory()
        assert await answered(wire) == "503 Service Unavailable"
        assert b"connection: close" in wire.written
        await asyncio.sleep(0)
        assert wire.app.metrics.deliveries == {"overloaded": 1}
        assert not wire.app.webhook.waits_for_secrets

    play(scene)


def test_a_full_spool_drops_its_oldest_body_for_a_new_one() -> None:
    """Its sender is told; a body that is verified already is never dropped."""

    async def scene() -> None:
        app = App(small_bytes=100, spool_files=1)
        old, new = Wire(app), Wire(app)
        old.send(head() + BODY[:-1])
        new.send(head() + BODY[:-1])
        assert old.heads() == ["HTTP/1.1 503 Service Unavailable"]
        assert (new.heads(), app.webhook.spool.files) == ([], 1)
        app.webhook.spool.unverified.clear()
        late = Wire(app)
        late.send(head() + BODY[:-1])
        assert late.heads() == ["HTTP/1.1 503 Service Unavailable"]
        assert app.metrics.deliveries == {"overloaded": 2}
        new.send(BODY[-1:])
        assert await answered(new) == "202 Accepted"

    play(scene)
