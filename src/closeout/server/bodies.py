"""Limit the memory of requests whose signature is not verified yet; `spool` does the same on disk.

Unauthenticated requests must never keep a delivery out. When the memory is full, the request that has held some the
longest moves to the spool, or is rejected if the spool is full. A delivery arrives within milliseconds, so it is never
the oldest unless an attacker sends all of `memory_bytes` in that time.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol

from closeout.intake import headers

TRIM_FROM = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the size and the duration of requests."""

    read_seconds: float = 10.0
    """From a request's head to the last byte of its body. GitHub itself gives up after ten seconds."""
    body_bytes: int = headers.MAX_BODY
    small_bytes: int = 1024 * 1024
    """Larger bodies are spooled to disk."""
    memory_bytes: int = 32 * 1024 * 1024
    """For all heads and small bodies that are incomplete or not verified."""
    spool_bytes: int = 256 * 1024 * 1024
    spool_files: int = 64
    held_bytes: int = 64 * 1024 * 1024
    """For verified bodies that wait for their commit. Only senders with the secret can fill it."""


class MemoryHolder(Protocol):
    """A connection or a request that is incomplete or not verified."""

    def release_memory(self) -> object:
        """Free the memory: move the body to the spool, or end the request."""


def return_freed_memory() -> None:
    """Return freed memory to the system: glibc keeps free pages between blocks that are in use."""
    import ctypes  # noqa: PLC0415 - not needed at start-up

    with contextlib.suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)


class UnverifiedMemory:
    """Counts the memory of unverified requests, and knows which request has held some the longest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._most = 0
        self._holders: dict[Any, int] = {}

    def hold(self, holder: MemoryHolder, size: int) -> None:
        """Set the bytes that `holder` holds; 0 removes it. Calls `release_memory` on the oldest holders, possibly on this one."""
        before = self._holders.get(holder, 0)
        self.held += size - before
        self._most = max(self._most, self.held)
        if size:
            self._holders[holder] = size
        elif before:
            del self._holders[holder]
        while self.held > self.limit and size > before:
            oldest = next(iter(self._holders))
            oldest.release_memory()
            self.held -= self._holders.pop(oldest, 0)

    def used(self, size: int) -> None:
        """Record that a verified body of this size was in memory."""
        self._most = max(self._most, self.held + size)

    def trim(self) -> None:
        """Return memory to the system after a flood or a large body."""
        if self._most > TRIM_FROM and self.held < self._most // 2:
            self._most = self.held
            return_freed_memory()
