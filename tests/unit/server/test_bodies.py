"""The memory of unverified requests: what is counted, and which request makes room."""

from __future__ import annotations

import pytest

from closeout.server import bodies
from closeout.server.bodies import TRIM_FROM, UnverifiedMemory


class MemoryHolder:
    """A request that, when it has to give way, holds `left` bytes afterwards, or says nothing."""

    def __init__(self, memory: UnverifiedMemory, left: int | None = None) -> None:
        self.asked = 0
        self._memory = memory
        self._left = left

    def release_memory(self) -> None:
        """Free memory down to `left`."""
        self.asked += 1
        if self._left is not None:
            self._memory.hold(self, self._left)


def test_a_body_is_counted_until_it_is_released() -> None:
    """The latest size of each request counts."""
    memory = UnverifiedMemory(100)
    one, two = MemoryHolder(memory), MemoryHolder(memory)
    memory.hold(one, 30)
    memory.hold(two, 20)
    memory.hold(one, 40)
    assert memory.held == 60
    memory.hold(one, 0)
    memory.hold(one, 0)
    assert memory.held == 20
    assert (one.asked, two.asked) == (0, 0)


def test_the_request_that_has_waited_longest_makes_room() -> None:
    """Not at the limit itself; over it one after another, until the rest fits."""
    memory = UnverifiedMemory(100)
    holders = [MemoryHolder(memory, left=0) for _ in range(4)]
    for holder in holders[:3]:
        memory.hold(holder, 30)
    memory.hold(holders[3], 10)
    assert [holder.asked for holder in holders] == [0, 0, 0, 0]
    memory.hold(holders[3], 45)
    assert [holder.asked for holder in holders] == [1, 1, 0, 0]
    assert memory.held == 75


def test_a_request_that_grows_too_large_makes_room_itself() -> None:
    """If there is no other."""
    memory = UnverifiedMemory(100)
    only = MemoryHolder(memory, left=0)
    memory.hold(only, 101)
    assert (only.asked, memory.held) == (1, 0)


def test_a_request_that_frees_nothing_is_asked_once() -> None:
    """Its connection ends and no longer counts; asking again would never end."""
    memory = UnverifiedMemory(100)
    stubborn, silent, new = MemoryHolder(memory, left=60), MemoryHolder(memory), MemoryHolder(memory)
    memory.hold(stubborn, 60)
    memory.hold(silent, 40)
    memory.hold(new, 70)
    assert (stubborn.asked, silent.asked, new.asked) == (1, 1, 0)
    assert memory.held == 70


def test_a_request_that_frees_a_part_evicts_no_other() -> None:
    """Only a growing request makes others give way."""
    memory = UnverifiedMemory(100)
    first, second = MemoryHolder(memory, left=10), MemoryHolder(memory, left=0)
    memory.hold(first, 50)
    memory.hold(second, 50)
    memory.hold(MemoryHolder(memory), 40)
    assert (first.asked, second.asked) == (1, 0)


def test_memory_returns_to_the_system_after_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once half of it is free, and only if it was a lot."""
    returned: list[int] = []
    memory = UnverifiedMemory(10 * TRIM_FROM)
    holder = MemoryHolder(memory)
    monkeypatch.setattr(bodies, "return_freed_memory", lambda: returned.append(1))
    memory.hold(holder, TRIM_FROM)
    memory.hold(holder, 0)
    memory.trim()
    assert returned == []
    memory.hold(holder, 2 * TRIM_FROM)
    memory.hold(holder, TRIM_FROM)
    memory.trim()
    assert returned == []
    memory.hold(holder, TRIM_FROM - 1)
    memory.trim()
    memory.trim()
    assert returned == [1]
    memory.used(2 * TRIM_FROM)
    memory.trim()
    assert returned == [1, 1]
