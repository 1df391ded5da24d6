"""Who closed pull requests: from the repository's list of issue events, a page at a time and not a call a pull request.

The list of pull requests does not say it. A closing whose event is not found has no sender, and conditions on the sender
are then unknown instead of false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.core.errors import ServiceError
from closeout.patrol.closed_list import PER_PAGE, ClosedPull
from closeout.patrol.moments import seconds
from closeout.ports.patrol import GitHubReads

PAGES = 10
"""Pages that are read at least, if the events reach that far."""
CLOSINGS_A_PAGE = 4
"""One more page for so many closings."""


def read_senders(
    github: GitHubReads, name: str, closings: Sequence[ClosedPull]
) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Return the users who closed these pull requests, by number and moment, as far as the events say.

    Raises `ServiceError` when the events cannot be read now; a token that may not read them gives nobody.
    """
    wanted = {closing.key for closing in closings}
    oldest = min((closing.closed for closing in closings), default=0)
    found: dict[tuple[int, int], Mapping[str, Any]] = {}
    query: Mapping[str, str] = {"per_page": str(PER_PAGE)}
    for number in range(1, PAGES + len(closings) // CLOSINGS_A_PAGE + 1):
        if len(found) == len(wanted):
            break
        try:
            page = github.read(f"/repos/{name}/issues/events", query)
        except ServiceError as error:
            if error.transient:
                raise
            break
        events = page.body if isinstance(page.body, list) else []
        for event in events:
            key = _closing(event)
            if key in wanted and isinstance(event.get("actor"), Mapping):
                found.setdefault(key, event["actor"])
        if not events or _moment(events[-1]) < oldest or (page.next is None and len(events) < PER_PAGE):
            break
        query = page.next or {"per_page": str(PER_PAGE), "page": str(number + 1)}
    return found


def _closing(event: Any) -> tuple[int, int] | None:
    """Return number and moment of a `closed` event."""
    if not isinstance(event, Mapping) or event.get("event") != "closed":
        return None
    issue = event.get("issue")
    number = issue.get("number") if isinstance(issue, Mapping) else None
    return (number, _moment(event)) if type(number) is int else None


def _moment(event: Any) -> int:
    try:
        return seconds(event["created_at"])
    except (KeyError, TypeError, ValueError):
        return 0
