"""The system's clock, as the port."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` over the system's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
