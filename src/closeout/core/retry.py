"""How long to wait before the next try: capped, with jitter, and never sooner than a service asks.

`jitter`, a number in [0, 1), is an argument, so that a schedule can be tested.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds between polls: `first`, then times `factor`, never over `cap`."""

    first: float = 1.0
    factor: float = 1.5
    cap: float = 30.0

    def delay(self, tries: int, jitter: float = 0.0) -> float:
        """Seconds to wait after `tries` (1 or more) tries; `jitter` takes off up to a quarter."""
        exponent = min(max(tries, 1) - 1, 64)
        return min(self.cap, self.first * self.factor**exponent) * (1.0 - 0.25 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """At most `attempts` calls in all, `backoff` between them. Only transient errors are tried again."""

    attempts: int = 3
    backoff: Backoff = Backoff(first=1.0, factor=2.0, cap=300.0)

    def delay(self, tries: int, *, jitter: float = 0.0, retry_after: float | None = None) -> float:
        """Seconds to wait after `tries` calls; a service's own `retry_after` is a lower bound."""
        return max(self.backoff.delay(tries, jitter), retry_after or 0.0)
