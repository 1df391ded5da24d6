"""Further attempts at a run, and further runs of a stored delivery, for reruns and replays.

The engine of this process stores them, in the same transaction as the request that asked for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from closeout.core.errors import LedgerError
from closeout.core.ids import execution_id
from closeout.core.records import NewRun
from closeout.ledger.sqlite.deliveries import DeliveryWriter
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer
from closeout.ports import Clock, DeliveryId


class Attempts:
    """`ports.Attempts` over the ledger's writer. `writer` raises `StoreUnavailable` while the ledger is closed."""

    def __init__(self, writer: Callable[[], Writer], clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def new_attempt(
        self,
        run_id: str,
        definition: str,
        requested_by: str,
        *,
        key: str | None,
        queue_timeout: float,
        request: int | None = None,
        delivery: DeliveryId | None = None,
    ) -> str:
        """Store the next attempt at a run and return its execution. Raises `LedgerError` if it cannot have one."""
        at = self._clock.now()

        def work(connection: sqlite3.Connection, deliveries: DeliveryWriter) -> str:
            found = connection.execute(SQL["last_attempt"], (run_id,)).fetchone()
            if found is None:
                raise LedgerError(f"there is no run {run_id} in this ledger")
            attempt, automation, former, guid, state = found
            # The caller read it earlier, and two callers may both have found it finished.
            if state != "finished":
                raise LedgerError(
                    f"run {run_id} has not finished, or its next attempt was asked for just now"
                )
            if delivery is not None:
                guid = _guid(connection, delivery)
            run = NewRun(run_id, automation, key, definition, queue_timeout)
            deliveries.attempt(
                connection, run, former if delivery is None else delivery, guid, at, attempt + 1, requested_by
            )
            execution = execution_id(run_id, attempt + 1)
            if request is not None:
                connection.execute(SQL["finish_request"], (execution, at, request))
            return execution

        return str(self._writer().run_with_deliveries(work))

    def claim_closing(self, closing: str, run_id: str, owner: str) -> str:
        """Assign a closing to a run that learned it while it runs; return the run that has it (see `ports.Attempts`)."""
        at = self._clock.now()

        def work(connection: sqlite3.Connection) -> str:
            (there,) = connection.execute(SQL["owner_of_closing"], {"run_id": run_id}).fetchone()
            if there is None:
                connection.execute(SQL["claim_closing"], (run_id, owner, at))
                connection.execute(SQL["learn_closing"], (closing, owner))
            return str(there or owner)

        return str(self._writer().run(work))

    def add_runs(self, delivery: DeliveryId, runs: Sequence[NewRun], requested_by: str) -> tuple[str, ...]:
        """Store runs for a delivery that is stored already, for a replay that matches more than the delivery did."""
        at = self._clock.now()

        def work(connection: sqlite3.Connection, deliveries: DeliveryWriter) -> tuple[str, ...]:
            guid = _guid(connection, delivery)
            for run in runs:
                connection.execute(SQL["forget_pruned"], (run.run_id,))
            there = deliveries.there(connection, guid, runs)
            fresh = [run for run in runs if run.automation not in there]
            for run in fresh:
                deliveries.attempt(connection, run, delivery, guid, at, requested_by=requested_by)
            return tuple(execution_id(run.run_id, 1) for run in fresh)

        started: tuple[str, ...] = self._writer().run_with_deliveries(work)
        return started


def _guid(connection: sqlite3.Connection, delivery: DeliveryId) -> str:
    """Return the GUID of a delivery. Raises `LedgerError` if there is none."""
    found = connection.execute(SQL["find_delivery_by_id"], (delivery,)).fetchone()
    if found is None:
        raise LedgerError(f"there is no delivery {delivery} in this ledger")
    return str(found[0])
