"""Store deliveries with their runs: a whole group at once, or one at a time if the group contains a duplicate.

The group is inserted in three statements without a read. Only if the database refuses it (a delivery or one of its
runs exists already), each delivery is looked up separately. So duplicates do not slow down the common case, and each
duplicate is answered by a commit that sees its original.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from closeout.core.ids import execution_id
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.ledger.problems import ProblemClosure
from closeout.ledger.sqlite.problems import settle
from closeout.ledger.sqlite.sql import SQL, Rows
from closeout.ports import DeliveryId


class Acceptance(NamedTuple):
    """A delivery that is ready to be inserted: texts checked, body compressed."""

    hook: str
    guid: str
    row: tuple[Any, ...]
    """hook, guid, event, action, repository, number, form, size, received_at, origin, closing."""
    body: bytes
    runs: Sequence[NewRun]
    accepted_at: float
    done: Callable[[Any], None]
    closes: ProblemClosure | None = None
    """The problems that it closes, because its pull request is open again."""


class DeliveryWriter:
    """Inserts deliveries and runs. Only the writer's thread uses it, inside its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.reload(connection)
        self._deliveries_in = Rows(SQL["insert_delivery"])
        self._bodies_in = Rows(SQL["insert_body"])
        self._runs_in = Rows(SQL["insert_run"])

    def position(self) -> tuple[int, int]:
        """Return the counters, for `restore` if the transaction fails."""
        return self._delivery, self._run

    def restore(self, position: tuple[int, int]) -> None:
        """Reset the counters after a failed transaction."""
        self._delivery, self._run = position
        self._definitions.clear()

    def reload(self, connection: sqlite3.Connection) -> None:
        """Read the counters from a new connection."""
        self._delivery, self._run = connection.execute(SQL["highest_ids"]).fetchone()
        self._definitions: dict[str, int] = {}

    def together(self, connection: sqlite3.Connection, group: Sequence[Acceptance]) -> list[Accepted]:
        """Store a whole group. Raises `sqlite3.IntegrityError` if any part of it exists already."""
        deliveries: list[Any] = []
        bodies: list[Any] = []
        runs: list[Any] = []
        outcomes = []
        for acceptance in group:
            self._delivery += 1
            deliveries += (self._delivery, *acceptance.row)
            bodies += (self._delivery, acceptance.body)
            for run in acceptance.runs:
                runs += self._run_row(
                    connection, run, self._delivery, acceptance.guid, acceptance.accepted_at
                )
            ids = tuple(run.run_id for run in acceptance.runs)
            started = tuple(execution_id(run, 1) for run in ids)
            outcomes.append(Accepted(self._delivery, ids, False, started))
        _insert(connection, self._deliveries_in, deliveries)
        _insert(connection, self._bodies_in, bodies)
        _insert(connection, self._runs_in, runs)
        for acceptance in group:
            settle(connection, acceptance.closes, acceptance.accepted_at)
        return outcomes

    def alone(self, connection: sqlite3.Connection, acceptance: Acceptance) -> Accepted:
        """Store one delivery, unless it, its event or its closing is stored already."""
        found = connection.execute(SQL["find_delivery"], (acceptance.guid, acceptance.hook)).fetchone()
        there = self.there(connection, acceptance.guid, acceptance.runs)
        runs = tuple(there.values())
        if found:
            return Accepted(found[0], runs, True, ())
        fresh = tuple(run for run in acceptance.runs if run.automation not in there)
        self._delivery += 1
        _insert(connection, self._deliveries_in, [self._delivery, *acceptance.row])
        _insert(connection, self._bodies_in, [self._delivery, acceptance.body])
        for run in fresh:
            self.attempt(connection, run, self._delivery, acceptance.guid, acceptance.accepted_at)
        settle(connection, acceptance.closes, acceptance.accepted_at)
        ids = tuple(run.run_id for run in fresh)
        duplicate = bool(runs) and not ids
        return Accepted(self._delivery, runs + ids, duplicate, tuple(execution_id(run, 1) for run in ids))

    def there(self, connection: sqlite3.Connection, guid: str, runs: Sequence[NewRun]) -> dict[str, str]:
        """Return the existing runs of an event and of these runs' closing: run ids by automation.

        The event's own runs take precedence: those of an earlier release are named after the GUID, and `runs` after the closing.
        """
        there = dict(connection.execute(SQL["find_runs_of_guid"], (guid,)).fetchall())
        for run in runs:
            (owner,) = connection.execute(SQL["owner_of_closing"], {"run_id": run.run_id}).fetchone()
            if owner is not None:
                there.setdefault(run.automation, owner)
        return there

    def attempt(
        self,
        connection: sqlite3.Connection,
        run: NewRun,
        delivery: DeliveryId,
        guid: str,
        at: float,
        attempt: int = 1,
        requested_by: str | None = None,
    ) -> None:
        """Store an attempt at a run, which reads the payload of a delivery."""
        row = self._run_row(connection, run, delivery, guid, at, attempt, requested_by)
        _insert(connection, self._runs_in, row)

    def _definition(self, connection: sqlite3.Connection, text: str) -> int:
        """Return the id of an automation's text, and store the text if it is new."""
        number = self._definitions.get(text)
        if number is None:
            found = connection.execute(SQL["find_definition"], (text,)).fetchone()
            found = found or connection.execute(SQL["insert_definition"], (text,)).fetchone()
            number = self._definitions[text] = int(found[0])
        return number

    def _run_row(
        self,
        connection: sqlite3.Connection,
        run: NewRun,
        delivery: DeliveryId,
        guid: str,
        at: float,
        attempt: int = 1,
        requested_by: str | None = None,
    ) -> tuple[Any, ...]:
        self._run += 1
        run_id, automation, key, text, queue_timeout = run
        definition = self._definition(connection, text)
        about = (run_id, attempt, automation, definition, delivery, guid)
        return (self._run, *about, key, queue_timeout, requested_by, at)


def delivery_row(delivery: NewDelivery) -> tuple[Any, ...]:
    """Return the values of `insert_delivery`, without the id."""
    return (
        delivery.hook,
        delivery.guid,
        delivery.event,
        delivery.action,
        delivery.repository,
        delivery.number,
        int(delivery.form),
        len(delivery.body),
        delivery.received_at,
        delivery.origin,
        delivery.closing,
    )


def _insert(connection: sqlite3.Connection, rows: Rows, values: Sequence[Any]) -> None:
    width = rows.width
    for statement, first, end in rows.cut(len(values) // width):
        connection.execute(statement, values[first * width : end * width])
