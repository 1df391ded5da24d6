"""Keep problems and what was told of them: `ports.ProblemStore` over SQLite.

What a run's end means for its problem is written in the transaction of the ending (`executions.finish`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from closeout.core.problems import Problem, Told
from closeout.ledger.sqlite.problem_rows import Read, read_problems, read_told, settle
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer


class Problems:
    """Uses the ledger's writer and readers. `writer` raises `StoreUnavailable` while the ledger is closed."""

    def __init__(self, writer: Callable[[], Writer], read: Read) -> None:
        self._writer = writer
        self._read = read

    def problems(self) -> Sequence[Problem]:
        """Return the open problems, and closed ones that a target still believes to be open."""
        return read_problems(self._read)

    def told(self) -> Sequence[Told]:
        """Return what each target was last told of these problems."""
        return read_told(self._read)

    def open_problem(self, problem: Problem) -> None:
        """Store a problem and wait for the commit."""
        self._writer().run(lambda connection: settle(connection, problem, problem.since))

    def close_problems(self, automation: str | None, first: str, last: str, at: float, by: str) -> int:
        """Close the open problems with these keys and wait for the commit; return how many."""
        values = {"automation": automation, "first": first, "last": last, "also": "", "at": at, "by": by}
        closed: int = self._writer().run(
            lambda connection: connection.execute(SQL["close_problems"], values).rowcount
        )
        return closed

    def mark_told(self, told: Iterable[Told]) -> None:
        """Keep what a target was told, in one transaction, and wait for the commit."""
        rows = list(told)
        self._writer().run(lambda connection: connection.executemany(SQL["mark_told"], rows))
