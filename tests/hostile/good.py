"""The good delivery each second: signed, on a connection of its own, as GitHub sends it while others attack."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple, Self

from tests.hostile.process import slowness
from tests.hostile.report import Report
from tests.hostile.server import GOOD, Server, delivery, status_of

WITHIN = 1.0
"""Seconds in which each must be acknowledged."""
BUSY = 2.0
"""How many times longer work takes on a machine that is busy with other things, at the least."""
GIVEN = 10.0
"""Seconds after which GitHub gives up."""


class Sent(NamedTuple):
    """One delivery: when it was sent (monotonic), its status (0: no answer) and how long the answer took."""

    guid: str
    at: float
    status: int
    seconds: float


class GoodDeliveries:
    """Sends from a thread until the block ends; each delivery has a thread, so that a late answer delays no other."""

    def __init__(self, server: Server, *, every: float = 1.0, prefix: str = "good") -> None:
        self.sent: list[Sent] = []
        self._server = server
        self._every = every
        self._prefix = prefix
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sender = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._sender.join(5)
        for thread in self._threads:
            thread.join(GIVEN + 5)

    def _send(self) -> None:
        number = 0
        due = time.monotonic()
        while not self._done.is_set():
            number += 1
            request = delivery(10_000 + number, f"{self._prefix}-{number}")
            thread = threading.Thread(
                target=self._one, args=(f"{self._prefix}-{number}", request), daemon=True
            )
            self._threads.append(thread)
            thread.start()
            due += self._every
            self._done.wait(max(0.0, due - time.monotonic()))

    def _one(self, guid: str, request: bytes) -> None:
        began = time.monotonic()
        answer = self._server.exchange(request, GOOD, GIVEN)
        self.sent.append(Sent(guid, began, status_of(answer), time.monotonic() - began))

    @property
    def taken(self) -> list[Sent]:
        """Those that were acknowledged as stored."""
        return [one for one in self.sent if one.status == 202]

    def into(self, report: Report) -> None:
        """Write the figures into a report, and check them."""
        note(self.sent, report)


def note(sent: Sequence[Sent], report: Report, within: float = WITHIN) -> None:
    """Write the figures of deliveries into a report; every one of them must be in, within so many seconds.

    On a machine that is busy with other things they get as much longer as everything takes there.
    """
    taken = [one for one in sent if one.status == 202]
    report.good_sent, report.good_in = len(sent), len(taken)
    report.worst_ms = max((one.seconds for one in sent), default=0.0) * 1e3
    others = sorted({one.status for one in sent if one.status != 202})
    report.check(bool(sent), "no good delivery was sent")
    missing = f"{len(sent) - len(taken)} of {len(sent)} good deliveries were not taken"
    report.check(not others, f"{missing} (statuses {others}; 0: no answer)")
    slow = slowness()
    if slow > BUSY:
        report.events.append(f"a machine {slow:.0f} times as slow as a quiet one")
    given = within * (slow if slow > BUSY else 1.0)
    late = [one for one in taken if one.seconds > given]
    report.check(
        not late, f"{len(late)} good deliveries took over {given:.1f} s, the worst {report.worst_ms:,.0f} ms"
    )
