"""Keep problems and what was told of them: `ports.ProblemStore` over SQLite.

What a run's end means for its problem is written in the transaction of the ending (`executions.finish`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from closeout.core.problems import Problem, Told
from closeout.ledger.problems import Closes
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer

Read = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
"""Executes a named read."""


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
        values = {"automation": automation, "first": first, "last": last, "at": at, "by": by}
        closed: int = self._writer().run(
            lambda connection: connection.execute(SQL["close_problems"], values).rowcount
        )
        return closed

    def mark_told(self, told: Iterable[Told]) -> None:
        """Keep what a target was told, in one transaction, and wait for the commit."""
        rows = list(told)
        self._writer().run(lambda connection: connection.executemany(SQL["mark_told"], rows))


def settle(
    connection: sqlite3.Connection, outcome: Problem | Closes | None, at: float, automation: str = ""
) -> None:
    """Write what a run's end, or patrol, means for a problem, in the transaction at hand."""
    if isinstance(outcome, Problem):
        connection.execute(SQL["open_problem"], _row(outcome))
    elif outcome is not None:
        values = {**outcome._asdict(), "automation": automation, "at": at}
        connection.execute(SQL["close_problems"], values)


def _row(problem: Problem) -> tuple[Any, ...]:
    """Return the values of `open_problem`: lists as JSON."""
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in problem)


def read_problems(read: Read) -> list[Problem]:
    """Return the problems that `ports.ProblemReader` tells of."""
    found = [Problem(*row) for row in read("problems", ())]
    return [
        one._replace(
            left=tuple(json.loads(str(one.left))),
            public_left=tuple(json.loads(str(one.public_left))),
            private=bool(one.private),
        )
        for one in found
    ]


def read_told(read: Read) -> list[Told]:
    """Return what targets were told of them."""
    found = [Told(*row) for row in read("told", ())]
    return [one._replace(recovered=bool(one.recovered)) for one in found]
