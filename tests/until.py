"""Wait for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(what: str, look: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Poll until `look` gives something true; fail with `what` and the last answer."""
    end = time.monotonic() + seconds
    answer: Any = None
    pause = 0.02
    while time.monotonic() < end:
        answer = look()
        if answer:
            return answer
        time.sleep(pause)
        pause = min(pause * 1.2, 0.15)  # to look takes time from what is looked for
    raise AssertionError(f"{what} did not happen within {seconds:g} s; last seen: {answer!r}")
