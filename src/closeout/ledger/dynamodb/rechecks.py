"""Read finished teardowns: for rechecks, and for a run that found nothing and asks whether an earlier one deleted it.

All of it is read consistently: a pull request's closings are named in a partition of their own (`stack.closings`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from closeout.core.automation import Automation
from closeout.core.ids import parse_execution
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.table import Table
from closeout.ledger.dynamodb.teardowns import runs_of_closings
from closeout.ledger.dynamodb.views import Views
from closeout.ledger.steps import has_deleted, rehearsed
from closeout.stack import table as layout
from closeout.stack.table import from_item

CLOSED = ("pull_request", "closed")
Teardown = tuple[str, int, str, float, str]
"""Run id, attempt, automation, end, definition."""


class Beginning(NamedTuple):
    """From when the times of an attempt's rechecks count."""

    at: float
    earlier: bool
    """They are those of an earlier attempt: this one was a recheck's, and deleted nothing."""


class Teardowns:
    """`run.recheck.Teardowns` over one table."""

    def __init__(self, table: Table, store: Executions, views: Views) -> None:
        self._table = table
        self._store = store
        self.run, self.delivery, self.body = views.run, views.delivery, views.body

    def teardown(self, run_id: str, attempt: int) -> Teardown | None:
        """Return one attempt's teardown; None if it was none, or deleted nothing because it was a dry run."""
        row = self._row(run_id, attempt)
        return self._teardown(row) if row and _succeeded(row) else None

    def beginning(self, run_id: str, attempt: int) -> Beginning:
        """Return from when the times of a teardown's rechecks count."""
        row = self._row(run_id, attempt) or {}
        own = attempt
        while attempt > 1:
            definition, operations = self._store.recorded(run_id, attempt)
            if not definition or not Automation.from_canonical(definition).late or has_deleted(operations):
                break
            attempt -= 1
            row = self._row(run_id, attempt) or row
        return Beginning(float(row.get("finished_at", 0.0)), earlier=attempt < own)

    def finished_teardowns(self, since: float, repository: str, number: int) -> list[Teardown]:
        """Return the teardowns of a pull request that succeeded after `since`, each as its run's latest attempt."""
        latest: dict[str, dict[str, Any]] = {}
        for row in self._attempts(repository, number):
            latest[parse_execution(row["execution"])[0]] = row
        return [
            found
            for row in latest.values()
            if _succeeded(row) and float(row["finished_at"]) > since
            if (found := self._teardown(row)) is not None
        ]

    def superseded(self, run_id: str, attempt: int) -> bool:
        """Return whether a later closing of the same pull request started a run of the automation that was not skipped."""
        row = self._row(run_id, attempt)
        return row is not None and any(
            other["accepted_at"] > row["accepted_at"] and other.get("verdict") != "skipped"
            for other in self._others(run_id, row)
        )

    def deleted_before(self, run_id: str, attempt: int, closings: bool) -> bool:
        """Return whether an earlier attempt deleted something; with `closings` also a run of an earlier closing."""
        if any(self._deleted(run_id, earlier) for earlier in range(attempt - 1, 0, -1)):
            return True
        row = self._row(run_id, attempt) if closings else None
        return row is not None and any(
            other["accepted_at"] <= row["accepted_at"] and self._deleted(*parse_execution(other["execution"]))
            for other in self._others(run_id, row)
        )

    def _others(self, run_id: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of the automation's attempts at other closings of the same pull request."""
        for other in self._attempts(row.get("repository"), row.get("number")):
            same = other["automation"] == row["automation"]
            if same and parse_execution(other["execution"])[0] != run_id and _is_about(other, row):
                yield other

    def _attempts(self, repository: str | None, number: int | None) -> Iterator[dict[str, Any]]:
        """Yield the rows of all runs of a pull request's closings, their attempts in order."""
        if repository is None or number is None:
            return
        for run_id in runs_of_closings(self._table, repository, number):
            rows = map(from_item, self._table.query(layout.run_partition(run_id), "attempt#"))
            yield from (row for row in rows if "owner" not in row)  # such a run never began

    def _deleted(self, run_id: str, attempt: int) -> bool:
        return has_deleted(self._store.recorded(run_id, attempt)[1])

    def _row(self, run_id: str, attempt: int) -> dict[str, Any] | None:
        return self._store.row(f"{run_id}-{attempt}")

    def _teardown(self, row: dict[str, Any]) -> Teardown | None:
        run_id, attempt = parse_execution(row["execution"])
        definition, operations = self._store.recorded(run_id, attempt)
        if definition is None or rehearsed(operations):
            return None
        return run_id, attempt, row["automation"], float(row["finished_at"]), definition


def _succeeded(row: dict[str, Any]) -> bool:
    return row.get("verdict") == "success" and (row["event"], row.get("action")) == CLOSED


def _is_about(row: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("event", "action", "number")
    return all(row.get(name) == other.get(name) for name in names)
