"""Problems and the messages about them, in SQLite.

They are written in the current transaction, or through `ports.ProblemStore` in one of their own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from closeout.core.problems import Notification, Problem
from closeout.ledger.problems import ProblemClosure
from closeout.ledger.sqlite.sql import SQL

if TYPE_CHECKING:  # the writer imports this module
    from closeout.ledger.sqlite.writer import Writer

Read = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
"""Executes a named read."""


class Problems:
    """Uses the ledger's writer and readers. `writer` raises `StoreUnavailable` while the ledger is closed."""

    def __init__(self, writer: Callable[[], Writer], read: Read) -> None:
        self._writer = writer
        self._read = read

    def problems(self) -> Sequence[Problem]:
        """Return the open problems, and closed ones of whose end a target has not been notified."""
        return [problem_of(row) for row in self._read("problems", ())]

    def notifications(self) -> Sequence[Notification]:
        """Return the last message to each target about these problems."""
        found = [Notification(*row) for row in self._read("notifications", ())]
        return [one._replace(recovered=bool(one.recovered)) for one in found]

    def open_problem(self, problem: Problem) -> None:
        """Store a problem and wait for the commit."""
        self._writer().run(lambda connection: settle(connection, problem, problem.since))

    def close_problems(self, automation: str | None, first: str, last: str, at: float, by: str) -> int:
        """Close the open problems with these keys and wait for the commit; return how many."""
        outcome = ProblemClosure(first, last, by)
        closed: int = self._writer().run(lambda connection: settle(connection, outcome, at, automation))
        return closed

    def record_notifications(self, notifications: Iterable[Notification]) -> None:
        """Store the messages to targets in one transaction, and wait for the commit."""
        rows = list(notifications)
        self._writer().run(lambda connection: connection.executemany(SQL["record_notification"], rows))


def settle(
    connection: sqlite3.Connection,
    outcome: Problem | ProblemClosure | None,
    at: float,
    automation: str | None = None,
) -> int:
    """Write the effect of a run's end, a delivery or patrol on the problems of one automation or of all; return how many changed."""
    if outcome is None:
        return 0
    if isinstance(outcome, Problem):
        row = tuple(json.dumps(value) if isinstance(value, tuple) else value for value in outcome)
        return connection.execute(SQL["open_problem"], row).rowcount
    values = {**outcome._asdict(), "automation": automation, "at": at}
    return connection.execute(SQL["close_problems"], values).rowcount


def problem_of(row: Sequence[Any]) -> Problem:
    """Return the problem of a row."""
    one = Problem(*row)
    return one._replace(
        left=tuple(json.loads(str(one.left))),
        public_left=tuple(json.loads(str(one.public_left))),
        private=bool(one.private),
    )
