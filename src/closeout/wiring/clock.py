"""The system's clock, as the port.

The only place below the commands that asks the machine for the time; everything else gets it as an argument.
"""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` over the system's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
