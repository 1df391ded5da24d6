"""One unfinished execution as the local engine holds it in memory.

Apart from the schedule, so that `ReplayDurable` sees one execution and never the engine.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.ports import Pending


class Task:
    """The schedule's view of an execution. Its fields are guarded by the engine's lock."""

    __slots__ = (
        "accepted_at",
        "cancel",
        "crashes",
        "doing",
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
        self.doing: Callable[[], str | None] = lambda: None
        """Gives the operation that is under way, as `automation/step`."""
