"""Turns alone: after a crash, each run that was under way runs for a while before anything else begins.

It is impossible to tell afterwards which of them ended the process, so a death counts only against a run that ran alone. A
plain value without threads or clock; times are seconds on any one clock.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence

from closeout.core.runs import MAX_DEATHS
from closeout.ports import Pending

TURN = 15.0
"""Seconds that a suspect's first turn alone lasts at most. Each further death during one doubles them."""
LONGEST_TURN = 86_400.0
"""Seconds of the longest turn."""
NAMED = 8
"""How many suspects the log names."""


def seconds(first: float, suspected: int) -> float:
    """Return how long a turn alone lasts for a run that was under way in `suspected` deaths."""
    return min(first * 2.0 ** min(max(suspected - 1, 0), 64), LONGEST_TURN)


def recovery_order(pending: Pending) -> tuple[bool, int, int]:
    """Return the sort key by which a start takes up executions: suspects in the order of `Turns`, then the others."""
    return pending.alone is None, -pending.deaths, -pending.suspected


def announce(found: Sequence[Pending], first: float, report: Callable[[str], None]) -> None:
    """Report which executions take turns alone, and in which of them the process died before."""
    suspects = [pending for pending in found if pending.alone is not None]
    if not suspects:
        return
    named = [
        f"{pending.execution} ({seconds(first, pending.suspected):g} s"
        + (f", {pending.deaths} of {MAX_DEATHS} deaths alone)" if pending.deaths else ")")
        for pending in suspects[:NAMED]
    ]
    more = f" and {len(suspects) - NAMED} more" if len(suspects) > NAMED else ""
    runs = "1 run takes a turn" if len(suspects) == 1 else f"{len(suspects)} runs take turns"
    longest = sum(seconds(first, pending.suspected) for pending in suspects)
    report(
        f"after a crash: {runs} alone before anything else begins, {longest:g} s at most in all:"
        f" {', '.join(named)}{more}"
    )


class Turns:
    """Decides which ready runs may begin: suspects one by one, the others while no turn is on.

    First come suspects during which the process died while they ran alone, then those that were under way in more deaths,
    then the order of acceptance. So a run that kills the process at once is found in less than a minute, however long another
    run's innocent script takes.
    """

    def __init__(self) -> None:
        self.current: int | None = None
        """The run that has the turn alone."""
        self._until = float("inf")
        self._suspects: list[tuple[int, int, int]] = []
        self._others: list[int] = []

    def add(self, number: int, died: tuple[int, int] | None) -> list[int]:
        """Add a run that is ready, with its `deaths` and `suspected` if it is a suspect; return those that may begin now."""
        if died is None:
            self._others.append(number)
        else:
            deaths, suspected = died
            insort(self._suspects, (-deaths, -suspected, number))
        return self._next()

    def set_end(self, number: int, until: float) -> None:
        """Set when the turn ends: its time begins when the run is under way."""
        if number == self.current:
            self._until = until

    def overdue(self, at: float) -> int | None:
        """Return the run whose turn has lasted long enough."""
        return self.current if at >= self._until else None

    def remaining(self, at: float) -> float:
        """Return the seconds until the turn is overdue."""
        return self._until - at

    def end(self, number: int) -> list[int]:
        """End a run's turn, if it has it; return those that may begin now."""
        if number != self.current:
            return []
        self.current, self._until = None, float("inf")
        return self._next()

    def drop(self, number: int) -> bool:
        """Remove a waiting run; return whether it waited."""
        before = len(self._suspects) + len(self._others)
        self._suspects = [each for each in self._suspects if each[2] != number]
        self._others = [each for each in self._others if each != number]
        return len(self._suspects) + len(self._others) < before

    def _next(self) -> list[int]:
        if self.current is not None:
            return []
        if self._suspects:
            self.current = self._suspects.pop(0)[2]
            return [self.current]
        others, self._others = self._others, []
        return others
