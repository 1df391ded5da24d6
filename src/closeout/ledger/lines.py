"""Prepare log lines for a ledger: redact them, make them storable, and limit them per execution.

A script that prints endlessly must not fill the disk on which deliveries are stored.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

LONGEST_LINE = 8_000
"""Characters kept of one line."""
MOST_CHARACTERS = 10_000_000
MOST_LINES = 50_000
"""Lines of one execution that one process keeps: five scripts that print endlessly."""
REMEMBERED = 1_000
"""Executions whose log size is counted at the same time."""
FULL = f"(this run has written {MOST_LINES:,} lines or 10 MB of log; the rest is not kept)"


class JournalLines:
    """Prepares lines, and counts the output of each execution."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._sizes: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def line(self, execution: str, text: str) -> str | None:
        """Return the text to store; None once this execution has written too much."""
        with self._lock:
            lines, characters = self._sizes.pop(execution, (0, 0))
            self._sizes[execution] = lines + 1, characters
            if len(self._sizes) > REMEMBERED:
                self._sizes.popitem(last=False)
        if lines > MOST_LINES or characters > MOST_CHARACTERS:
            return None
        clean = self._redact(text).encode("utf-8", "backslashreplace").decode()
        if len(clean) > LONGEST_LINE:
            clean = f"{clean[:LONGEST_LINE]} … ({len(clean) - LONGEST_LINE} characters more)"
        with self._lock:
            lines, characters = self._sizes.get(execution, (lines + 1, characters))
            self._sizes[execution] = lines, characters + len(clean)
        return clean if lines <= MOST_LINES and characters + len(clean) <= MOST_CHARACTERS else FULL
