"""Find the runs of a pull request's closings, at a bounded cost.

One query finds the runs (`stack.closings`), and one query for each reads its attempts, all consistently.
"""

from __future__ import annotations

from typing import Any

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.table import Table
from closeout.stack.closings import closings_partition
from closeout.stack.table import from_item, run_partition

MOST = 100
"""Runs of one pull request's closings that are read. If there are more, reads raise `StoreUnavailable`."""


def teardowns(table: Table, repository: str, number: int) -> list[str]:
    """Return the open executions that the closing of a pull request started, the oldest first. Raises `StoreUnavailable`."""
    rows = (last_attempt(table, run_id) for run_id in runs_of_closings(table, repository, number))
    return [str(row["execution"]) for row in rows if row and row["state"] != "finished"]


def runs_of_closings(table: Table, repository: str, number: int) -> list[str]:
    """Return the runs that closings of a pull request started, the oldest first. Raises `StoreUnavailable`."""
    runs: dict[str, None] = {}
    for closing in map(from_item, table.query(closings_partition(repository, number), "0")):
        runs |= dict.fromkeys(closing["runs"])
        if len(runs) > MOST:
            raise StoreUnavailable(f"{repository}#{number} was closed too often to read every run of it")
    return list(runs)


def last_attempt(table: Table, run_id: str) -> dict[str, Any] | None:
    """Return the plain values of the row of a run's latest attempt; None if it never began."""
    for item in table.query(run_partition(run_id), "attempt#", newest_first=True, limit=1):
        return from_item(item) if "owner" not in item else None
    return None
