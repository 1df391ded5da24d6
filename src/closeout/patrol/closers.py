"""Find who closed pull requests, in the repository's list of issue events, which takes fewer calls than one per pull request.

The list of pull requests does not say it. A closing whose event is not found has no sender, and conditions about the sender
are then unknown instead of false (`core.closed_payload`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from closeout.core.automation import Automation
from closeout.core.closed_payload import SLACK, Closers, closed_by, closers
from closeout.core.errors import ServiceError, unusable_answer
from closeout.patrol.answers import PER_PAGE, items, pages, seconds
from closeout.patrol.closed_list import ClosedPull
from closeout.ports.patrol import GitHubReads

PAGES = 10
"""The fewest pages that are read, if the events reach that far."""
CLOSINGS_A_PAGE = 4
"""Closings for which one more page is read."""


def asks_who_closed(automation: Automation) -> bool:
    """Whether an automation may behave differently if the sender is unknown.

    A function and a script get the whole payload, so they may read the sender.
    """
    if automation.function or any(step.uses == "shell" for step in automation.steps):
        return True
    text = automation.canonical().replace('"senders":', "")
    return bool(automation.senders) or "sender" in text.lower()


def read_closers(
    github: GitHubReads, name: str, closings: Sequence[ClosedPull]
) -> tuple[Closers, ServiceError | None]:
    """Return who closed these pull requests, as far as the events say, and the error if not all can be read now.

    A token without the right to read them finds no one, which is not an error.
    """
    events: list[Mapping[str, Any]] = []
    known: Closers = {}
    if not closings:
        return known, None
    path = f"/repos/{name}/issues/events"
    oldest = min(closing.closed for closing in closings) - SLACK
    try:
        first = github.read(path, {"per_page": str(PER_PAGE)})
        for page in islice(pages(github, path, first), PAGES + len(closings) // CLOSINGS_A_PAGE):
            events += items(page.body)
            known = closers(events)
            if all(who_closed(known, closing) for closing in closings) or _moment(events[-1:]) < oldest:
                break
    except TypeError:
        return known, unusable_answer(f"GET {path}", "the answer is not a list of events")
    except ServiceError as error:
        return known, error if error.transient else None
    return known, None


def who_closed(known: Closers, closing: ClosedPull) -> Mapping[str, Any] | None:
    """Return who closed a pull request, None if the events do not say."""
    return closed_by(known, closing.pull["number"], closing.pull["closed_at"])


def _moment(events: Sequence[Mapping[str, Any]]) -> int:
    """Return when the last of some events happened; 0 if it does not say, so that nothing older is read."""
    try:
        return seconds(events[0]["created_at"])
    except (IndexError, KeyError, TypeError, ValueError):
        return 0
