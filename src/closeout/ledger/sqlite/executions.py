"""Schedule and record executions for the server's engine: its `EngineStore` over SQLite.

A run's state is read, advanced by `core.runs`, and written back in one transaction, so SQL does not repeat the rules.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from closeout.core import runs
from closeout.core.errors import LedgerError, StoreUnavailable
from closeout.core.ids import split_execution
from closeout.ledger.problems import of_run
from closeout.ledger.sqlite.bodies import payload_text
from closeout.ledger.sqlite.problems import Read, settle
from closeout.ledger.sqlite.reads import Reads
from closeout.ledger.sqlite.sql import READ, SQL
from closeout.ledger.sqlite.writer import Job, Writer
from closeout.ledger.steps import has_deleted
from closeout.ports import Clock, Ending, Execution, Operation, Pending, Request


class Executions(Reads):
    """Uses the ledger's writer. An execution's number is `run.number`: the order of acceptance."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path)
        self._clock = clock
        self._running_writer: Writer | None = None

    def _writer(self) -> Writer:
        if self._running_writer is None:
            raise StoreUnavailable("the ledger is not open")
        return self._running_writer

    def recover(self) -> Sequence[Pending]:
        """Mark each running execution as a suspect; return all unfinished ones in order of acceptance."""
        now = self._clock.now()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(SQL["log_restart"], (now, runs.RESTARTED))
            running = connection.execute(SQL["running_runs"]).fetchall()
            turn = next((number for number, alone in running if alone in runs.IN_TURN), None)
            for number, _ in running:
                _advance(connection, number, runs.Crashed(by_another=turn not in (None, number)))
                connection.execute(SQL["log_crash"], (number, now, runs.SURVIVED))

        self._writer().run(work)
        return self.pending(0)

    def pending(self, after: int) -> Sequence[Pending]:
        """Return unfinished executions that were accepted after number `after`, in order."""
        return [Pending(*row) for row in self._read("pending", (after,))]

    def newest_time(self) -> float | None:
        """Return the newest recorded time while an execution is open, because waits and limits depend on it; else None."""
        newest: float | None = self._read("newest_time", ())[0][0]
        return newest

    def find(self, target: str) -> str | None:
        """Return the execution that `target` names: itself, or the latest attempt of a run id."""
        run_id, attempt = split_execution(target)
        rows = self._read("find_execution", {"run_id": run_id, "attempt": attempt})
        return f"{run_id}-{rows[0][0]}" if rows else None

    def load(self, number: int) -> tuple[Execution, Sequence[Operation]]:
        """Return an execution with everything that it has recorded, in order of position."""
        return _load(self._read, number)

    def begin(
        self, number: int, turn: str, at: float, *, wait: bool, alone: bool = False, beside: bool = False
    ) -> None:
        """Record that an execution runs now (see `core.runs.Taken`); `wait` for the commit or not."""
        self._advance(number, runs.Taken(turn, at, alone, beside), wait=wait)

    def join(self, number: int) -> None:
        """Record that an execution's turn alone has ended, and wait for the commit."""
        self._advance(number, runs.Joined(), wait=True)

    def save(self, number: int, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store one operation and, in the same transaction, its effect on the run; wait for the commit."""
        row = (number, *operation)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(SQL["save_operation"], row)
            if outcomes:
                _advance(connection, number, *outcomes)

        self._writer().run(work)

    def park(self, number: int, wake: float) -> None:
        """Record that an execution waits, without waiting for the commit."""
        self._advance(number, runs.Parked(wake), wait=False)

    def finish(self, number: int, ending: Ending, at: float) -> None:
        """Store an execution's ending and wait for the commit. A second ending has no effect."""

        def work(connection: sqlite3.Connection) -> None:
            if _advance(connection, number, runs.Ended(ending.verdict, ending.summary, at)):
                connection.execute(SQL["tally_verdict"], (ending.verdict,))
                connection.execute(SQL["tally_steps"], (number,))
                if ending.verdict == "success":
                    name = "tally_empty" if runs.found_nothing(ending.summary) else "tally_found"
                    connection.execute(SQL[name], (number,))
                _end(connection, number, ending, at)

        self._writer().run(work)

    def ask_cancel(self, execution: str, by: str) -> bool:
        """Store a cancel request and wait for the commit; False if the execution is unknown or finished."""

        def work(connection: sqlite3.Connection) -> bool:
            found = connection.execute(SQL["number_of_run"], split_execution(execution)).fetchone()
            if found is None or _state(connection, found[0]).state == "finished":
                return False
            _advance(connection, found[0], runs.CancelAsked(by))
            return True

        return bool(self._writer().run(work))

    def take_requests(self) -> Sequence[Request]:
        """Return requests of other processes that are not done. Pause and resume are carried out here."""
        requests = [Request(*row) for row in self._read("open_requests", ())]
        switches = [request for request in requests if request.kind in {"pause", "resume"}]
        if switches:
            self._writer().run(partial(_turn_switch, request=switches[-1], at=self._clock.now()))
        return [request for request in requests if request not in switches]

    def finish_request(self, request: int, outcome: str) -> None:
        """Store the outcome of a request."""
        self._note("finish_request", (outcome, self._clock.now(), request))

    def _note(self, statement: str, values: Sequence[Any]) -> None:
        """Execute one statement and wait for its commit."""
        self._writer().run(lambda connection: connection.execute(SQL[statement], values).rowcount)

    def _advance(self, number: int, outcome: runs.Outcome, *, wait: bool) -> None:
        """Advance one run. Without `wait`, a failure is raised by the next call that waits."""

        def work(connection: sqlite3.Connection) -> bool:
            return _advance(connection, number, outcome)

        if wait:
            self._writer().run(work)
        else:
            self._writer().submit(Job(work))


def _load(read: Read, number: int) -> tuple[Execution, list[Operation]]:
    """Return an execution with its recorded operations, which `read` reads."""
    rows = read("load_execution", (number,))
    if not rows:
        raise LedgerError(f"execution number {number} is no longer in the ledger")
    run_id, attempt, automation, definition, event, delivery, guid, hook, accepted_at, turn, form, body = (
        rows[0]
    )
    payload, lost = _payload(body, form=bool(form))
    execution = Execution(
        id=f"{run_id}-{attempt}",
        run_id=run_id,
        attempt=attempt,
        automation=automation,
        definition=definition,
        event_name=event,
        delivery=delivery,
        guid=guid,
        hook=hook,
        body=payload,
        accepted_at=accepted_at,
        queue_expired=turn == "expired",
        unreadable=lost,
    )
    return execution, [Operation(*row) for row in read("load_operations", (number,))]


def _end(connection: sqlite3.Connection, number: int, ending: Ending, at: float) -> None:
    """Count a run in the tallies, and open or close its problem, in the transaction of its ending."""

    def read(name: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return connection.execute(READ[name], values).fetchall()

    torn_down = ending.verdict == "success" and has_deleted(
        [Operation(*row) for row in read("load_operations", (number,))]
    )
    day = {"number": number, "at": at, "verdict": ending.verdict, "torn_down": torn_down}
    connection.execute(SQL["tally_day"], day)
    if ending.verdict != "failure" and connection.execute(SQL["has_problem"], (number,)).fetchone() is None:
        return  # most runs have no problem to open or close
    execution, operations = _load(read, number)
    (closing,) = connection.execute(SQL["closing_of_run"], (number,)).fetchone()
    outcome = of_run(execution, operations, ending, closing, at)
    settle(connection, outcome, at, execution.automation)


def _turn_switch(connection: sqlite3.Connection, request: Request, at: float) -> None:
    """Pause or resume as `request` says; finish it and all such requests before it."""
    if request.kind == "pause":
        value = json.dumps({"by": request.by, "reason": request.reason, "at": at})
        connection.execute(SQL["put_setting"], ("paused", value.encode()))
    else:
        connection.execute(SQL["drop_setting"], ("paused",))
    connection.execute(SQL["finish_switch_requests"], (at, request.id))


def _payload(stored: bytes | None, *, form: bool) -> tuple[bytes, str | None]:
    """Return the payload's JSON text, or why it is gone."""
    if stored is None:
        return b"", "its delivery no longer has a body"
    try:
        return payload_text(stored, form=form), None
    except LedgerError as error:
        return b"", error.message


def _state(connection: sqlite3.Connection, number: int) -> runs.RunState:
    row = connection.execute(SQL["run_state"], (number,)).fetchone()
    if row is None:
        raise LedgerError(f"execution number {number} is no longer in the ledger")
    return runs.RunState(*row)


def _advance(connection: sqlite3.Connection, number: int, *outcomes: runs.Outcome) -> bool:
    """Write a run's state after these outcomes in the current transaction; return whether it changed."""
    before = after = _state(connection, number)
    for outcome in outcomes:
        after = runs.advance(after, outcome)
    if after == before:
        return False
    connection.execute(SQL["put_run_state"], (*after, number))
    return True
