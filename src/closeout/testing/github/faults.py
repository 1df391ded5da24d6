"""Faults of the fake GitHub: rate limits, errors, silence, half answers, redirects, and calls held for a crash test.

A fault is matched by method and path before anything else happens, so that every endpoint can fail in every
way without code of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from closeout.testing.faults import CountedFault, FaultBoard

KINDS = ("status", "rate-limit", "slow", "trickle", "half", "never", "drop", "redirect", "hold", "text")


@dataclass(slots=True, kw_only=True)
class Fault(CountedFault):
    """A fault of one of `KINDS`."""

    kind: str
    method: str | None = None
    path: str = ".*"
    status: int = 500
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    location: str | None = None

    def is_about(self, method: str, path: str) -> bool:
        """Return whether it may hit this call."""
        return self.method in (None, method) and bool(re.fullmatch(self.path, path))


class Faults(FaultBoard[Fault]):
    """All faults in force."""

    def add(self, kind: str, **options: Any) -> Fault:
        """Add a fault of one of `KINDS`. Raises ValueError for another kind, TypeError for an unknown option."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(KINDS)}")
        return self.put(Fault(kind=kind, **options))
