"""A closing: that a pull request was closed at a moment. It is what must be acted upon once, however it was heard.

A webhook, GitHub's delivery log, its list of closed pull requests and an inventory each bring the same closing under a
GUID of their own, or without any. So the run of an automation on `pull_request` `closed` is named after the closing, and
whichever source comes first starts it. A pull request that is opened and closed again has a new closing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from closeout.core.ids import short_digest

if TYPE_CHECKING:
    from closeout.core.facts import Facts

EVENT, ACTION = "pull_request", "closed"
"""The one event that is a closing, because it is the one with a live check of a pull request (`closeout.livecheck`).
`pull_request_target` exists in GitHub Actions only: GitHub delivers no such webhook."""

KEPT_DAYS = 400
"""Days for which a ledger knows at least that an automation has run on a closing, however short its retention is.
Whoever reads GitHub's lists starts nothing that was closed longer ago."""
WEBHOOK = "webhook"
HEARD = (WEBHOOK, "delivery-log", "closed-list", "inventory", "recheck")
"""The ways by which an event is heard of. The origin of a delivery is one of them, or `github`: it came as a webhook."""


def heard_by(origin: str) -> str:
    """Return the way by which a delivery of this origin was heard of."""
    return origin if origin in HEARD else WEBHOOK


class Closing(NamedTuple):
    """A repository, one of its pull requests, and when it was closed, exactly as GitHub writes that moment."""

    repository_id: int
    pull_request_id: int
    closed_at: str

    def __str__(self) -> str:
        """Return the text by which ledgers and `--json` name it."""
        return f"{self.repository_id}/{self.pull_request_id}/{self.closed_at}"

    def run_id(self, automation: str) -> str:
        """Return the id of the automation's run. GUIDs have no line breaks, so no other event has the same one."""
        return short_digest(f"closing\n{self}\n{automation}")


def closing_of(facts: Facts) -> Closing | None:
    """Return the closing that an event is; None if it is another event, or lacks what a closing consists of."""
    if facts.event != EVENT or facts.action != ACTION:
        return None
    if facts.repository_id is None or facts.pull_request_id is None or facts.closed_at is None:
        return None
    return Closing(facts.repository_id, facts.pull_request_id, facts.closed_at)
