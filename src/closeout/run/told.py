"""What this process has said of each execution, so that a poll that is repeated for hours says a thing once.

A run function is executed anew after every wait, and its closures with it; so what was said cannot be kept in
them. Kept in memory only: a restart may say a line a second time, which costs nothing.
"""

from __future__ import annotations

import threading


class Told:
    """Lines said so far, by execution. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, set[str]] = {}
        self._held: dict[str, str] = {}
        self._failing: dict[str, dict[str, float]] = {}

    def first(self, execution: str, key: str) -> bool:
        """Whether `key` is said of this execution for the first time; from now on it is not."""
        with self._lock:
            said = self._said.setdefault(execution, set())
            if key in said:
                return False
            said.add(key)
            return True

    def holds(self, execution: str, reason: str) -> bool:
        """Note why a call of this execution waits; whether that is another reason than the last one."""
        with self._lock:
            if self._held.get(execution) == reason:
                return False
            self._held[execution] = reason
            return True

    def failing_since(self, execution: str, operation: str, now: float) -> float:
        """Note that a call of this operation failed; return when it first did (a restart begins to count anew)."""
        with self._lock:
            return self._failing.setdefault(execution, {}).setdefault(operation, now)

    def why(self, execution: str) -> str | None:
        """Return why a call of this execution waits, None if none does."""
        return self._held.get(execution)

    def goes_on(self, execution: str) -> None:
        """Forget why a call waited, because it no longer does."""
        with self._lock:
            self._held.pop(execution, None)

    def forget(self, execution: str) -> None:
        """Forget an execution that has ended."""
        with self._lock:
            self._said.pop(execution, None)
            self._failing.pop(execution, None)
            self._held.pop(execution, None)
