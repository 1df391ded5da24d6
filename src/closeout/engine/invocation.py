"""One invocation of an execution on AWS: it claims, replays, continues and records the execution, and parks or finishes it.

The fencing token of the claim is checked by each write. Between two writes the ledger is asked at least every half second
whether the claim still holds and whether somebody has asked to cancel the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from closeout.core import runs
from closeout.core.errors import StoreUnavailable
from closeout.engine.durable import Abandoned, ReplayDurable
from closeout.engine.key_queue import next_check
from closeout.engine.recorder import Finished, StoreRecorder, call, persist
from closeout.ports import ClaimStatus, Ending, Execution, Operation, RunFunction, RunRecord

if TYPE_CHECKING:
    from closeout.engine.lambda_ import LambdaEngine

LAST = 5.0
"""Seconds before the end of an invocation in which it stops waiting for a store that does not answer."""
LONGEST_WAIT = 300.0
"""Seconds between two invocations at most: a waiting run notices a cancel that late."""
FRESH = 0.5
"""Seconds for which the ledger's last answer about the claim and a cancel counts."""
UNKNOWN = "its definition is not one that was deployed; deploy the stack again"


class BegunEarlier(Exception):
    """An earlier release began the execution. Its record is not trusted, so the run can only be ended."""


class Invocation(StoreRecorder):
    """One claim of an execution. `record` is the row as this invocation has last written it."""

    def __init__(
        self,
        engine: LambdaEngine,
        record: RunRecord,
        run: RunFunction,
        remaining: Callable[[], float],
        *,
        over: bool,
        longest: float,
    ) -> None:
        super().__init__(engine, self._wait_for_store)
        self.record = record
        self._engine = engine
        self._run = run
        self._remaining = remaining
        self._over = over
        self._longest = longest
        self._seal: str | None = None
        self._recorded = False
        self._later: list[Operation] = []
        """What is stored with the next operation."""
        self._asked_at = -math.inf
        """When the ledger was last asked for what `cancelled_by` returns."""

    def execute(self) -> float | None:
        """Replay and continue the execution until it ends (None) or waits (when to continue)."""
        engine = self._engine
        try:
            asked_at = self.now()
            loaded = engine.store.load(self.record)
            self._asked_at = asked_at
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a run that cannot be read now can never run
            summary = f"the run cannot be read from the ledger: {error}"
            self._finish(Ending("failure", summary))
            engine.report(self.record.execution, f"{summary}; its status on GitHub may stay pending forever")
            return None
        self._hear(loaded.status)
        execution, self._seal = loaded.execution, loaded.seal
        if loaded.doubt == "unknown":
            if (wake := self._wait_for_definition(execution)) is not None:
                return wake
            execution = execution._replace(unreadable=UNKNOWN)
        elif loaded.doubt == "earlier" and not self._over:
            raise BegunEarlier
        durable = ReplayDurable(self, loaded.operations)
        report = partial(engine.report, execution.id)
        ending = call(self._run, durable, execution, redact=engine.redact, report=report)
        if durable.suspended is None:
            self._finish(ending, execution, durable.operations)
            return None
        if not self.parked:
            self._park(durable.suspended)
        return durable.suspended

    def _wait_for_definition(self, execution: Execution) -> float | None:
        """Park a run whose definition may still be deployed; return when to try again, None if its time is up.

        Nothing in an unknown definition is trusted, not even where it would post its status.
        """
        record, now = self.record, self.now()
        if record.run.cancel is not None or now >= record.accepted_at + record.queue_timeout:
            return None
        self._engine.report(execution.id, f"waiting: {UNKNOWN} ({execution.automation})")
        wake = next_check(record.accepted_at, record.queue_timeout, now, LONGEST_WAIT)
        self._park(wake)
        return wake

    def _wait_for_store(self, seconds: float) -> bool:
        """Wait; return whether too little time is left to wait any more."""
        if seconds:
            self._engine.pause(seconds)
        return self._remaining() < LAST

    # --- called by the operations ---------------------------------------------------------------------------

    @property
    def counters(self) -> runs.RunState:
        """The run in the row."""
        return self.record.run

    def cancelled_by(self) -> str | None:
        """Send a heartbeat and return who asked to cancel. Raises `Abandoned` if another invocation has the run now.

        Send none directly after a write that has checked both.
        """
        if not 0.0 <= self.now() - self._asked_at < FRESH:
            self._heartbeat()
        return self.record.run.cancel

    def _heartbeat(self) -> None:
        asked_at = self.now()
        self._hear(persist(lambda: self._engine.store.heartbeat(self.record), self._wait))
        self._asked_at = asked_at

    def _hear(self, status: ClaimStatus) -> None:
        if not status.mine:
            raise Abandoned
        self.record = self.record._replace(run=self.record.run._replace(cancel=status.cancel))

    def draining(self) -> bool:
        """Whether too little time is left to begin another operation."""
        left = self._remaining()
        return left < self._engine.drain or (self._recorded and left < self._longest)

    def save(
        self, operation: Operation, *outcomes: runs.Outcome, progressed: bool = True, later: bool = False
    ) -> None:
        """Commit an operation, with those that were to be stored later. Raises `Abandoned`."""
        if later and not (self.counters.crashes or self.counters.suspected or self.counters.deaths):
            self._later.append(operation)
            return
        asked_at = self.now()  # before the first try, which may have been written and its answer lost
        super().save(operation, *outcomes, progressed=progressed)
        self._asked_at = asked_at

    def commit(self, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store an operation and its outcomes for the run.

        The write checks what a heartbeat checks. It is refused once if somebody has asked to cancel the run meanwhile; the
        operation's result is then stored all the same.
        """
        operations = (*self._later, operation)
        while not self._engine.store.save(self.record, self._after(*outcomes), operations, self._seal):
            before = self.record.run.cancel
            self._heartbeat()
            if self.record.run.cancel == before:
                raise Abandoned
        self.record = self.record._replace(run=self._after(*outcomes))
        self._later.clear()
        self._seal = None
        self._recorded = True

    # --- writing the row ------------------------------------------------------------------------------------

    def _park(self, wake: float) -> None:
        after = self._after(runs.Parked(wake))
        if not persist(lambda: self._engine.store.save(self.record, after), self._wait):
            raise Abandoned
        self.record = self.record._replace(run=after)

    def _after(self, *outcomes: runs.Outcome) -> runs.RunState:
        after = self.record.run
        for outcome in outcomes:
            after = runs.advance(after, outcome)
        return after

    def _finish(
        self,
        ending: Ending,
        execution: Execution | None = None,
        operations: tuple[Operation, ...] = (),
    ) -> None:
        at = self.now()
        after = self._after(runs.Ended(ending.verdict, ending.summary, at))
        store = self._engine.store
        if not persist(lambda: store.finish(self.record, after, execution, operations), self._wait):
            raise Abandoned
        self.record = self.record._replace(run=after)
        if execution is not None:
            self._engine.on_finish(Finished(execution, ending, at, operations))
        self._engine.queue.wake_next(self.record.key)
