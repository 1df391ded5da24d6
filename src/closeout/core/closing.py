"""A closing: a pull request was closed at a certain moment. closeout must act on it once, from whichever source it learns it.

A webhook, GitHub's delivery log, its list of closed pull requests and an inventory each report the same closing with a
different GUID, or with none. So an automation's run on `pull_request` `closed` is named after the closing, and the
first source to report it starts it. A pull request that is reopened and closed again has a new closing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from closeout.core.ids import short_digest

if TYPE_CHECKING:
    from closeout.core.facts import Facts

EVENT, ACTION = "pull_request", "closed"
"""The only event that is a closing, because only it has a live check of a pull request (`closeout.livecheck`).
`pull_request_target` exists in GitHub Actions only: GitHub delivers no such webhook."""

KEPT_DAYS = 400
"""Days for which a ledger at least remembers that an automation has run on a closing, however short its retention.
Readers of GitHub's lists ignore what was closed earlier."""
WEBHOOK = "webhook"
HEARD = (WEBHOOK, "delivery-log", "closed-list", "inventory", "recheck")
"""The sources of an event. The origin of a delivery is one of these, or `github`, which means a webhook."""


def heard_by(origin: str) -> str:
    """Return the source of a delivery of this origin."""
    return origin if origin in HEARD else WEBHOOK


class Closing(NamedTuple):
    """A repository, one of its pull requests, and when it was closed, exactly as GitHub writes that moment."""

    repository_id: int
    pull_request_id: int
    closed_at: str

    def __str__(self) -> str:
        """Return the text that ledgers and `--json` use."""
        return f"{self.repository_id}/{self.pull_request_id}/{self.closed_at}"

    def run_id(self, automation: str) -> str:
        """Return the id of the automation's run. GUIDs have no line breaks, so no other event has the same one."""
        return short_digest(f"closing\n{self}\n{automation}")


def closing_of(facts: Facts) -> Closing | None:
    """Return the closing that an event is; None for another event, or if a part is missing."""
    if facts.event != EVENT or facts.action != ACTION:
        return None
    if facts.repository_id is None or facts.pull_request_id is None or facts.closed_at is None:
        return None
    return Closing(facts.repository_id, facts.pull_request_id, facts.closed_at)
