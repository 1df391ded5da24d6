"""The ledger of a server's process, open for writing: `ports.ServerLedger` over SQLite.

It is one object because there is one writer, which commits the writes of all threads in groups. Other processes use
`Requests` and `Views`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from closeout.core.closing import KEPT_DAYS
from closeout.core.errors import BadDelivery, CloseoutError, StoreUnavailable
from closeout.core.ids import split_execution
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.core.units import DAY
from closeout.ledger.lines import JournalLines
from closeout.ledger.problems import of_reopened
from closeout.ledger.sqlite import credentials
from closeout.ledger.sqlite.attempts import Attempts
from closeout.ledger.sqlite.bodies import pack
from closeout.ledger.sqlite.deliveries import Acceptance, delivery_row
from closeout.ledger.sqlite.executions import Executions
from closeout.ledger.sqlite.lock import FileLock
from closeout.ledger.sqlite.problems import Problems
from closeout.ledger.sqlite.prune import prune
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Job, Writer, into
from closeout.ports import Clock, Incoming

LINES_WAITING = 512
"""Log lines of all runs that may wait for the writer."""


class Ledger(Executions):
    """A ledger file, open for writing: a `ServerLedger` and, for the engine, an `EngineStore`. A context manager.

    `redact` removes secrets from log lines before they are stored.
    """

    def __init__(self, path: Path, *, clock: Clock, redact: Callable[[str], str] = str) -> None:
        super().__init__(path, clock)
        self.path = Path(path)
        self.attempts = Attempts(self._writer, clock)
        self.credentials = credentials.Credentials(self._read, self._writer, clock)
        self.problems = Problems(self._writer, self._read)
        self._lock = FileLock(self.path)
        self._lines = JournalLines(redact)
        self._log_room = threading.Semaphore(LINES_WAITING)

    def open(self) -> Self:
        """Become the ledger's only engine by its file lock, migrate, start the writer. Raises `LedgerError` or `LedgerInUse`."""
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
        """Commit what is queued, then close. Later calls raise `StoreUnavailable`."""
        writer, self._running_writer = self._running_writer, None
        if writer is not None:
            writer.close(timeout)
        super().close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- deliveries -----------------------------------------------------------------------------------

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Queue the deliveries of one iteration of an event loop, so that they share a transaction.

        Compress all bodies before the first is queued: compressing releases the interpreter's lock, and the writer would
        begin with a group of one. Pass an item's error to its `done`; never raise.
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
        body, closes = pack(delivery.body), of_reopened(delivery)
        return Acceptance(delivery.hook, delivery.guid, row, body, runs, self._clock.now(), done, closes)

    def accept_wait(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> Accepted:
        """Store a delivery and its runs and wait for the commit. Raises `BadDelivery` or `StoreUnavailable`."""
        future: Future[Accepted] = Future()
        self.accept_group([(delivery, runs, into(future))])
        return future.result()

    # --- logs, settings, marks ----------------------------------------------------------------------------

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Store one log line, redacted, with one of the next groups. Never raises because of the content.

        A caller that writes faster than lines are stored waits here, so that lines do not pile up in memory.
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
            self._note("add_setting", (name, make()))
            rows = self._read("setting", (name,))
        return bytes(rows[0][0])

    def replace_setting(self, name: str, value: bytes) -> None:
        """Replace a value that each start of a server sets again, such as the base of Details links."""
        self._note("put_setting", (name, value))

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Replace one of patrol's marks."""
        self._note("put_mark", (kind, key, json.dumps(value, sort_keys=True)))

    # --- care -------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Make one real commit. Raises `StoreUnavailable` if that fails, or if damage was found in the file."""
        value = json.dumps(self._clock.now()).encode()
        self._note("put_setting", ("probe", value))
        damage = self._damage or self._writer().damage
        if damage is not None:
            raise damage

    def prune(self, older_than: float) -> dict[str, int]:
        """Remove deliveries older than `older_than` seconds whose runs have all finished before then.

        Their runs, operations and logs are removed too. Deliveries are accepted between the small transactions. A
        delivery that GitHub sends again after it was pruned is new, but a closing is not: see `core.closing.KEPT_DAYS`.
        """
        now = self._clock.now()
        closings = now - max(older_than, KEPT_DAYS * DAY)
        return prune(self._writer(), now - older_than, closings, now - credentials.KEPT)


def _check_texts(values: Sequence[Any]) -> None:
    """Raise `BadDelivery` for a text that SQLite cannot bind, before it is queued with the rows of others."""
    for value in values:
        if type(value) is str and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadDelivery("a text of this delivery is not valid Unicode (a lone surrogate)") from None
