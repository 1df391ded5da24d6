"""Many connections, in any order of events: everything counted for them is released, and each of them ends.

The transport is ours, so that several things happen in one turn of the loop, as they do under load: a body is spooled
and its sender leaves before the task that would spool it has begun.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import random
import threading
from pathlib import Path
from typing import IO, Any

import pytest

from closeout.intake.receiver import Receiver
from closeout.server.app import Application
from closeout.server.bodies import Limits
from closeout.server.connection_limits import ConnectionLimits
from closeout.server.head import Head
from closeout.server.log import Log
from closeout.server.parts import ServerParts
from closeout.server.protocol import CLOSING, Connection
from closeout.server.shared import Shared, Timers
from closeout.server.spool import unnamed_file
from closeout.testing import deliveries
from tests.contract.http import strangers
from tests.contract.http.serving import AUTOMATION, KEY, SECRET, FakeStore, _Lines

LIMITS = Limits(
    body_bytes=300_000,
    small_bytes=50_000,
    memory_bytes=120_000,
    spool_bytes=900_000,
    spool_files=4,
    held_bytes=200_000,
)


class Wire(asyncio.Transport):
    """A transport that writes nothing, and reports its end to its protocol a turn later, as uvloop's does."""

    def __init__(self, connection: Connection, address: str) -> None:
        super().__init__({"peername": (address, 1), "sockname": ("127.0.0.1", 2), "socket": self})
        self.connection = connection
        self.ended = self.paused = False
        self.unread = 0
        self.most = 0
        connection.connection_made(self)

    def setsockopt(self, *_: Any) -> None:
        """Stand for the socket."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del low
        self.most = high or 0

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Drop it: in the turn before a protocol learns of the end, its transport still accepts writes."""

    def write_eof(self) -> None:
        """Send no more."""

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """End."""
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, error)

    # --- what the peer does ---

    def send(self, data: bytes) -> None:
        """Hand over what came, as long as it is read."""
        while data and not (self.ended or self.paused):
            piece, data = data[:256_000], data[256_000:]
            self.connection.data_received(piece)

    def fill(self) -> None:
        """Read no answers."""
        if not self.ended and not self.unread:
            self.unread = 5000
            self.connection.pause_writing()

    def read(self) -> None:
        """Read all answers."""
        if not self.ended and self.unread:
            self.unread = 0
            self.connection.resume_writing()

    def eof(self) -> None:
        """Send no more."""
        if not self.ended and not self.connection.eof_received():
            self.close()


class World:
    """The inside of a server without its sockets."""

    def __init__(self, chance: random.Random, most: int = 12) -> None:
        self.chance = chance
        self.store = FakeStore()
        self.full = False
        self.disk = threading.Event()
        self.disk.set()
        lines = _Lines()
        parts = ServerParts(
            receiver=Receiver.of((AUTOMATION,), lambda: (SECRET,)),
            accept=self.store.accept_group,
            started=lambda _: None,
            refresh=lambda: False,
            ready=lambda: None,
            views=self.store,
            link_key=KEY,
            limits=LIMITS,
            spool_file=self.file,
            log=Log(stream=lines),  # type: ignore[arg-type]
        )
        self.app = Application(parts)
        self.shared = Shared(self.app, ConnectionLimits(most, ()), Timers())
        self.wires: list[Wire] = []
        self.log = lines

    def file(self) -> IO[bytes]:
        """Open a file of the spool, if there is space."""
        self.disk.wait(10)
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return unnamed_file()

    def open(self, peer: int | None = None) -> None:
        """Let a peer connect, one of nine if none is named."""
        number = self.chance.randrange(9) if peer is None else peer
        self.wires.append(Wire(Connection(self.shared), f"192.0.2.{number}"))

    def counts(self) -> dict[str, int]:
        """Return everything that is counted."""
        spool, unverified, connection_limits = (
            self.app.webhook.spool,
            self.app.webhook.unverified,
            self.shared.connection_limits,
        )
        return {
            "pending": spool.pending,
            "files": spool.files,
            "bytes": spool.bytes,
            "unverified": unverified.held,
            "holders": len(unverified._holders),
            "held": self.app.webhook.held,
            "places": len(connection_limits),
            "lines": len(connection_limits._waiting)
            + len(connection_limits._proven)
            + len(connection_limits._of_address)
            + len(connection_limits._taken),
            "connections": len(self.shared.connections),
        }

    def expire(self) -> None:
        """Let every deadline expire."""
        self.shared.sweep(float("1e18"))


def request(chance: random.Random) -> bytes:
    """Return a request of any kind."""
    kind = chance.randrange(8)
    if kind == 0:
        return b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * chance.choice((1, 3, 500))
    if kind == 1:
        return chance.choice(
            (b"\r\n", b"HEAD /webhook HTTP/1.1\r\n\r\n", b"POST /webhook HTTP/1.1\r\n\r\n", b"?\r\n\r\n")
        )
    payload = deliveries.pull_request()
    payload["pad"] = "x" * chance.choice((0, 1000, 40_000, 60_000, 250_000, 400_000))
    body = deliveries.encode(payload)
    secret = SECRET if kind > 4 else b"another"
    headers = deliveries.signed_headers("pull_request", body, secret, f"g-{chance.random()}")
    lines = b"".join(
        f"{name}: {value}\r\n".encode() for name, value in headers.items() if name.lower() != "content-length"
    )
    if chance.random() < 0.3:
        size = chance.choice((100, 30_000, 200_000))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + chance.choice(
            (b"0\r\n\r\n", b"z\r\n")
        )
        lines += b"Transfer-Encoding: chunked\r\n"
    else:
        lines += b"Content-Length: %d\r\n" % len(body)
    if chance.random() < 0.1:
        lines += b"Expect: 100-continue\r\n"
    return b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n" + body


async def anything(chance: random.Random) -> World:
    """Do anything for a while."""
    world = World(chance)
    for _ in range(150):
        for _ in range(chance.randrange(1, 6)):
            wire = chance.choice(world.wires) if world.wires else None
            what = chance.randrange(14)
            if what < 2 or wire is None:
                world.open()
            elif what < 8:
                data = request(chance)
                cut = chance.choice((len(data), len(data), len(data) // 2, chance.randrange(len(data) + 1)))
                wire.send(data[:cut])
            elif what == 8:
                wire.eof()
            elif what == 9:
                wire.lose(ConnectionResetError())
            elif what == 10:
                wire.fill()
            elif what == 11:
                wire.read()
            elif what == 12:
                world.full = chance.random() < 0.3
            else:
                live = [each for each in world.wires if not each.ended]
                if live and chance.random() < 0.3:
                    chance.choice(live).connection.expire()
        world.wires = (
            [each for each in world.wires if not each.ended][-20:] if chance.random() < 0.5 else world.wires
        )
        for _ in range(chance.choice((0, 1, 1, 2, 5))):
            await asyncio.sleep(0)
        if chance.random() < 0.1:
            await asyncio.sleep(0.002)
        assert world.app.webhook.unverified.held >= 0
        assert world.app.webhook.unverified.held == sum(world.app.webhook.unverified._holders.values())
    return world


async def _ended(world: World) -> None:
    """Let every deadline expire, a few times, until everything that began is over."""
    for _ in range(500):
        world.expire()
        await asyncio.sleep(0.002)
        if not any(world.counts().values()) and len(asyncio.all_tasks()) == 1:
            return
    assert not any(world.counts().values()), world.counts()


@pytest.mark.parametrize("seed", range(4))
def test_everything_that_was_counted_is_released(seed: int) -> None:
    """After any events, all counters are at 0, every descriptor is closed, and no connection is left."""

    async def play() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        world = await anything(random.Random(seed))
        await _ended(world)
        assert not [line for line in world.log.lines if "Traceback" in line]
        assert not [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        assert all(wire.ended and wire.connection._state == CLOSING for wire in world.wires)
        done = threading.Event()
        world.app.webhook.spool.later(done.set)
        await asyncio.to_thread(done.wait, 10)
        world.app.webhook.spool.close()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1

    asyncio.run(play())


def test_bytes_that_arrive_early_are_counted_and_reading_stops() -> None:
    """A request is answered, and in the same turn megabytes follow it: they count against the limit."""

    async def play() -> None:
        world = World(random.Random(0))
        world.open()
        [wire] = world.wires
        wire.send(b"POST /webhook HTTP/1.1\r\n\r\nZ")
        for _ in range(30):
            wire.send(b"Z" * 70_000)
        assert wire.paused
        assert 64 * 1024 < world.app.webhook.unverified.held <= LIMITS.memory_bytes
        await _ended(world)

    asyncio.run(play())


def test_requests_cancelled_in_one_turn_keep_no_heads() -> None:
    """A page's task is cancelled before the loop has reached it: what the peer sent is released all the same."""

    async def play() -> None:
        world = World(random.Random(0), most=100)
        for peer in range(40):
            world.open(peer)
            world.wires[-1].send(b"GET /x HTTP/1.1\r\nX: " + b"y" * 30_000 + b"\r\n\r\n")
        heads = [each for each in gc.get_objects() if isinstance(each, Head)]
        assert sum(len(value) for head in heads for _, value in head.headers) <= LIMITS.memory_bytes
        await _ended(world)

    asyncio.run(play())


def test_a_sender_who_leaves_before_its_body_is_spooled_leaves_nothing() -> None:
    """The task that spools the body has not begun when its sender disconnects."""

    async def play() -> None:
        world = World(random.Random(0))
        world.open()
        [wire] = world.wires
        wire.send(strangers.upload(40_000) + b"x" * 30_000)
        wire.connection.release_memory()
        assert world.app.webhook.spool.pending == 30_000
        wire.connection.abort()
        await _ended(world)

    asyncio.run(play())


def test_bodies_that_begin_together_leave_nothing() -> None:
    """More large bodies than the spool can take begin in one turn: those dropped for others are released too."""

    async def play() -> None:
        world = World(random.Random(0))
        for peer in range(LIMITS.spool_files + 2):
            world.open(peer)
            world.wires[-1].send(strangers.upload(60_000) + b"x" * 30_000)
        assert world.app.webhook.spool.files == LIMITS.spool_files
        refused = [wire.connection._state == CLOSING for wire in world.wires]
        assert refused == [True, True] + [False] * LIMITS.spool_files, "the first two made room"
        await asyncio.sleep(0)
        await _ended(world)
        assert world.app.metrics.deliveries["overloaded"] == 2

    asyncio.run(play())


def test_a_connection_is_read_again_after_the_disk_refused_its_body() -> None:
    """The rest of a body stops the reading.

    If the disk refuses the body meanwhile, the next request must not wait forever.
    """

    async def play() -> None:
        world = World(random.Random(0))
        world.open()
        [wire] = world.wires
        world.full = True
        world.disk.clear()
        wire.send(strangers.upload(200_000) + b"x" * 100_000)
        await asyncio.sleep(0.01)
        wire.send(b"x" * 100_000)
        assert wire.paused
        world.disk.set()
        while wire.connection._request is not None:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        assert not wire.paused
        assert world.app.metrics.deliveries["store-unavailable"] == 1
        await _ended(world)

    asyncio.run(play())
