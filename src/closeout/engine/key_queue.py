"""A run's place in the queue of its concurrency key on AWS: when its turn comes, what blocks it, which run to wake.

A queued run does not poll, because each poll counts against the operations that Lambda allows an execution. The run is
suspended until the run that releases the key wakes it. It also checks the queue now and then, because a process may be
killed between releasing and waking. The local engine keeps its queues in memory (`schedule`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from closeout.core.errors import CloseoutError
from closeout.engine.store import Finalize, RemoteStore, Starts
from closeout.ports import Clock, RunRecord
from closeout.stack.invocation import ALIVE

SHORTEST_QUEUE, LONGEST_QUEUE = 15.0, 3_600.0
"""Seconds after which a run that was not woken checks the queue; they grow with the time that it has waited."""
UNSTARTED, SUSPECT = 10.0, 60.0
"""Age in seconds from which the status of a run that blocks others is checked: of a run without a start, and with one."""
MOST_CLEARED = 20
"""Finished executions that one invocation removes from a queue."""


def next_check(accepted_at: float, queue_timeout: float, now: float, longest: float = LONGEST_QUEUE) -> float:
    """Return when a queued run checks again. The pause grows with the time waited, and ends at the queue's timeout."""
    waited = max(0.0, now - accepted_at)
    pause = min(max(waited / 4, SHORTEST_QUEUE), longest)
    return min(now + pause, max(accepted_at + queue_timeout, now + 1.0))


@dataclass
class KeyQueue:
    """The queues of one ledger. `finalize` and `report` are as in `LambdaEngine`."""

    store: RemoteStore
    starts: Starts
    finalize: Finalize
    clock: Clock
    report: Callable[[str, CloseoutError, str], None]

    def turn(self, record: RunRecord, key: str, remaining: Callable[[], float]) -> str | None:
        """Return the turn in which a queued execution may run; None while it waits for its key."""
        for _ in range(MOST_CLEARED):
            ahead = self.store.ahead(record)
            if ahead is None:
                return "own"
            if not self._clear(record, key, ahead, remaining):
                break
        if record.run.cancel:
            return "cancelled"
        return "expired" if self.clock.now() >= record.accepted_at + record.queue_timeout else None

    def wake_next(self, key: str | None) -> None:
        """Wake the execution whose turn it is now, if the key is free. Call this after each release of a key.

        Never raises: an execution that was not woken checks the queue later.
        """
        execution = None
        try:
            execution = None if key is None else self.store.next_in_line(key)
            if execution is not None:
                self.starts.wake(execution)
        except CloseoutError as error:
            self.report(execution or "", error, "it could not be woken for its turn")

    def _clear(self, behind: RunRecord, key: str, ahead: str, remaining: Callable[[], float]) -> bool:
        """Remove the execution ahead from the queue if it is over; return whether it was. Start it if it was never started."""
        other, now = self.store.look(ahead), self.clock.now()
        if other is None and now - behind.accepted_at < SUSPECT:
            # Its ticket may be visible a moment before its row, which the same transaction writes.
            return False
        if other is None or other.run.state == "finished":
            self.store.clear(key, ahead)
            return True
        if now - other.accepted_at < (SUSPECT if other.started else UNSTARTED) or self._looks(other, now):
            return False
        try:
            status = self.starts.ensure(ahead)
        except CloseoutError as error:
            self.report(ahead, error, "its status in Lambda is unknown")
            return False
        return status not in ALIVE and self.finalize(ahead, status, remaining)

    def _looks(self, ahead: RunRecord, now: float) -> bool:
        """Return whether an execution ahead waits for its own turn and will check the queue.

        Then only the first waiting run of a queue asks Lambda about the run before it: Lambda allows few such requests.
        """
        wake_up = self.store.wake_up(ahead.execution) if ahead.run.state == "queued" else None
        return wake_up is not None and now < wake_up.until + SUSPECT
