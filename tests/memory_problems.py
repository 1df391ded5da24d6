"""Problems in memory: the smallest `ports.ProblemStore`, for tests that need no disk.

`tests/contract/test_problems.py` runs the suite of every store over it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from closeout.core.problems import Notification, Problem, cause
from closeout.ledger.problems import ProblemClosure


class MemoryProblems:
    """A `ports.ProblemStore` over two dicts."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._problems: dict[tuple[str, str], Problem] = {}
        self._notifications: dict[tuple[str, str, str], Notification] = {}

    def problems(self) -> list[Problem]:
        """Return the open problems, and closed ones that a target believes to be open."""
        with self._lock:
            believed = {
                (one.automation, one.key) for one in self._notifications.values() if not one.recovered
            }
            found = [one for of, one in self._problems.items() if one.closed_at is None or of in believed]
        return sorted(found, key=lambda one: (one.since, one.automation, one.key))

    def notifications(self) -> list[Notification]:
        """Return the last notifications."""
        with self._lock:
            shown = {(one.automation, one.key) for one in self._problems.values() if one.closed_at is None}
            return [
                one
                for one in self._notifications.values()
                if (one.automation, one.key) in self._problems
                and (not one.recovered or (one.automation, one.key) in shown)
            ]

    def open_problem(self, problem: Problem) -> None:
        """Store a problem."""
        with self._lock:
            before = self._problems.get((problem.automation, problem.key))
            since = before.since if before and before.closed_at is None else problem.since
            self._problems[problem.automation, problem.key] = problem._replace(since=since)

    def close_problems(self, automation: str | None, first: str, last: str, at: float, by: str) -> int:
        """Close open problems."""
        with self._lock:
            found = [
                of
                for of, one in self._problems.items()
                if one.closed_at is None and automation in (None, one.automation) and first <= one.key <= last
            ]
            self._problems |= {of: self._problems[of]._replace(closed_at=at, closed_by=by) for of in found}
        return len(found)

    def record_notifications(self, notifications: Iterable[Notification]) -> None:
        """Store notifications."""
        with self._lock:
            self._notifications |= {(one.target, one.automation, one.key): one for one in notifications}

    def settle(self, outcome: Problem | ProblemClosure | None, automation: str | None, at: float) -> None:
        """Keep what a run's end or a delivery means."""
        if isinstance(outcome, Problem):
            self.open_problem(outcome)
        elif outcome is not None:
            self.close_problems(automation, outcome.first, outcome.last, at, outcome.by)
            self.close_problems(automation, outcome.also, outcome.also, at, outcome.by)

    def prune(self, cutoff: float) -> None:
        """Forget problems that were closed before then."""
        with self._lock:
            self._problems = {
                of: one
                for of, one in self._problems.items()
                if one.closed_at is None or one.closed_at >= cutoff
            }
            self._notifications = {
                of: one for of, one in self._notifications.items() if of[1:] in self._problems
            }


def causes_of(problems: Iterable[Problem], most: int) -> list[tuple[Problem, int]]:
    """Return what `ports.PageReader.problem_causes` tells of these problems."""
    by_cause: dict[tuple[str, ...], list[Problem]] = {}
    for problem in sorted(problems, key=lambda one: one.since):
        by_cause.setdefault(cause(problem), []).append(problem)
    return [
        (one, len(found))
        for found in by_cause.values()
        for place, one in enumerate(found, 1)
        if place <= most or place == len(found)
    ]
