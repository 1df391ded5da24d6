"""Large bodies on disk: how many there may be, and what is left of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import IO

import pytest

from closeout.core.errors import Overloaded, Unauthorized
from closeout.core.signature import Check, sign
from closeout.server.bodies import Limits
from closeout.server.spool import PENDING, PIECE, Spool, unnamed_file
from closeout.server.upload import Upload
from tests.unit.server.wire import SECRET, play, turns


class Sender(Upload):
    """Whoever sends a body, without a connection."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resume(self) -> None:
        """Note it."""
        self.told.append("resume")

    def evict(self) -> None:
        """Note it."""
        self.told.append("crowded out")


class Disk(Spool):
    """A spool, and every file that it opened."""

    def __init__(self, **limits: int) -> None:
        super().__init__(Limits(**limits), lambda: Check((SECRET,)), self._opened)
        self.opened: list[IO[bytes]] = []

    def _opened(self) -> IO[bytes]:
        self.opened.append(unnamed_file())
        return self.opened[-1]

    @property
    def closed(self) -> list[bool]:
        """Return which files are closed."""
        return [file.closed for file in self.opened]


@pytest.mark.parametrize("ended", [False, True])
def test_a_body_that_is_no_longer_needed_gives_its_disk_back(ended: bool) -> None:
    """At once, not when somebody looks for garbage: strangers fill the spool again and again. Also after the server's end."""

    async def scene() -> None:
        spool = Disk()
        spooled = spool.open(Sender(), bytearray(2 * PIECE))
        spooled.feed(b"", last=True)
        await spooled.write()
        assert len(await spooled.read()) == 2 * PIECE
        assert spool.closed == [False]
        if ended:
            spool.close()
        spooled.close()
        if not ended:
            await spool.do(lambda: None)
        assert spool.closed == [True]
        spool.close()

    play(scene)


def test_a_whole_piece_is_written_and_waits_in_memory_no_more() -> None:
    """Meanwhile its sender is not read; a smaller piece waits for what follows it."""

    async def scene() -> None:
        spool, sender = Disk(), Sender()
        spooled = spool.open(sender, bytearray(PIECE - 1))
        writing = asyncio.create_task(spooled.write())
        await turns()
        assert (spool.pending, spool.bytes, sender.told) == (PIECE - 1, 0, [])
        spooled.feed(b"x", last=False)
        assert (spool.pending, sender.told) == (PIECE, ["pause"])
        async with asyncio.timeout(10):
            while spool.pending:
                await asyncio.sleep(0.002)
        assert (spool.bytes, sender.told) == (PIECE, ["pause", "resume"])
        spooled.feed(b"y", last=True)
        await writing
        assert await spooled.read() == bytes(PIECE - 1) + b"xy"
        spooled.close()
        spool.close()
        assert (spool.files, spool.bytes, spool.pending) == (0, 0, 0)

    play(scene)


@pytest.mark.parametrize(
    ("files", "size", "pending", "room"),
    [
        (1, 99, PENDING - 1, True),
        (2, 99, PENDING - 1, False),
        (1, 100, PENDING - 1, False),
        (1, 99, PENDING, False),
    ],
)
def test_the_spool_is_full_at_each_of_its_limits(files: int, size: int, pending: int, room: bool) -> None:
    """Of files, of bytes on disk, and of bytes that wait for the disk."""
    spool = Disk(spool_files=2, spool_bytes=100)
    spool.files, spool.bytes, spool.pending = files, size, pending
    assert spool.has_room is room


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
def test_a_body_that_fills_the_spool_alone_makes_no_room_for_itself(size: int, fits: bool) -> None:
    """To drop it would help nobody."""

    async def scene() -> None:
        spool, sender = Disk(spool_bytes=100), Sender()
        spooled = spool.open(sender, bytearray(size))
        spooled.feed(b"", last=True)
        if fits:
            await spooled.write()
        else:
            with pytest.raises(Overloaded):
                await spooled.write()
        assert "crowded out" not in sender.told
        assert spool.bytes == (size if fits else 0)
        spooled.close()
        spool.close()

    play(scene)


@pytest.mark.parametrize("verified", [False, True])
def test_a_verified_body_is_never_dropped_for_another(verified: bool) -> None:
    """Of the others the oldest is, and its sender is told."""

    async def scene() -> None:
        spool, sender, other = Disk(spool_files=1), Sender(), Sender()
        spooled = spool.open(sender, bytearray(b"body"))
        spooled.feed(b"", last=True)
        await spooled.write()
        with suppress(Unauthorized):
            spooled.verify(sign(b"body", SECRET if verified else b"another of sixteen").encode())
        if verified:
            with pytest.raises(Overloaded):
                spool.open(other, bytearray())
        else:
            spool.open(other, bytearray()).close()
        assert ("crowded out" in sender.told) is not verified
        spooled.close()
        spool.close()

    play(scene)
