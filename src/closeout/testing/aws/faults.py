"""Faults on demand and the journal of calls: what a test says about the emulator, and what it asks it.

Both work on the call's name alone, before or after moto, so that every service can be made to fail.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from closeout.testing.aws.calls import Call

Kind = Literal["error", "hold", "drop", "garble"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order: what happens to calls `skip + 1` to `skip + times` of an operation.

    `error` answers `code`, `status` and `message`; `hold` keeps the call for `seconds` (or until it is
    released) and then lets it go on; `drop` closes the connection without an answer; `garble` answers 200 with a
    proxy's half page. With `after` the call
    has had its effect by then, and only its answer is late or lost. `*` stands for every operation or
    service; `contains` must occur in one of the call's parameters.
    """

    service: str = "*"
    operation: str = "*"
    kind: Kind = "error"
    code: str = "Throttling"
    status: int = 400
    message: str = "Rate exceeded"
    seconds: float = 30.0
    skip: int = 0
    times: int = 1
    after: bool = False
    contains: str = ""
    retry_after: int | None = None

    def matches(self, call: Call) -> bool:
        """Return whether this order is about that call."""
        named = self.service in {"*", call.service} and self.operation in {"*", call.operation}
        return named and (not self.contains or any(self.contains in str(v) for v in call.params.values()))


@dataclass(slots=True, kw_only=True)
class Entry:
    """One line of the journal. `status` is None while the call is under way; `held` while a fault keeps it."""

    number: int
    service: str
    operation: str
    params: dict[str, Any]
    at: float
    status: int | None = None
    held: bool = False


@dataclass(slots=True)
class FaultBoard:
    """Orders in the order given, counted down as they are met; thread-safe."""

    orders: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _release: threading.Event = field(default_factory=threading.Event)

    def add(self, order: Fault) -> None:
        """Keep one more order."""
        with self._lock:
            self.orders.append(order)

    def clear(self) -> None:
        """Forget every order and let go of every call that is held."""
        with self._lock:
            self.orders.clear()
            self._release.set()
            self._release = threading.Event()

    def take(self, call: Call) -> Fault | None:
        """Return the first order that this call meets, and count it."""
        with self._lock:
            for order in self.orders:
                if order.times < 1 or not order.matches(call):
                    continue
                if order.skip > 0:
                    order.skip -= 1
                    continue
                order.times -= 1
                return order
        return None

    def hold(self, seconds: float) -> None:
        """Keep this thread until the time is up or `clear` is called."""
        with self._lock:
            event = self._release
        event.wait(seconds)


@dataclass(slots=True)
class CallJournal:
    """Every AWS call in the order of arrival; thread-safe."""

    entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, call: Call) -> Entry:
        """Write a call down before anything happens to it."""
        with self._lock:
            entry = Entry(
                number=len(self.entries) + 1,
                service=call.service,
                operation=call.operation,
                params=dict(call.params),
                at=time.time(),
            )
            self.entries.append(entry)
            return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the entries after that number as JSON objects."""
        with self._lock:
            return [asdict(entry) for entry in self.entries[number:]]

    def clear(self) -> None:
        """Start anew at 1."""
        with self._lock:
            self.entries.clear()
