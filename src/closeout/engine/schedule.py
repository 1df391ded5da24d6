"""The local engine's state in memory: one `Task` for each unfinished execution, and a queue for each concurrency key.

Plain values without threads or clock, so that tests can try every order of events. The engine's lock guards them.
"""

from __future__ import annotations

from bisect import insort

from closeout.engine.durable import ReplayDurable
from closeout.ports import Pending


class KeyQueues:
    """One first-in-first-out queue for each concurrency key. The head of a queue is its lock holder and may run."""

    def __init__(self) -> None:
        self._queues: dict[str, list[int]] = {}

    def join(self, key: str | None, number: int) -> bool:
        """Add an execution in order of acceptance; return whether it holds the lock and may run at once."""
        if key is None:
            return True
        queue = self._queues.setdefault(key, [])
        insort(queue, number)
        return queue == [number]

    def leave(self, key: str | None, number: int) -> int | None:
        """Remove an execution from its queue; return the new lock holder if the lock passes on."""
        if key is None:
            return None
        queue = self._queues.get(key, [])
        if number not in queue:
            return None
        was_head = queue[0] == number
        queue.remove(number)
        if not queue:
            del self._queues[key]
            return None
        return queue[0] if was_head else None


class Task:
    """One unfinished execution as the engine schedules it."""

    def __init__(self, pending: Pending, *, found: bool = False) -> None:
        self.number = pending.number
        self.execution = pending.execution
        self.key = pending.key
        self.turn = pending.turn
        self.crashes = pending.crashes
        self.deaths = pending.deaths
        self.suspected = pending.suspected
        self.alone = pending.alone is not None
        """Whether it takes a turn alone when it continues."""
        self.cancel = pending.cancel
        self.expires = pending.accepted_at + pending.queue_timeout
        self.wake = pending.wake or 0.0
        self.fresh = not found
        """Whether it never began. A run found at the engine's start may have begun, and ended the process."""
        self.state = "queued"
        """`queued` (for its key), `ready` (for a thread, or for the end of turns alone), `running` or `waiting`."""
        self.running: tuple[str, ReplayDurable] | None = None
        """The automation and the operations of the present call of the run function."""

    @property
    def operation(self) -> str | None:
        """The operation that runs now, as `automation/step`."""
        running = self.running  # a worker's thread may clear it between two reads
        if running is None or (inside := running[1].inside) is None:
            return None
        return f"{running[0]}/{inside.partition('/')[0]}"
