"""Faults on purpose: rate limits, errors, silence, half answers, redirects, and calls held for a crash test.

A fault is matched by method and path before anything else happens, so that every endpoint can fail in every
way without code of its own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KINDS = ("status", "rate-limit", "slow", "trickle", "half", "never", "drop", "redirect", "hold", "text")


@dataclass(slots=True)
class Fault:
    """One fault. `skip` calls pass first, then `times` calls are hit (0: all).

    `after=True`: the call has its effect first, then its answer is lost, held or replaced.
    """

    kind: str
    method: str | None = None
    path: str = ".*"
    skip: int = 0
    times: int = 1
    after: bool = False
    status: int = 500
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    location: str | None = None
    seen: int = 0
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def matches(self, method: str, path: str) -> bool:
        """Whether this call is hit; counts it."""
        if self.method not in (None, method) or not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class Faults:
    """All faults in force, oldest first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults in force."""
        return iter(self._faults)

    def add(self, kind: str, **options: Any) -> Fault:
        """Add a fault of one of `KINDS`. Raises ValueError for another kind, TypeError for an unknown option."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(KINDS)}")
        fault = Fault(kind, **options)
        with self._changed:
            self._faults.append(fault)
        return fault

    def hit(self, method: str, path: str) -> Fault | None:
        """Return the first fault that this call runs into."""
        with self._changed:
            fault = next((fault for fault in self._faults if fault.matches(method, path)), None)
            self._changed.notify_all()
        return fault

    def wait(self, fault: Fault, hits: int = 1, timeout: float = 10.0) -> bool:
        """Wait until a fault was hit so many times; False when it was not."""
        with self._changed:
            return self._changed.wait_for(lambda: fault.hits >= hits, timeout)

    def clear(self) -> None:
        """End all: calls that they hold go on."""
        with self._changed:
            gone, self._faults = self._faults, []
        for fault in gone:
            fault.released.set()
