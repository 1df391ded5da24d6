"""Store problems and the messages about them: `ports.ProblemStore` over the table, one item for each problem.

The effect of a run's end is written in the transaction of the ending (`at_end`). No write here has a condition that could fail,
so that a problem never prevents a run from ending: opening keeps the start time of an open problem, and closing removes it.
Targets' attributes are in the problem's item, so that one query reads everything for a round of messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.problems import Notification, Problem, closes
from closeout.core.runs import RunState
from closeout.core.units import DAY
from closeout.ledger.dynamodb.table import Action, Table, delete, update
from closeout.ports import Ending, Execution, Operation, RunRecord
from closeout.stack.problems import PROBLEM, PROBLEMS, TOLD, problem_key
from closeout.stack.table import Item, from_item, to_item

MOST_CLOSED = 50
"""Problems that one run's end closes: a transaction is limited to a hundred items, and an audit closes the rest."""
KEPT = 30 * DAY
"""How long a closed problem is kept at most for a target that accepts no messages."""
SETTLED = 600.0
"""Seconds after which no message about a closed problem can still be in transit."""


class _Row(NamedTuple):
    """A problem's item. `problem` is None if only the records of messages are left."""

    key: Item
    problem: Problem | None
    notifications: tuple[Notification, ...]

    @property
    def is_open(self) -> bool:
        return self.problem is not None and self.problem.closed_at is None

    @property
    def is_active(self) -> bool:
        """Whether it is open, or a target has not been notified of its end."""
        return self.is_open or (
            self.problem is not None and any(not one.recovered for one in self.notifications)
        )


class Problems:
    """The problems in one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def problems(self) -> Sequence[Problem]:
        """Return the open problems, and closed ones of whose end a target has not been notified."""
        found = [row.problem for row in self._rows() if row.problem is not None and row.is_active]
        return sorted(found, key=lambda one: (one.since, one.automation, one.key))

    def is_empty(self) -> bool:
        """Return whether there is nothing at all, which is usual and cheap to check."""
        return not list(self._table.query(PROBLEMS, PROBLEM, limit=1))

    def notifications(self) -> Sequence[Notification]:
        """Return the last message to each target about these problems."""
        return [one for row in self._rows() if row.is_active for one in row.notifications]

    def open_problem(self, problem: Problem) -> None:
        """Store a problem."""
        self._table.change(_opening(problem))

    def close_problems(self, automation: str | None, first: str, last: str, at: float, by: str) -> int:
        """Close the open problems with these keys, one by one; return how many."""
        actions = self._closing(automation, first, last, at, by)
        for action in actions:
            self._table.change(action)
        return len(actions)

    def record_notifications(self, notifications: Iterable[Notification]) -> None:
        """Store the messages to targets, with one write for each problem."""
        of: dict[tuple[str, str], list[Notification]] = {}
        for one in notifications:
            of.setdefault((one.automation, one.key), []).append(one)
        for (automation, key), marks in of.items():
            values = {f"{TOLD}{one.target}": json.dumps([one.at, one.recovered]) for one in marks}
            self._table.change(update(problem_key(automation, key), values))

    def prune(self) -> None:
        """Delete closed problems, once every target that was notified of one has been notified of its end."""
        before = self._table.now() - SETTLED
        for row in self._rows():
            ended = row.problem.closed_at if row.problem else None
            if ended is not None and ended < before and not row.is_active:
                self._table.change(delete(row.key, "closed_at = :ended", {":ended": ended}))

    def at_end(
        self,
        record: RunRecord,
        after: RunState,
        execution: Execution | None,
        operations: Sequence[Operation],
        automation: str,
    ) -> list[Action]:
        """Return the writes to problems for a run's end. `execution` is None if the run could not be read."""
        ending = Ending(after.verdict or "failure", after.summary or "")
        at = self._table.now() if after.finished_at is None else after.finished_at
        if ending.verdict not in ("failure", "success", "cancelled"):
            return []
        key = record.closing or record.execution.rpartition("-")[0]
        if execution is None:
            why = ending.summary
            lost = Problem(automation, key, "failure", why, why, at, execution=record.execution)
            return [_opening(lost)] if ending.verdict == "failure" else []
        run_id, _, attempt = record.execution.rpartition("-")
        # Problems that an earlier attempt opened, which failed before the run learned its closing.
        own = self._open(automation, run_id, run_id) if attempt != "1" and key != run_id else []
        if ending.verdict != "failure" and not own and not self._open(automation, *closes(key)):
            return []  # nearly every run, without a read of its operations
        from closeout.ledger.problems import of_run  # noqa: PLC0415 - imports every action; most runs end without it

        outcome = of_run(execution, operations, ending, record.closing, at)
        if outcome is None:
            return []
        if isinstance(outcome, Problem):
            return [_opening(outcome)]
        closing = self._closing(automation, outcome.first, outcome.last, at, outcome.by)
        if own:
            closing = [*self._closing(automation, run_id, run_id, at, outcome.by), *closing]
        return closing[:MOST_CLOSED]

    def _closing(self, automation: str | None, first: str, last: str, at: float, by: str) -> list[Action]:
        return [
            update(
                row.key,
                {
                    "closed_at": at,
                    "closed_by": by,
                    "began": row.problem.since,
                    "expires": int(at + KEPT),
                    "since": None,
                },
            )
            for row in self._open(automation, first, last)
            if row.problem is not None
        ]

    def _open(self, automation: str | None, first: str, last: str) -> list[_Row]:
        """Return the open problems of an automation, None for all, with keys from `first` to `last`."""
        if automation is None:
            rows: Iterable[_Row] = self._rows()
        else:
            begin, end = (problem_key(automation, key)["sk"]["S"] for key in (first, last))
            rows = map(_row, self._table.query(PROBLEMS, begin, upto=end))
        return [row for row in rows if row.problem and row.is_open and first <= row.problem.key <= last]

    def _rows(self) -> list[_Row]:
        return [_row(item) for item in self._table.query(PROBLEMS, PROBLEM)]


def _opening(problem: Problem) -> Action:
    """Return the write of a problem: an open one keeps its `since`, a closed one gets a new one."""
    about = {name: value for name, value in problem._asdict().items() if name not in _APART}
    values = {"problem": json.dumps(about), **dict.fromkeys(("closed_at", "closed_by", "began", "expires"))}
    action = update(problem_key(problem.automation, problem.key), values)
    part = action["Update"]
    part["UpdateExpression"] = part["UpdateExpression"].replace(
        "SET ", "SET since = if_not_exists(since, :since), "
    )
    part["ExpressionAttributeValues"] |= to_item({":since": problem.since})
    return action


_APART = ("since", "closed_at", "closed_by")


def _row(item: Item) -> _Row:
    values = from_item(item)
    automation, _, key = str(values["sk"]).removeprefix(PROBLEM).partition("#")
    notifications = tuple(
        Notification(name.removeprefix(TOLD), automation, key, *json.loads(value))
        for name, value in values.items()
        if name.startswith(TOLD)
    )
    problem = _problem(values) if "problem" in values else None
    return _Row({name: item[name] for name in ("pk", "sk")}, problem, notifications)


def _problem(values: Mapping[str, Any]) -> Problem:
    """Return the problem of an item, without attributes of later versions."""
    about = {name: value for name, value in json.loads(values["problem"]).items() if name in Problem._fields}
    lists = {name: tuple(value) for name, value in about.items() if isinstance(value, list)}
    closed_at = values.get("closed_at")
    return Problem(
        **{**about, **lists},
        since=float(values.get("since", values.get("began", 0.0))),
        closed_at=None if closed_at is None else float(closed_at),
        closed_by=values.get("closed_by"),
    )
