"""Faults of the emulator and the journal of its calls: what a test tells the emulator, and what it reads from it.

Both work on the call's name alone, before or after moto, so that every service can be made to fail.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from closeout.testing.aws.calls import Call
from closeout.testing.faults import CountedFault


@dataclass(slots=True, kw_only=True)
class Fault(CountedFault):
    """What happens to some calls of an operation; `*` stands for every service or operation.

    `error` answers `code`, `status` and `message`; `hold` keeps the call for `seconds` (or until it is
    released) and then lets it go on; `drop` closes the connection without an answer; `garble` answers 200 with a
    proxy's half page. `contains` must occur in one of the call's parameters.
    """

    service: str = "*"
    operation: str = "*"
    kind: Literal["error", "hold", "drop", "garble"] = "error"
    code: str = "Throttling"
    status: int = 400
    message: str = "Rate exceeded"
    seconds: float = 30.0
    contains: str = ""
    retry_after: int | None = None

    def is_about(self, call: Call) -> bool:
        """Return whether it may hit this call."""
        named = self.service in {"*", call.service} and self.operation in {"*", call.operation}
        return named and (not self.contains or any(self.contains in str(v) for v in call.params.values()))


class CallJournal:
    """Every AWS call in the order of arrival; thread-safe.

    `status` of an entry is None while the call is under way; it is `held` while a fault keeps it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def begin(self, call: Call) -> dict[str, Any]:
        """Record a call before anything happens to it; return its entry."""
        with self._lock:
            entry = {
                "number": len(self._entries) + 1,
                "service": call.service,
                "operation": call.operation,
                "params": dict(call.params),
                "at": time.time(),
                "status": None,
                "held": False,
            }
            self._entries.append(entry)
            return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return copies of the entries after that number."""
        with self._lock:
            return [dict(entry) for entry in self._entries[number:]]

    def clear(self) -> None:
        """Start again at 1."""
        with self._lock:
            self._entries.clear()
