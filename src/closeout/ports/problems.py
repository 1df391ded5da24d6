"""What the program needs from a store about problems: what needs a person, and what each target was last sent about it.

A run's end opens or closes its problem inside the store, together with the ending, so that no crash separates the two. Patrol
and the code that watches closeout itself open and close the others here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from closeout.core.problems import Notification, Problem


class ProblemStore(Protocol):
    """Opens and closes problems, and records notifications. Methods raise `StoreUnavailable`, those that read also `LedgerError`."""

    def problems(self) -> Sequence[Problem]:
        """Return the open problems, and closed ones of which some target does not know yet that they are over.

        The oldest come first.
        """

    def notifications(self) -> Sequence[Notification]:
        """Return the last notification to each target about these problems."""

    def open_problem(self, problem: Problem) -> None:
        """Store a problem. One that is open keeps its `since`, and takes everything else; one that was closed opens again."""

    def close_problems(self, automation: str | None, first: str, last: str, at: float, by: str) -> int:
        """Close the open problems of an automation, None for all, whose keys are `first` to `last`; return how many."""

    def record_notifications(self, notifications: Iterable[Notification]) -> None:
        """Store the last notification to each target in place of the one before, durably and in one transaction."""
