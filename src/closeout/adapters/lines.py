"""Log lines on their way into the ledger: redacted, storable, and bounded per execution.

A script that prints for ever must not fill the disk that deliveries are stored on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

LONGEST_LINE = 8_000
"""Characters kept of one line."""
MOST_PER_EXECUTION = 10_000_000
"""Characters kept of one execution by one process."""
REMEMBERED = 1_000
"""Executions whose size is counted at a time."""


class JournalLines:
    """Makes a line fit to be stored."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def line(self, execution: str, text: str) -> str | None:
        """Give the text to store; None when this execution has written too much already."""
        clean = self._redact(text).encode("utf-8", "backslashreplace").decode()
        if len(clean) > LONGEST_LINE:
            clean = f"{clean[:LONGEST_LINE]} … ({len(clean) - LONGEST_LINE} characters more)"
        with self._lock:
            before = self._sizes.pop(execution, 0)
            self._sizes[execution] = after = before + len(clean)
            if len(self._sizes) > REMEMBERED:
                self._sizes.popitem(last=False)
        if before > MOST_PER_EXECUTION:
            return None
        if after > MOST_PER_EXECUTION:
            return "(this run has written 10 MB of log; the rest is not kept)"
        return clean
