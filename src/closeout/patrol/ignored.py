"""The deliveries in a log that patrol does not recover: kept for three days, so that a person can replay one.

An old `push` or comment must not start anything by itself, because it may no longer be wanted. There is one mark for each
hook, and it is bounded, because a webhook for all events may have thousands.
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
"""Deliveries of one hook that are kept: first those that an automation listens to, then the newest."""
PING = "ping"


class Ignored(NamedTuple):
    """One delivery that GitHub sent, that did not arrive and that patrol does not recover."""

    path: str
    """Its hook's path in GitHub's API."""
    id: int
    guid: str
    event: str
    action: str | None
    repository: str | None
    """None if the log of an organization's hook names only an unknown id."""
    delivered_at: int
    wanted: bool
    """Whether an automation listened to its event."""

    @property
    def hook(self) -> int:
        """Return the id of its hook."""
        return int(self.path.rpartition("/")[2])

    @property
    def reason(self) -> str:
        """Return why patrol does not recover it."""
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
    """Add the ignored deliveries of a hook's log to its mark; return how many the mark has no room for."""
    if not new:
        return 0
    known = _of(store.marks(IGNORED).get(str(hook.id), {}))
    found = {each.guid: each for each in _shown((*known, *new), now)}
    ordered = sorted(found.values(), key=lambda each: (each.wanted, each.delivered_at, each.id), reverse=True)
    rows = [list(each) for each in ordered[:MOST]]
    store.save_mark(IGNORED, str(hook.id), {"deliveries": rows})
    return len(ordered) - len(rows)


def ignored(marks: Iterable[Mapping[str, Json]], now: float) -> list[Ignored]:
    """Return the deliveries that GitHub can still show, the newest first. The ledger may have stored some since."""
    found = (each for mark in marks for each in _of(mark))
    return sorted(_shown(found, now), key=lambda each: (each.delivered_at, each.id), reverse=True)


def _shown(found: Iterable[Ignored], now: float) -> list[Ignored]:
    return [each for each in found if now - each.delivered_at < KEPT]


def _of(mark: Mapping[str, Json]) -> list[Ignored]:
    return [Ignored(*row) for row in mark.get("deliveries", ())]
