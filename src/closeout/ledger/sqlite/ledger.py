"""The ledger of one engine process: accept deliveries, keep runs, logs, settings and the switch.

One object so that there is one writer: everything the process stores goes through it in groups. What another
process may do is `Requests` and `Views`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from closeout.core.errors import BadDelivery, CloseoutError, LedgerError, StoreUnavailable
from closeout.core.ids import execution_id
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.ledger.lines import JournalLines
from closeout.ledger.names import split_execution
from closeout.ledger.sqlite.accepting import SQL, Acceptance, Accepting, delivery_row
from closeout.ledger.sqlite.bodies import pack
from closeout.ledger.sqlite.connection import Readers
from closeout.ledger.sqlite.executions import Executions
from closeout.ledger.sqlite.lock import FileLock
from closeout.ledger.sqlite.prune import prune
from closeout.ledger.sqlite.switch import paused
from closeout.ledger.sqlite.writer import Job, Ticket, Writer
from closeout.ports import Clock

LINES_WAITING = 512
"""Log lines that may wait for the writer, of all runs together."""
SAME: Final = object()
"""As it was in the attempt before."""


class Ledger(Executions):
    """A ledger file, open for writing. A context manager; also an `EngineStore`, a `Journal` and a `Switch`.

    `redact` takes secrets out of log lines before they are stored.
    """

    def __init__(self, path: Path, *, clock: Clock, redact: Callable[[str], str] = str) -> None:
        super().__init__(Readers(Path(path)), clock)
        self.path = Path(path)
        self._lock = FileLock(self.path)
        self._lines = JournalLines(redact)
        self._log_room = threading.Semaphore(LINES_WAITING)

    def open(self) -> Self:
        """Take the file lock, migrate, start the writer. Raises `LedgerError` or `LedgerInUse`."""
        if self._running_writer is None:
            self._lock.take()
            try:
                writer = Writer(self.path)
            except BaseException:
                self._lock.release()
                raise
            writer.start()
            self._running_writer = writer
        return self

    def close(self, timeout: float = 10.0) -> None:
        """Commit what is queued, then close; what comes later gets `StoreUnavailable`."""
        writer, self._running_writer = self._running_writer, None
        if writer is not None:
            writer.close(timeout)
        self._readers.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lock(self) -> None:
        """Make this process the ledger's only engine (`open` has done so). Raises `LedgerInUse`."""
        self._lock.take()

    # --- deliveries -----------------------------------------------------------------------------------

    def accept(self, delivery: NewDelivery, runs: Sequence[NewRun], done: Callable[[Any], None]) -> None:
        """Queue a delivery and its runs for one transaction; `done` gets `Accepted` or the error after it.

        Raises `BadDelivery` for a text that cannot be stored and `StoreUnavailable` when the ledger is closed;
        `done` is not called then.
        """
        self._writer().submit(self._acceptance(delivery, runs, done))

    def accept_group(
        self, group: Sequence[tuple[NewDelivery, Sequence[NewRun], Callable[[Any], None]]]
    ) -> None:
        """Queue what an event loop has gathered in one turn, so that it shares a transaction.

        All bodies are compressed before the first is queued: compressing gives way to other threads, and the
        writer would begin with a group of one. An item's own error goes to its `done`; nothing is raised.
        """
        ready: list[Acceptance] = []
        for delivery, runs, done in group:
            try:
                ready.append(self._acceptance(delivery, runs, done))
            except CloseoutError as error:
                done(error)
        try:
            self._writer().submit(*ready)
        except CloseoutError as error:
            for acceptance in ready:
                acceptance.done(error)

    def _acceptance(
        self, delivery: NewDelivery, runs: Sequence[NewRun], done: Callable[[Any], None]
    ) -> Acceptance:
        row = delivery_row(delivery)
        _check_texts(row)
        for run in runs:
            _check_texts(run)
        return Acceptance(row, pack(delivery.body), runs, self._clock.now(), done)

    def accept_wait(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> Accepted:
        """Store a delivery and its runs and wait for the commit."""
        ticket = Ticket()
        self.accept(delivery, runs, ticket)
        accepted: Accepted = ticket.wait()
        return accepted

    def new_attempt(
        self,
        run_id: str,
        definition: str,
        requested_by: str,
        *,
        key: Any = SAME,
        queue_timeout: Any = SAME,
        request: int | None = None,
    ) -> str:
        """Store the next attempt at a run and return its execution name; the engine must be told.

        Key and queue timeout are those of the attempt before unless given. With `request`, that request is
        done in the same transaction, so that a crash cannot make two attempts of one request. Raises
        `LedgerError` if there is no such run.
        """
        at = self._clock.now()

        def work(connection: sqlite3.Connection, accepting: Accepting) -> str:
            found = connection.execute(SQL["last_attempt"], (run_id,)).fetchone()
            if found is None:
                raise LedgerError(f"there is no run {run_id} in this ledger")
            attempt, automation, delivery, guid, old_key, old_timeout = found
            new_key = old_key if key is SAME else key
            timeout = old_timeout if queue_timeout is SAME else queue_timeout
            row = (run_id, attempt + 1, automation, delivery, guid, new_key, timeout, requested_by, at)
            accepting.attempt(connection, row, definition)
            execution = execution_id(run_id, attempt + 1)
            if request is not None:
                connection.execute(SQL["finish_request"], (execution, at, request))
            return execution

        return str(self._writer().run_accepting(work))

    def add_runs(self, delivery: int | str, runs: Sequence[NewRun], requested_by: str) -> tuple[str, ...]:
        """Store runs for a delivery that is already kept (a replay that matches more than it did before).

        Gives the executions; a run that is there already is left alone. Raises `LedgerError` if there is no
        such delivery.
        """
        at = self._clock.now()

        def work(connection: sqlite3.Connection, accepting: Accepting) -> tuple[str, ...]:
            found = connection.execute(SQL["find_delivery_by_id"], (delivery,)).fetchone()
            if found is None:
                raise LedgerError(f"there is no delivery {delivery} in this ledger")
            there = {row[0] for row in connection.execute(SQL["find_runs_of_guid"], found)}
            fresh = [run for run in runs if run.run_id not in there]
            for run in fresh:
                row = (
                    run.run_id,
                    1,
                    run.automation,
                    delivery,
                    found[0],
                    run.key,
                    run.queue_timeout,
                    requested_by,
                    at,
                )
                accepting.attempt(connection, row, run.definition)
            return tuple(execution_id(run.run_id, 1) for run in fresh)

        started: tuple[str, ...] = self._writer().run_accepting(work)
        return started

    # --- logs, settings, requests, the switch -----------------------------------------------------------

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Keep one log line, redacted; it is stored with one of the next groups. Never raises for the content.

        Who writes faster than lines are stored waits here, and not in memory.
        """
        line = self._lines.line(execution, text)
        if line is None:
            return
        values = (step, self._clock.now(), line, *split_execution(execution))
        job = Job(
            lambda connection: connection.execute(SQL["insert_log"], values),
            lambda _result: self._log_room.release(),
        )
        self._log_room.acquire()
        try:
            self._writer().submit(job)
        except StoreUnavailable:
            self._log_room.release()
            raise

    def setting(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a value that is made once for this ledger, such as the key of Details links."""
        rows = self._read("setting", (name,))
        if not rows:
            self._note("add_setting", (name, make()), wait=True)
            rows = self._read("setting", (name,))
        return bytes(rows[0][0])

    def replace_setting(self, name: str, value: bytes) -> None:
        """Keep a value that each start of a server sets anew, such as the base of Details links."""
        self._note("put_setting", (name, value), wait=True)

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Ask the engine of this process for something, as another process does through `Requests`."""
        values = (kind, target, by, reason, self._clock.now())
        return int(
            self._writer().run(
                lambda connection: connection.execute(SQL["insert_request"], values).fetchone()[0]
            )
        )

    def set_paused(self, by: str, reason: str | None) -> None:
        """Stop destructive calls until `clear_paused`; open pause and resume requests are overruled."""
        self._switch(by, reason, 2**62)

    def clear_paused(self) -> None:
        """Let destructive calls go on; open pause and resume requests are overruled."""
        self._switch(None, None, 2**62)

    def paused(self) -> str | None:
        """Return who paused and why, or None. A request that was not taken yet counts."""
        return paused(self._read)

    # --- care -------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Make one real commit. Raises `StoreUnavailable` if that fails, or if the file has shown damage."""
        value = json.dumps(self._clock.now()).encode()
        self._note("put_setting", ("probe", value), wait=True)
        damage = self._damage or self._writer().damage
        if damage is not None:
            raise damage

    def prune(self, older_than: float) -> dict[str, int]:
        """Remove deliveries older than `older_than` seconds whose runs have all finished before then.

        Their runs, operations and logs go with them, in small transactions between which deliveries are
        accepted. A delivery that GitHub sends again after it was pruned counts as new.
        """
        return prune(self._writer(), self._clock.now() - older_than)


def _check_texts(values: Sequence[Any]) -> None:
    """Refuse what SQLite cannot bind, before it is queued with the rows of others."""
    for value in values:
        if type(value) is str and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadDelivery("a text of this delivery is not valid Unicode (a lone surrogate)") from None
