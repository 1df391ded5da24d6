"""One unfinished execution as the local engine holds it in memory.

Apart from the schedule, so that `ReplayDurable` sees one execution and never the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from closeout.ports import Pending


class Counts(NamedTuple):
    """The engine at one moment, for metrics. `finished` counts by verdict since the engine started."""

    queued: int
    running: int
    waiting: int
    finished: dict[str, int]
    oldest_queued: float
    """Seconds that the oldest execution has been queued; 0 when there is none."""


class Task:
    """The schedule's view of an execution. Its fields are guarded by the engine's lock."""

    __slots__ = (
        "accepted_at",
        "alone",
        "cancel",
        "crashes",
        "deaths",
        "doing",
        "execution",
        "expires",
        "found",
        "fresh",
        "key",
        "number",
        "state",
        "suspected",
        "turn",
        "wake",
    )

    def __init__(self, pending: Pending, *, found: bool = False) -> None:
        self.number = pending.number
        self.execution = pending.execution
        self.key = pending.key
        self.turn = pending.turn
        self.crashes = pending.crashes
        self.deaths = pending.deaths
        self.suspected = pending.suspected
        self.alone = pending.alone is not None
        """It takes a turn alone when it goes on."""
        self.cancel = pending.cancel
        self.accepted_at = pending.accepted_at
        self.expires = pending.accepted_at + pending.queue_timeout
        self.wake = pending.wake or 0.0
        self.fresh = pending.state == "queued"
        """Never begun."""
        self.found = found
        """There when the engine started: it may be what ended the process before anything was noted of it."""
        self.state = "queued"
        """`queued` (for its key), `ready` (for a thread, or for turns alone to be over), `running` or `waiting`."""
        self.doing: Callable[[], str | None] | None = None
        """Gives the operation that is under way, as `automation/step`. It holds the payload: None unless it runs."""


def count(tasks: Iterable[Task], finished: dict[str, int], now: float) -> Counts:
    """Return the figures of these executions."""
    every = list(tasks)
    queued = [task.accepted_at for task in every if task.state in {"queued", "ready"} and task.fresh]
    running = sum(task.state == "running" for task in every)
    oldest = max(0.0, now - min(queued)) if queued else 0.0
    return Counts(len(queued), running, len(every) - len(queued) - running, finished, oldest)
