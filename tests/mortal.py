"""`MemoryDurable` with deaths on demand: a test kills the process at any call."""

from __future__ import annotations

from collections.abc import Callable

from closeout.engine.durable import Abandoned, ReplayDurable
from closeout.ports import Json
from closeout.testing.durable import FakeClock, MemoryDurable


class Killed(Abandoned):
    """The process died here."""


class MortalDurable(MemoryDurable):
    """One execution's operations. `kill(name, when)` decides whether the process dies `before` or `after` a call.

    `calls` are the recorded functions that were really called, in order.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.kill: Callable[[str, str], bool] = lambda _name, _when: False
        self.calls: list[str] = []

    def replay(self) -> ReplayDurable:
        """Return the `Durable` of the next execution of the run function, over what is recorded."""
        return _Mortal(self)


class _Mortal(ReplayDurable):
    def __init__(self, memory: MortalDurable) -> None:
        super().__init__(memory, memory.operations.values())
        self._memory = memory

    def _call(self, name: str, fn: Callable[[], Json]) -> Json:
        if self._memory.kill(name, "before"):
            raise Killed(name)
        self._memory.calls.append(name)
        value = super()._call(name, fn)
        if self._memory.kill(name, "after"):
            raise Killed(name)
        return value
