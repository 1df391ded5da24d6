"""Read finished teardowns: for rechecks, and for a run that found nothing and asks whether an earlier one deleted it.

A teardown, those of a pull request, and whether a later closing came, are read consistently, at a cost that does not grow with
the ledger. Runs that a release until November 2026 stored are not found by their pull request: then their closings' times decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from closeout.core.automation import Automation
from closeout.core.ids import split_execution
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.table import Table
from closeout.ledger.dynamodb.teardowns import runs_of_closings
from closeout.ledger.dynamodb.views import Views
from closeout.ledger.steps import has_deleted, rehearsed
from closeout.ports import DeliveryId, DeliveryView, RunView
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
        self._views = views

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return a run, None if there is none: the latest attempt unless told otherwise."""
        return self._views.run(run_id, attempt)

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """Return a delivery, None if there is none."""
        return self._views.delivery(delivery_id)

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return a delivery's payload as JSON text. Raises `NotFound`."""
        return self._views.body(delivery_id)

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

    def finished_teardowns(
        self, since: float, repository: str | None = None, number: int | None = None
    ) -> list[Teardown]:
        """Return teardowns that succeeded, of runs that were accepted after `since`: all of them, or a pull request's."""
        if repository is None or number is None:
            rows: Iterable[dict[str, Any]] = self._accepted_after(since)
        else:
            rows = (row for row in self._of_closings(repository, number) if row["accepted_at"] > since)
        return [found for row in rows if _succeeded(row) if (found := self._teardown(row)) is not None]

    def superseded(self, run_id: str, attempt: int) -> bool:
        """Return whether a later closing of the same pull request started a run of the automation that was not skipped."""
        row = self._row(run_id, attempt)
        if row is None or row.get("repository") is None or row.get("number") is None:
            return False
        return any(
            split_execution(other["execution"])[0] != run_id
            and other["automation"] == row["automation"]
            and other["accepted_at"] > row["accepted_at"]
            and other.get("verdict") != "skipped"
            for other in self._of_closings(row["repository"], row["number"])
        )

    def deleted_before(self, run_id: str, attempt: int, *, closings: bool) -> bool:
        """Return whether an earlier attempt deleted something; with `closings` also a run of an earlier closing."""
        if any(self._deleted(run_id, earlier) for earlier in range(attempt - 1, 0, -1)):
            return True
        row = self._row(run_id, attempt) if closings else None
        return row is not None and any(map(self._deleted_by, self._earlier_runs(run_id, row)))

    def _earlier_runs(self, run_id: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of the automation's attempts at earlier closings of the same pull request."""
        repository, number = row.get("repository"), row.get("number")
        if repository is None or number is None:
            return
        for other in runs_of_closings(self._table, repository, number):
            attempts = self._table.query(layout.run_partition(other), "attempt#") if other != run_id else ()
            for found in map(from_item, attempts):
                same = found.get("automation") == row["automation"]  # a claim in place of a run has none
                if same and found["accepted_at"] <= row["accepted_at"]:
                    yield found

    def _deleted_by(self, row: dict[str, Any]) -> bool:
        run_id, attempt = split_execution(row["execution"])
        return self._deleted(run_id, attempt or 1)

    def _deleted(self, run_id: str, attempt: int) -> bool:
        return has_deleted(self._store.recorded(run_id, attempt)[1])

    def _of_closings(self, repository: str, number: int) -> Iterator[dict[str, Any]]:
        """Yield the row of the latest attempt of each run of a pull request's closings."""
        for run_id in runs_of_closings(self._table, repository, number):
            partition = layout.run_partition(run_id)
            for item in self._table.query(partition, "attempt#", newest_first=True, limit=1):
                row = from_item(item)
                if "owner" not in row:  # else another run has the closing
                    yield row

    def _accepted_after(self, at: float) -> Iterator[dict[str, Any]]:
        equal, after = {"verdict": "success"}, layout.listed_at(at, "~")
        return map(from_item, self._table.listed(layout.LISTING, layout.RUNS, equal=equal, after=after))

    def _row(self, run_id: str, attempt: int) -> dict[str, Any] | None:
        return self._store.row(f"{run_id}-{attempt}")

    def _teardown(self, row: dict[str, Any]) -> Teardown | None:
        run_id, attempt = split_execution(row["execution"])
        definition, operations = self._store.recorded(run_id, attempt or 1)
        if definition is None or rehearsed(operations):
            return None
        return run_id, attempt or 1, row["automation"], float(row["finished_at"]), definition


def _succeeded(row: dict[str, Any]) -> bool:
    return row.get("verdict") == "success" and (row["event"], row.get("action")) == CLOSED
