"""Which calls of a fake go wrong on purpose: the part that the fake GitHub and the emulated AWS share.

Each of them defines what a call is, and what happens to one that is hit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar


@dataclass(slots=True, kw_only=True)
class CountedFault:
    """A fault. `skip` calls pass first, then `times` calls are hit (0: all).

    `after`: the call has its effect first, then its answer is lost, held or replaced.
    """

    skip: int = 0
    times: int = 1
    after: bool = False
    seen: int = 0
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def count(self) -> bool:
        """Count a call that this is about; return whether it is hit."""
        self.seen += 1
        hit = self.seen > self.skip and (not self.times or self.hits < self.times)
        self.hits += hit
        return hit


F = TypeVar("F", bound=CountedFault)


class FaultBoard(Generic[F]):
    """All faults in force, oldest first; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[F] = []

    def __iter__(self) -> Iterator[F]:
        """Yield the faults in force."""
        return iter(self._faults)

    def put(self, fault: F) -> F:
        """Put a fault in force; return it."""
        with self._changed:
            self._faults.append(fault)
        return fault

    def hit(self, is_about: Callable[[F], bool]) -> F | None:
        """Return the first fault that a call runs into."""
        with self._changed:
            found = next((fault for fault in self._faults if is_about(fault) and fault.count()), None)
            self._changed.notify_all()
        return found

    def wait(self, fault: F, hits: int = 1, timeout: float = 10.0) -> bool:
        """Wait until a fault was hit so many times; return False if it was not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: fault.hits >= hits, timeout)

    def clear(self) -> None:
        """End all faults; calls that they hold continue."""
        with self._changed:
            gone, self._faults = self._faults, []
        for fault in gone:
            fault.released.set()
