"""A durable engine in memory: the real operations without a disk, and a clock that jumps.

It suspends and replays as the engines do, because it is their `ReplayDurable`; only the ledger
is a dict. So a run function that cheats on determinism fails here first.
"""

from __future__ import annotations

import json

from closeout.core.runs import CancelDelivered, Outcome, RunState
from closeout.engine.durable import Abandoned, ReplayDurable, Suspended
from closeout.ports import Ending, Execution, Json, Operation, RunFunction


class FakeClock:
    """`ports.Clock` that moves only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class MemoryDurable:
    """One execution's operations."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.counters = RunState()
        """Crashes are not counted, so that a run continues however often a test kills it."""
        self.operations: dict[str, Operation] = {}
        self._cancelled_by: str | None = None

    def cancel(self, by: str = "a test") -> None:
        """Ask for the run to be cancelled at its next operation."""
        self._cancelled_by = by

    def result(self, name: str) -> Json:
        """Return what an operation recorded."""
        return json.loads(self.operations[name].result or "null")

    def replay(self) -> ReplayDurable:
        """Return the `Durable` of the next execution of the run function, over what is recorded."""
        return ReplayDurable(self, self.operations.values())

    # --- what ReplayDurable asks of its engine ---------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.now()

    def jitter(self) -> float:
        """Return no jitter."""
        return 0.0

    def redact(self, text: str) -> str:
        """Know no secret."""
        return text

    def cancelled_by(self) -> str | None:
        """Who asked to cancel, until that is delivered."""
        return self._cancelled_by

    def draining(self) -> bool:
        """Never."""
        return False

    def save(
        self,
        operation: Operation,
        *outcomes: Outcome,
        progressed: bool = True,
        later: bool = False,
    ) -> None:
        """Keep an operation."""
        del progressed, later
        self.operations[operation.name] = operation
        if any(isinstance(outcome, CancelDelivered) for outcome in outcomes):
            self._cancelled_by = None


def play(run: RunFunction, memory: MemoryDurable, execution: Execution, *, most: int = 10_000) -> Ending:
    """Run to the end: jump the clock over every wait, and replay after every crash."""
    for _ in range(most):
        durable = memory.replay()
        ending: Ending | None = None
        try:
            ending = run(durable, execution)
        except Abandoned:
            continue
        except Suspended:
            pass
        if durable.suspended is None and ending is not None:
            return ending
        if durable.suspended is not None:
            memory.clock.advance(max(0.0, durable.suspended - memory.clock.now()))
    raise AssertionError(f"the run did not end within {most} replays: {list(memory.operations)}")
