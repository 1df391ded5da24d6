"""The system's clock, as the port.

Below the commands only this module reads the machine's time; everything else receives it as an argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_LEAD = 367 * 86_400.0
"""Seconds by which time may stay ahead of the system's clock after a restart."""


class SystemClock:
    """`ports.Clock` over the system's clock, which it follows forward and never back.

    Waits, timeouts and the order of acceptance depend on times that were stored earlier. If somebody set the system's
    clock back by a day, they would all take a day longer. So time continues here with the monotonic clock until the
    process ends or the system's clock has caught up. `go_on_from` preserves it across a restart.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = float("-inf")
        """The largest lead of the system's clock over the monotonic one so far."""

    def now(self) -> float:
        """Seconds since the epoch."""
        # In this order a thread that is delayed between the two reads finds too small a lead, never too large a one.
        wall = self._wall()
        monotonic = self._monotonic()
        self._ahead = max(self._ahead, wall - monotonic)
        return monotonic + self._ahead

    def go_on_from(self, moment: float) -> float:
        """Continue from a time that an earlier process stored, if it is later; return by how many seconds.

        A time more than a year ahead does not come from a clock that was set back: it is returned but not used.
        """
        lead = max(moment - self.now(), 0.0)
        if lead <= LONGEST_LEAD:
            self._ahead += lead
        return lead
