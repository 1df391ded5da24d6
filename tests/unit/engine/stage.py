"""A stage for `ReplayDurable` alone: a clock that tests advance, a store in memory, crashes at chosen points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.core.runs import CancelDelivered, Outcome, Parked, RunState
from closeout.engine.durable import Abandoned, ReplayDurable, Suspended
from closeout.ports import Operation


class Crash(BaseException):
    """The process dies here."""


class Stage:
    """Plays the engine for one execution. It is `durable.Recorder` as well."""

    def __init__(self) -> None:
        self.clock = 1_000.0
        self.stored: dict[str, Operation] = {}
        self.parked: list[float] = []
        self.cancel: str | None = None
        self.crash_count = 0
        self.death_count = 0
        self.stopping = False
        self.executions = 0
        self.saves = 0
        self.save_takes = 0.0
        self.crash_at_save: int | None = None
        self.crash_after_commit = False

    # --- durable.Recorder ---

    def now(self) -> float:
        return self.clock

    def jitter(self) -> float:
        return 0.0

    def redact(self, text: str) -> str:
        return text.replace("hunter2", "***")

    def cancelled_by(self) -> str | None:
        return self.cancel

    @property
    def counters(self) -> RunState:
        return RunState(crashes=self.crash_count, deaths=self.death_count)

    def draining(self) -> bool:
        return self.stopping

    def save(
        self,
        operation: Operation,
        *outcomes: Outcome,
        progressed: bool = True,
        later: bool = False,
    ) -> None:
        del later
        self.saves += 1
        self.clock += self.save_takes
        dies = self.saves == self.crash_at_save
        if dies and not self.crash_after_commit:
            raise Crash
        self.stored[operation.name] = operation
        self.crash_count = 0
        if progressed:
            self.death_count = 0
        for outcome in outcomes:
            if isinstance(outcome, CancelDelivered):
                self.cancel = None
            elif isinstance(outcome, Parked):
                self.parked.append(outcome.wake)
        if dies:
            raise Crash

    # --- the engine ---

    def once(self, run: Callable[[ReplayDurable], Any]) -> Any:
        """Execute once. Return what `run` returned, or the `Suspended` that unwound it."""
        self.executions += 1
        durable = ReplayDurable(self, sorted(self.stored.values(), key=lambda operation: operation.position))
        try:
            result = run(durable)
        except Suspended as suspended:
            return suspended
        except Abandoned:
            return None
        return result if durable.suspended is None else Suspended(durable.suspended)

    def through(self, run: Callable[[ReplayDurable], Any]) -> Any:
        """Execute to the end, moving the clock to each wake, continuing after each crash."""
        for _ in range(200):
            try:
                result = self.once(run)
            except Crash:
                self.crash_count += 1
                continue
            if not isinstance(result, Suspended):
                return result
            self.clock = max(self.clock, result.wake)
        raise AssertionError("the run does not come to an end")
