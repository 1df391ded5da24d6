"""One unfinished execution as the engine holds it in memory, and what its operations ask of the engine.

Apart from the schedule, so that `ReplayDurable` sees one execution and never the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from closeout.core.errors import StoreUnavailable
from closeout.engine.durable import Abandoned
from closeout.engine.store import EngineStore
from closeout.ports import Clock, Operation, Pending

LONGEST_PAUSE = 2.0
"""Seconds between two tries to store an outcome on a ledger that takes no writes."""


class Task:
    """The schedule's view of an execution. Its fields are guarded by the engine's lock."""

    __slots__ = (
        "accepted_at",
        "cancel",
        "crashes",
        "execution",
        "expires",
        "fresh",
        "key",
        "number",
        "state",
        "turn",
        "wake",
    )

    def __init__(self, pending: Pending) -> None:
        self.number = pending.number
        self.execution = pending.execution
        self.key = pending.key
        self.turn = pending.turn
        self.crashes = pending.crashes
        self.cancel = pending.cancel
        self.accepted_at = pending.accepted_at
        self.expires = pending.accepted_at + pending.queue_timeout
        self.wake = pending.wake or 0.0
        self.fresh = pending.state == "queued"
        """Never begun: nothing is lost if the note that it runs now is not yet on disk."""
        self.state = "queued"
        """`queued` (for its key), `ready` (for a thread), `running` or `waiting`."""


class TaskKeeper:
    """`durable.Keeper` of one task."""

    def __init__(
        self,
        task: Task,
        store: EngineStore,
        *,
        clock: Clock,
        spread: Callable[[], float],
        redact: Callable[[str], str],
        stopping: threading.Event,
        given_up: threading.Event,
    ) -> None:
        self._task = task
        self._store = store
        self._stopping = stopping
        self._given_up = given_up
        self.now = clock.now
        self.spread = spread
        self.redact = redact
        self.parked = False
        """The store says "waiting" for this task already."""

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, if it has not been told yet."""
        return self._task.cancel

    def crashes(self) -> int:
        """How often the process died in this execution since its last recorded operation."""
        return self._task.crashes

    def draining(self) -> bool:
        """Whether the engine is stopping."""
        return self._stopping.is_set()

    def save(self, operation: Operation, *, park_until: float | None = None, told: bool = False) -> None:
        """Commit an operation, however long the ledger takes no writes: its effect has already happened."""
        task = self._task
        survived = task.crashes > 0

        def attempt() -> None:
            self._store.save(task.number, operation, park_until=park_until, told=told, survived=survived)

        persist(attempt, self._given_up)
        task.crashes = 0
        if told:
            task.cancel = None
        self.parked = park_until is not None


def persist(attempt: Callable[[], None], given_up: threading.Event) -> None:
    """Try to store until it works: what was done must not be done again. Raises `Abandoned` once given up."""
    pause = 0.05
    while True:
        if given_up.is_set():
            raise Abandoned
        try:
            attempt()
        except StoreUnavailable:
            if given_up.wait(pause):
                raise Abandoned from None
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            return
