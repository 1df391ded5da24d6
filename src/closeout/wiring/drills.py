"""The drill of a server: run the checks, with pings, once a day and whenever somebody asks.

It has a thread of its own, so deliveries and runs never wait for it. The ledger has the time at which it last ended, so a
server that restarts often does not drill often, and its metrics survive a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.checks.check import news, redacted
from closeout.checks.world import World
from closeout.core.errors import CloseoutError
from closeout.core.redact import Redactor
from closeout.core.threads import background
from closeout.ledger.sqlite import Ledger
from closeout.patrol.marks import DRILL, LAST

if TYPE_CHECKING:
    from closeout.checks.check import Outcome

JOIN_SECONDS = 2.0
AGAIN = 3_600.0
"""Seconds until a drill that failed as a whole is repeated."""


class DrillFigures(NamedTuple):
    """What the metrics say about the last drill."""

    ended_at: float
    states: Mapping[str, str]
    """Each check's state, by its id."""


@dataclass
class Drills:
    """The drills of one process. `world` returns what the next one asks, given how to wait; `every` is the interval in seconds, None for never."""

    world: Callable[[Callable[[float], object]], World]
    ledger: Ledger
    redactor: Redactor
    every: float | None
    now: Callable[[], float]

    def __post_init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: dict[str, Any] = self.ledger.marks(DRILL).get(LAST, {})

    def drill(self) -> list[Outcome]:
        """Run one drill, and store what it found."""
        from closeout.checks import registry

        with self._one_at_a_time:
            outcomes = list(redacted(registry.ask(self.world(self._stopping.wait)), self.redactor))
            states = {one.check.id: one.result.state for one in outcomes}
            self._keep({"ended_at": self.now(), "states": states})
        return outcomes

    def figures(self) -> DrillFigures | None:
        """Return what `/metrics` says; None before the first drill."""
        last = self._last
        return DrillFigures(last["ended_at"], last["states"]) if last.get("states") else None

    def _keep(self, value: dict[str, Any]) -> None:
        self._last = value
        with suppress(CloseoutError):  # a drill also reports a full disk
            self.ledger.save_mark(DRILL, LAST, value)

    def start(self, report: Callable[[str], None]) -> None:
        """Run the checks that cost nothing, then a drill at each interval; `report` gets what is new.

        The first drill is one interval after the first start. A thread runs them all: their import would slow the start down.
        """
        if self.every is not None and not self._last:
            self._keep({"ended_at": self.now()})
        self._thread = background("drill", self._run, report)
        self._thread.start()

    def stop(self) -> None:
        """Begin no further drill, and ask nothing more in one that is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self, report: Callable[[str], None]) -> None:
        self._check_at_start(report)
        every = self.every
        if every is None:
            return
        wait = float(self._last["ended_at"]) + every - self.now()
        while not self._stopping.wait(max(wait, 0.0)):
            before = dict(self._last.get("states", {}))
            try:
                for text in news(self.drill(), before):
                    report(text)
                wait = every
            except Exception as error:  # noqa: BLE001 - the timer must survive any error of one drill
                report(f"drill failed: {error}")
                wait = min(AGAIN, every)

    def _check_at_start(self, report: Callable[[str], None]) -> None:
        from closeout.checks import registry

        checks = [check for check in registry.CHECKS if check.at_start]
        for check, result, _ in redacted(
            registry.ask(self.world(self._stopping.wait), checks), self.redactor
        ):
            if result.state == "wrong":
                report(f"warning: {result.what}: {result.fix or check.fix}")
