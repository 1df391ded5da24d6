"""Keep large bodies on disk until their signature is verified.

Unauthenticated requests must not keep a delivery out, so a full spool drops its oldest body for a new one. A delivery arrives
within milliseconds, so it is never the oldest unless an attacker fills the whole spool in that time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, TYPE_CHECKING, TypeVar

from closeout.core.errors import Overloaded, StoreUnavailable
from closeout.core.signature import Check
from closeout.server.bodies import Limits

if TYPE_CHECKING:
    from closeout.server.upload import Upload

T = TypeVar("T")
PIECE = 64 * 1024
"""Bytes of one write."""
PENDING = 16 * 1024 * 1024
"""No further body is spooled while more bytes than this wait to be written."""
FULL = "the spool of large bodies is full"
SPARE_DISK = 128 * 1024 * 1024
"""Free bytes of the file system that the spool leaves, because the ledger may be on it."""


def unnamed_file() -> IO[bytes]:
    """Open a file without a name in TMPDIR; closing it deletes it. Raises OSError."""
    return tempfile.TemporaryFile(buffering=0)


class Spool:
    """Temporary files without names; one thread writes, hashes and reads them.

    `new_check` starts the check of a signature with the current secrets.
    """

    def __init__(
        self,
        limits: Limits,
        new_check: Callable[[], Check],
        open_file: Callable[[], IO[bytes]] = unnamed_file,
    ) -> None:
        self._limits = limits
        self.new_check = new_check
        self.open_file = open_file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self.turn = asyncio.Lock()
        """Held while a large body is decoded: each is read into memory as a whole, so only one at a time."""
        self.most_files = limits.spool_files
        self.bytes = 0
        self.files = 0
        self.pending = 0
        """Bytes in memory that wait to be written."""
        self.unverified: dict[Spooled, None] = {}
        """Bodies that may be dropped, the oldest first."""

    @property
    def has_room(self) -> bool:
        """Whether another body fits without dropping one."""
        most = self._limits.spool_bytes
        return self.files < self.most_files and self.bytes < most and self.pending < PENDING

    def open(self, sender: Upload, came: bytearray) -> Spooled:
        """Start a body with the part that has arrived. Raises Overloaded."""
        while not self.has_room:
            self._make_room(None)
        return Spooled(self, sender, came)

    def take(self, size: int, spooled: Spooled) -> None:
        """Count bytes of a body before they are written. Raises Overloaded."""
        while self.bytes + size > self._limits.spool_bytes:
            self._make_room(spooled)
        self.bytes += size

    def _make_room(self, asking: Spooled | None) -> None:
        oldest = next(iter(self.unverified), None)
        if oldest is None or oldest is asking:
            raise Overloaded(FULL)
        oldest.make_room()

    async def do(self, work: Callable[[], T]) -> T:
        """Run `work` in the spool's thread. Raises StoreUnavailable when the disk fails."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise StoreUnavailable(f"a body cannot be spooled: {error.strerror or error}") from None

    def later(self, work: Callable[[], None]) -> None:
        """Run `work` in the thread after what was submitted before."""
        try:
            self._thread.submit(work)
        except RuntimeError:  # the spool is closed
            work()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)


class Spooled:
    """A body in the spool. Reading from its sender stops while a piece waits for the disk.

    Await the coroutines one after another; `close` frees everything.
    """

    def __init__(self, spool: Spool, sender: Upload, came: bytearray) -> None:
        self._spool = spool
        self._sender: Upload | None = sender
        self._check = spool.new_check()
        self._file: IO[bytes] | None = None
        self._size = 0
        self._piece = bytearray()
        self._pending = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None
        spool.files += 1
        spool.unverified[self] = None
        self.feed(came, last=False)

    def feed(self, data: bytes | bytearray, *, last: bool) -> None:
        """Add data that has arrived."""
        if self._piece:
            self._piece += data
        else:
            self._piece = bytearray(data) if isinstance(data, bytes) else data
        self._count(len(data))
        self._ended = last
        if len(self._piece) >= PIECE and self._sender is not None:
            self._sender.pause()
        if self._has_piece() and self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def write(self) -> None:
        """Write and hash the body as it arrives, to its end. Raises Overloaded, StoreUnavailable."""
        while piece := await self._next():
            self._spool.take(len(piece), self)
            self._size += len(piece)
            await self._spool.do(partial(self._add, piece))
            piece = bytearray()  # Nothing keeps a written piece alive while the next one is awaited.

    def verify(self, header: bytes | None) -> None:
        """Raise Unauthorized unless the signature matches the whole body."""
        self._check.verify(header)
        self._spool.unverified.pop(self, None)

    async def hash_again(self) -> None:
        """Hash the body again with the secrets that are active now."""
        self._check = self._spool.new_check()
        await self._spool.do(self._hash_again)

    async def read(self) -> bytes:
        """Return the whole body."""
        return await self._spool.do(lambda: b"".join(self._pieces()))

    def make_room(self) -> None:
        """Drop the body, and reject the request."""
        sender = self._sender
        self.close()
        if sender is not None:
            sender.evict()

    def close(self) -> None:
        """Resume reading from the sender, and delete the file once the thread is done with it."""
        sender, self._sender = self._sender, None
        if sender is None:
            return
        self._piece = bytearray()
        self._count(-self._pending)
        self._spool.files -= 1
        self._spool.bytes -= self._size
        self._spool.unverified.pop(self, None)
        self._spool.later(self._close)
        sender.resume()

    def _has_piece(self) -> bool:
        return self._ended or len(self._piece) >= PIECE

    def _count(self, size: int) -> None:
        self._pending += size
        self._spool.pending += size

    async def _next(self) -> bytearray:
        """Return the next piece, empty at the end. The previous piece must have been written."""
        self._count(len(self._piece) - self._pending)
        if not self._has_piece():
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        piece, self._piece = self._piece, bytearray()
        if self._sender is not None:
            self._sender.resume()
        return piece

    def _add(self, piece: bytearray) -> None:
        if self._file is None:
            self._file = self._spool.open_file()
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < SPARE_DISK:
            raise OSError(errno.ENOSPC, "too little disk space is left for unverified bodies")
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._check.update(piece)

    def _hash_again(self) -> None:
        for piece in self._pieces():
            self._check.update(piece)

    def _pieces(self) -> Iterator[bytes]:
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(1024 * 1024):
                yield piece

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
