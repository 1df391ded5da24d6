"""The filters of a list of runs or deliveries, the page that it returns, and the counts of a day.

Pages use a cursor, not an offset: what arrives meanwhile moves nothing, and the last page costs as much as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from closeout.core import words as core_words

T = TypeVar("T")
LARGEST_PAGE = 100
"""Rows of a page at most."""
UNFINISHED = "unfinished"
"""A filter's state for every run that has not finished: in one read, because a run changes its state between two."""


class RunFilter(NamedTuple):
    """Which runs to list: those that meet every field that is not None."""

    automation: str | None = None
    state: str | None = None
    """One of `core.runs.STATES`, or `UNFINISHED`."""
    verdict: str | None = None
    repository: str | None = None
    number: int | None = None
    """Of the pull request or issue."""
    since: float | None = None
    """Accepted then or later, in seconds since the epoch."""
    until: float | None = None
    """Accepted before then."""
    search: str | None = None
    """Words that the summary holds (`core.words`). A run has a summary once it has finished."""

    @property
    def phrases(self) -> tuple[core_words.Phrase, ...]:
        """The words of `search`; none if every run is wanted."""
        return core_words.phrases(self.search or "")


class DeliveryFilter(NamedTuple):
    """Which deliveries to list: those that meet every field that is not None."""

    event: str | None = None
    repository: str | None = None
    number: int | None = None
    """Of the pull request or issue."""
    guid: str | None = None
    since: float | None = None
    """Received then or later, in seconds since the epoch."""
    until: float | None = None
    """Received before then."""


EVERY_RUN, EVERY_DELIVERY = RunFilter(), DeliveryFilter()


class ListPage(NamedTuple, Generic[T]):
    """A part of a list, the newest first."""

    rows: Sequence[T]
    newer: str | None
    """The cursor of the page before this one; None if nothing is newer."""
    older: str | None
    """The cursor of the page after this one; None if nothing is older."""


class DayTally(NamedTuple):
    """The outcomes of one day's closings, in UTC."""

    day: str
    """`2026-03-14`."""
    closings: int = 0
    """Whose first run ended, and was not skipped."""
    torn_down: int = 0
    """Runs that deleted something and succeeded."""
    left: int = 0
    """Runs that failed."""
    recovered: int = 0
    """Of the closings those that no webhook brought: patrol found them."""
