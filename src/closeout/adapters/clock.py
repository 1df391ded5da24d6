"""The system's clock, as the port.

The only place below the commands that asks the machine for the time; everything else gets it as an argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_LEAD = 367 * 86_400.0
"""Seconds by which time may go on ahead of the system's clock after a restart."""


class SystemClock:
    """`ports.Clock` over the system's clock, which it follows forward and never back.

    Waits, timeouts and the order of acceptance rest on times that were stored earlier. If somebody sets the system's
    clock back by a day, they would all take a day longer; instead time goes on here from where it was, by the
    monotonic clock, until the process ends or the system's clock has caught up. `go_on_from` takes it over a restart.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = float("-inf")
        """How far the system's clock was ahead of the monotonic one at most."""

    def now(self) -> float:
        """Seconds since the epoch."""
        # In this order: a thread that is held up between the two reads finds too small a lead, never too large a one.
        wall = self._wall()
        monotonic = self._monotonic()
        self._ahead = max(self._ahead, wall - monotonic)
        return monotonic + self._ahead

    def go_on_from(self, moment: float) -> float:
        """Go on from a moment that was stored before this process, if it is later; return by how many seconds.

        A moment more than a year ahead is no clock that was set back: it is returned, and not believed.
        """
        lead = max(moment - self.now(), 0.0)
        if lead <= LONGEST_LEAD:
            self._ahead += lead
        return lead
