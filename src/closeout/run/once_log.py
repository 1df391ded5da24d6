"""What this process has already logged of each execution, so that a poll repeated for hours logs a line once.

The engine calls a run function again after every wait, with new closures, so they cannot remember it. Kept in memory only:
after a restart a line may appear a second time, which does no harm.
"""

from __future__ import annotations

import threading


class OnceLog:
    """Lines logged so far, by execution. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: dict[str, set[str]] = {}
        self._held: dict[str, str] = {}
        self._failing: dict[str, dict[str, float]] = {}

    def note(self, execution: str, key: str) -> bool:
        """Note a line; return whether `key` is new for this execution."""
        with self._lock:
            logged = self._logged.setdefault(execution, set())
            if key in logged:
                return False
            logged.add(key)
            return True

    def note_hold(self, execution: str, reason: str) -> bool:
        """Note why a call of this execution waits; return whether the reason is new."""
        with self._lock:
            if self._held.get(execution) == reason:
                return False
            self._held[execution] = reason
            return True

    def note_failure(self, execution: str, operation: str, now: float) -> float:
        """Note that a call of this operation failed; return when it first did. A restart begins to count anew."""
        with self._lock:
            return self._failing.setdefault(execution, {}).setdefault(operation, now)

    def held_reason(self, execution: str) -> str | None:
        """Return why a call of this execution waits, None if none does."""
        return self._held.get(execution)

    def clear_hold(self, execution: str) -> None:
        """Forget why a call waited, because it no longer does."""
        with self._lock:
            self._held.pop(execution, None)

    def forget(self, execution: str) -> None:
        """Forget an execution that has ended."""
        with self._lock:
            self._logged.pop(execution, None)
            self._failing.pop(execution, None)
            self._held.pop(execution, None)
