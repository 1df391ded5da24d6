"""Where bytes wait until their signature is verified: a bounded part of memory, and a bounded spool on the disk.

Nobody has vouched for these bytes, so what strangers hold must never keep a delivery out. When memory is full, its
oldest holder moves to the spool, or is given up if it cannot: a delivery arrives within milliseconds and is never the
oldest, unless a stranger can send the whole of `memory_bytes` in that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

from closeout.core.errors import Overloaded, StoreUnavailable
from closeout.core.signature import Check
from closeout.intake import door

T = TypeVar("T")
PIECE = 64 * 1024
"""Bytes that are handed to the spool together."""
PENDING = 16 * 1024 * 1024
"""Bytes that may wait to be written while another body begins to be spooled."""
LARGE_BLOCK = 256 * 1024
_M_MMAP_THRESHOLD = -3
TRIM_FROM = 4 * 1024 * 1024
FULL = "the spool of large bodies is full"
SPARE_DISK = 128 * 1024 * 1024
"""Bytes of the spool's file system that strangers never get: the ledger may be on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read, and for how long."""

    read_seconds: float = 10.0
    """From a request's head to the last byte of its body. GitHub itself gives up after ten seconds."""
    body_bytes: int = door.MAX_BODY
    small_bytes: int = 1024 * 1024
    """Bodies over this are spooled."""
    memory_bytes: int = 32 * 1024 * 1024
    """Of heads and small bodies that are incomplete or not verified, all together."""
    spool_bytes: int = 256 * 1024 * 1024
    spool_files: int = 64
    held_bytes: int = 64 * 1024 * 1024
    """Of verified bodies that wait for their commit. Only who has the secret can fill it."""


class Holder(Protocol):
    """A connection whose request is incomplete or not verified."""

    def give_way(self) -> None:
        """Release the memory: move to the spool, or end the request."""
        ...


def map_large_blocks() -> None:
    """Let blocks over 256 KB go back to the system when they are freed.

    glibc begins so, but raises both of its thresholds with each large block that is freed, up to 32 and 64 MB
    (mallopt(3)); to set one ends that.
    """
    import ctypes  # noqa: PLC0415 - as below

    with contextlib.suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def return_freed_memory() -> None:
    """Return freed memory to the system: glibc keeps the pages between blocks that are still in use."""
    import ctypes  # noqa: PLC0415 - not for a start

    with contextlib.suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)


class Unverified:
    """How much memory unverified requests hold, and who has held some for the longest time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._most = 0
        self._holders: dict[Any, int] = {}

    def hold(self, holder: Holder, size: int) -> None:
        """Set the bytes that `holder` holds; 0 takes it out. May call `give_way` of any holder, this one too."""
        before = self._holders.get(holder, 0)
        self.held += size - before
        self._most = max(self._most, self.held)
        if size:
            self._holders[holder] = size
        elif before:
            del self._holders[holder]
        while self.held > self.limit and size > before:
            oldest = next(iter(self._holders))
            oldest.give_way()
            self.held -= self._holders.pop(oldest, 0)

    def used(self, size: int) -> None:
        """Note that a body of this size was in memory after it had been verified."""
        self._most = max(self._most, self.held + size)

    def trim(self) -> None:
        """Return memory to the system once a flood, or a large body, is over."""
        if self._most > TRIM_FROM and self.held < self._most // 2:
            self._most = self.held
            return_freed_memory()


def unnamed_file() -> IO[bytes]:
    """Open a file that has no name and goes with its descriptor, in the folder of TMPDIR. Raises OSError."""
    return tempfile.TemporaryFile(buffering=0)


class Inflow:
    """A body on its way to the spool. The sender is not read while a piece waits, and so is as fast as the disk."""

    def __init__(
        self, spool: Spool, piece: bytearray, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._spool = spool
        self._pause = pause
        self._resume = resume
        self._piece = bytearray()
        self._pending = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None
        self.feed(piece, last=False)

    def feed(self, data: bytes | bytearray, *, last: bool) -> None:
        """Take what came."""
        if self._piece:
            self._piece += data
        else:
            self._piece = bytearray(data) if isinstance(data, bytes) else data
        self._count(len(data))
        self._ended = last
        if len(self._piece) >= PIECE:
            self._pause()
        if self._has_piece() and self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def read(self) -> bytearray:
        """Return the next piece; nothing at the end. The one before has been written."""
        self._count(len(self._piece) - self._pending)
        if not self._has_piece():
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        piece, self._piece = self._piece, bytearray()
        self._resume()
        return piece

    def close(self) -> None:
        """Drop what is left, and let the sender be read again."""
        self._piece = bytearray()
        self._count(-self._pending)
        self._resume()

    def _has_piece(self) -> bool:
        return self._ended or len(self._piece) >= PIECE

    def _count(self, size: int) -> None:
        self._pending += size
        self._spool.pending += size


class Spool:
    """Temporary files without a name, in the folder of TMPDIR; one thread writes, hashes and reads them."""

    def __init__(self, limits: Limits, open_file: Callable[[], IO[bytes]]) -> None:
        self._limits = limits
        self._open_file = open_file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self.turn = asyncio.Lock()
        """Who decodes a large body: one at a time, since it comes into memory whole."""
        self.most_files = limits.spool_files
        self.bytes = 0
        self.files = 0
        self.pending = 0
        """Bytes in memory that are to be written."""

    @property
    def has_room(self) -> bool:
        """Whether one more body can be taken."""
        most = self._limits.spool_bytes
        return self.files < self.most_files and self.bytes < most and self.pending < PENDING

    def open(self, check: Check) -> Spooled:
        """Begin a body, which `check` hashes. Raises Overloaded."""
        if not self.has_room:
            raise Overloaded(FULL)
        return Spooled(self, check)

    def take(self, size: int) -> None:
        """Count bytes before they are written. Raises Overloaded."""
        if self.bytes + size > self._limits.spool_bytes:
            raise Overloaded(FULL)
        self.bytes += size

    async def do(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the spool's thread. Raises StoreUnavailable when the disk does not take it."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise StoreUnavailable(f"a body cannot be spooled: {error.strerror or error}") from None

    def file(self) -> IO[bytes]:
        """Open a file; in the thread. Raises OSError."""
        return self._open_file()

    def later(self, work: Callable[[], None]) -> None:
        """Do a piece of work when the thread has done what it was asked before."""
        try:
            self._thread.submit(work)
        except RuntimeError:  # it has been closed
            work()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)


class Spooled:
    """One body in the spool. `add` and the rest run one after another; `close` frees everything."""

    def __init__(self, spool: Spool, check: Check) -> None:
        self._spool = spool
        self._file: IO[bytes] | None = None
        self._check = check
        self._closed = False
        self._size = 0
        spool.files += 1

    async def add(self, piece: bytearray) -> bool:
        """Write and hash a piece; return whether there was one. Raises Overloaded, StoreUnavailable."""
        if not piece:
            return False
        self._spool.take(len(piece))
        self._size += len(piece)
        await self._spool.do(lambda: self._add(piece))
        return True

    def verify(self, header: bytes | None) -> None:
        """Raise Unauthorized unless the signature is that of all that was added."""
        self._check.verify(header)

    async def hash_again(self, check: Check) -> None:
        """Hash everything with other secrets."""
        self._check = check
        await self._spool.do(lambda: self._hash_again(check))

    async def read(self) -> bytes:
        """Return the whole body."""
        return await self._spool.do(lambda: b"".join(self._pieces()))

    def close(self) -> None:
        """Free the disk, after whatever the thread is doing with the file."""
        if not self._closed:
            self._closed = True
            self._spool.files -= 1
            self._spool.bytes -= self._size
            self._spool.later(self._close)

    def _add(self, piece: bytearray) -> None:
        if self._file is None:
            self._file = self._spool.file()
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < SPARE_DISK:
            raise OSError(errno.ENOSPC, "too little space is left for strangers")
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._check.update(piece)

    def _hash_again(self, check: Check) -> None:
        for piece in self._pieces():
            check.update(piece)

    def _pieces(self) -> Iterator[bytes]:
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(1024 * 1024):
                yield piece

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
