"""The bounded part of memory where bytes wait until their signature is verified; `spool` is the same on the disk.

Nobody has vouched for these bytes, so what strangers hold must never keep a delivery out. When memory is full, its
oldest holder moves to the spool, or is given up if it cannot: a delivery arrives within milliseconds and is never the
oldest, unless a stranger can send the whole of `memory_bytes` in that time.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol

from closeout.intake import headers

LARGE_BLOCK = 256 * 1024
_M_MMAP_THRESHOLD = -3
TRIM_FROM = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read, and for how long."""

    read_seconds: float = 10.0
    """From a request's head to the last byte of its body. GitHub itself gives up after ten seconds."""
    body_bytes: int = headers.MAX_BODY
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
