"""The deliveries that a log names and patrol does not take in: kept for three days, so that a person can have one replayed.

An old `push` or comment must not act by itself, because nothing says whether it is still wanted. The mark is one for each
hook, and bounded: a webhook of all events may have thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from closeout.core.units import DAY
from closeout.patrol.hooks import Hook
from closeout.ports.durable import Json
from closeout.ports.patrol import PatrolStore

IGNORED = "ignored"
"""The kind of the marks, by hook."""
KEPT = 3 * DAY
"""Seconds for which GitHub can still show a delivery."""
MOST = 500
"""Deliveries of one hook that are kept: those that an automation listens to first, then the newest."""
PING = "ping"


class Ignored(NamedTuple):
    """One delivery that GitHub sent, that did not arrive, and that patrol left alone."""

    path: str
    """Of its hook, in GitHub's API."""
    id: int
    guid: str
    event: str
    action: str | None
    repository: str | None
    """None where the log of an organization's hook names only an id that is not known."""
    delivered_at: int
    wanted: bool
    """An automation listened to its event."""

    @property
    def hook(self) -> int:
        """Return the id of its hook."""
        return int(self.path.rpartition("/")[2])

    @property
    def reason(self) -> str:
        """Say why patrol did not take it in."""
        if not self.wanted:
            return "no automation starts on this event"
        return "this event has no live check, so patrol starts nothing from an old delivery"

    def to_json(self) -> dict[str, Json]:
        """Return the object that `--json` prints."""
        return {
            "delivered_at": self.delivered_at,
            "hook": str(self.hook),
            "guid": self.guid,
            "event": self.event,
            "action": self.action,
            "repository": self.repository,
            "reason": self.reason,
        }


def keep_ignored(store: PatrolStore, hook: Hook, new: Sequence[Ignored], now: int) -> int:
    """Add what a read of a hook's log left alone to its mark; return how many the mark has no room for."""
    if not new:
        return 0
    known = _of(store.marks(IGNORED).get(str(hook.id), {}))
    found = {each.guid: each for each in _shown((*known, *new), now)}
    ordered = sorted(found.values(), key=lambda each: (each.wanted, each.delivered_at, each.id), reverse=True)
    rows = [list(each) for each in ordered[:MOST]]
    store.save_mark(IGNORED, str(hook.id), {"deliveries": rows})
    return len(ordered) - len(rows)


def ignored(marks: Iterable[Mapping[str, Json]], now: float) -> list[Ignored]:
    """Return what GitHub can still show, the newest first. The ledger may have some of it by now."""
    found = (each for mark in marks for each in _of(mark))
    return sorted(_shown(found, now), key=lambda each: (each.delivered_at, each.id), reverse=True)


def _shown(found: Iterable[Ignored], now: float) -> list[Ignored]:
    return [each for each in found if now - each.delivered_at < KEPT]


def _of(mark: Mapping[str, Json]) -> list[Ignored]:
    return [Ignored(*row) for row in mark.get("deliveries", ())]
