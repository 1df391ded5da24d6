"""The rows of problems: written in the transaction at hand, of a run's end or of a delivery, and read by whoever may read.

Apart from `problems`, which needs the writer, because the writer needs this.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from closeout.core.problems import Problem, Told
from closeout.ledger.problems import Closes
from closeout.ledger.sqlite.sql import SQL

Read = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
"""Executes a named read."""


def settle(
    connection: sqlite3.Connection, outcome: Problem | Closes | None, at: float, automation: str | None = None
) -> None:
    """Write what a run's end, a delivery or patrol means for problems, of an automation or of all, in the transaction at hand."""
    if isinstance(outcome, Problem):
        connection.execute(SQL["open_problem"], _row(outcome))
    elif outcome is not None:
        values = {**outcome._asdict(), "automation": automation, "at": at}
        connection.execute(SQL["close_problems"], values)


def _row(problem: Problem) -> tuple[Any, ...]:
    """Return the values of `open_problem`: lists as JSON."""
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in problem)


def read_problems(read: Read) -> list[Problem]:
    """Return the problems that `ports.ProblemStore` tells of."""
    return [problem_of(row) for row in read("problems", ())]


def problem_of(row: Sequence[Any]) -> Problem:
    """Return the problem of a row."""
    one = Problem(*row)
    return one._replace(
        left=tuple(json.loads(str(one.left))),
        public_left=tuple(json.loads(str(one.public_left))),
        private=bool(one.private),
    )


def read_told(read: Read) -> list[Told]:
    """Return what targets were told of them."""
    found = [Told(*row) for row in read("told", ())]
    return [one._replace(recovered=bool(one.recovered)) for one in found]
