"""Replay a delivery that did not arrive and that patrol left alone: a person has decided that it still counts.

It is read from GitHub's delivery log again, stored as recovered, and then replayed as any stored delivery is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from closeout.core.errors import NotFound
from closeout.patrol.delivery_log import Entry, read_payload
from closeout.patrol.ignored import IGNORED, Ignored, ignored
from closeout.ports import GitHubReads
from closeout.wiring.api_intake import ApiIntake
from closeout.wiring.reruns import NOTHING, Reruns

KIND = "recover"
"""The request's kind in the ledger; its target is a GUID."""


class Marks(Protocol):
    """Reads what patrol left alone."""

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return all marks of a kind by key."""
        ...

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Return whether a delivery of a hook is stored."""
        ...


def left_alone(store: Marks, now: float) -> list[Ignored]:
    """Return the deliveries that can still be recovered, the newest first."""
    return ignored(store.marks(IGNORED).values(), now, store.has_delivery)


def find(store: Marks, now: float, guid: str) -> Ignored:
    """Return one of them by its GUID. Raises `NotFound`."""
    found = next((each for each in left_alone(store, now) if each.guid == guid), None)
    if found is None:
        raise NotFound(
            f"No delivery {guid} is left to recover; `closeout deliveries list --ignored` shows which are, and GitHub"
            " keeps each for three days."
        )
    return found


class Recovery(NamedTuple):
    """Carries requests to recover out, over one ledger."""

    github: GitHubReads
    store: Marks
    intake: ApiIntake
    reruns: Reruns

    def replay(self, guid: str, by: str) -> str:
        """Store a delivery that was left alone and start what it matches; return that, or why there is nothing.

        Raises GitHub's error, and then nothing is stored. The runs are stored by the replay, which says who asked.
        """
        each = find(self.store, self.intake.now(), guid)
        payload = read_payload(self.github, each.path, each.id, each.guid)
        entry = Entry(each.id, each.guid, each.event, each.action, each.delivered_at, again=False)
        delivery = self.intake.store_delivery(each.hook, entry, payload, frozenset())
        return NOTHING if delivery is None else self.reruns.replay(delivery, by)
