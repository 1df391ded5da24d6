"""Who may run: first in, first out for each concurrency key, one at a time.

A pure value without threads or clock, so that the law (nobody is overtaken, nobody is dropped) can be tested with
any order of events.
"""

from __future__ import annotations

from bisect import insort


class Lanes:
    """Executions by number of acceptance, in one lane per key; the first in a lane holds the key."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[int]] = {}

    def join(self, key: str | None, number: int) -> bool:
        """Take a place by number of acceptance; True if this execution may run at once."""
        if key is None:
            return True
        lane = self._lanes.setdefault(key, [])
        insort(lane, number)
        return lane[0] == number and len(lane) == 1

    def leave(self, key: str | None, number: int) -> int | None:
        """Give up a place, the first or another; return who holds the key now and did not before."""
        if key is None:
            return None
        lane = self._lanes.get(key, [])
        if number not in lane:
            return None
        held = lane[0] == number
        lane.remove(number)
        if not lane:
            del self._lanes[key]
            return None
        return lane[0] if held else None

    def holder(self, key: str | None) -> int | None:
        """Who holds the key."""
        lane = self._lanes.get(key) if key is not None else None
        return lane[0] if lane else None
