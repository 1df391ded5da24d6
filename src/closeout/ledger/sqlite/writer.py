"""Write in one thread, in groups: jobs that wait at the same time share one transaction and one fsync.

Several writers on SQLite would wait for each other with sleeps, which makes the slowest answers slower. With group commit,
callers share the cost of a commit. Deliveries come first, because GitHub waits for them. All other jobs keep their
order, so that a run's log is stored before its end.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeAlias, TypeVar

from closeout.core.errors import CloseoutError, StoreUnavailable
from closeout.core.threads import background
from closeout.ledger.sqlite.checkpointer import Checkpointer
from closeout.ledger.sqlite.connection import is_damaged, open_writer, unusable, unwritable
from closeout.ledger.sqlite.deliveries import Acceptance, DeliveryWriter
from closeout.ledger.sqlite.identity import FileIdentity

Done: TypeAlias = Callable[[Any], None]
"""Called after the commit, in the writer's thread, with the result of a job or its error."""
T = TypeVar("T")

LARGEST_GROUP = 512
"""Deliveries in one transaction."""
MOST_OTHERS = 128
"""Other jobs in one transaction (log lines, operations, requests). A delivery waits for at most one such group."""

AT_FAULT = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError),
    *(UnicodeEncodeError, OverflowError),
)
"""Errors that a job's own values cause: half a surrogate pair, a number of more than 64 bits, a row that exists."""


class Job(NamedTuple):
    """A piece of work inside a transaction."""

    work: Callable[[sqlite3.Connection], Any]
    done: Done | None = None


def into(future: Future[Any]) -> Done:
    """Return a `done` that resolves a future."""

    def done(result: Any) -> None:
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)

    return done


class Writer:
    """Takes jobs from any thread and calls each one's `done` after its commit."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))
        self._connection = open_writer(self._path)
        self._identity = FileIdentity(path)
        self._checkpointer = Checkpointer(self._path)
        try:
            self._deliveries = DeliveryWriter(self._connection)
        except sqlite3.Error as error:
            self._connection.close()
            raise unusable(self._path, error) from error
        self._queue: SimpleQueue[tuple[Job | Acceptance, ...] | None] = SimpleQueue()
        self._closed = False
        self._submitting = threading.Lock()
        """Nothing is queued after the end of the queue, where it would get no answer."""
        self.damage: StoreUnavailable | None = None
        """The error that showed that the file is damaged."""
        self._thread = background("ledger-writer", self._run)

    def start(self) -> None:
        """Start the thread."""
        self._checkpointer.start()
        self._thread.start()

    def submit(self, *jobs: Job | Acceptance) -> None:
        """Queue jobs for the next group, together. Raises `StoreUnavailable` once the ledger is closed."""
        with self._submitting:
            if self._closed:
                raise StoreUnavailable("the ledger is closed")
            self._queue.put(jobs)

    def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do `work` in the next group, wait for its commit and return its result. Raises its error."""
        future: Future[Any] = Future()
        self.submit(Job(work, into(future)))
        return future.result()

    def run_with_deliveries(self, work: Callable[[sqlite3.Connection, DeliveryWriter], Any]) -> Any:
        """Do `work`, which stores runs, in the next group and wait for its commit."""
        return self.run(lambda connection: work(connection, self._deliveries))

    def close(self, timeout: float) -> bool:
        """Commit what is queued and stop; return False if that takes longer than `timeout` seconds."""
        with self._submitting:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        deliveries: deque[Acceptance] = deque()
        others: deque[Job] = deque()
        open_end = True
        while open_end or deliveries or others:
            if open_end:
                open_end = self._gather(deliveries, others)
            self._write([*_first(deliveries, LARGEST_GROUP), *_first(others, MOST_OTHERS)])
            self._checkpointer.wrote(self._connection.total_changes)
        self._checkpointer.close()
        self._connection.close()

    def _gather(self, deliveries: deque[Acceptance], others: deque[Job]) -> bool:
        """Sort submitted jobs, and wait for one if there is nothing else to do; return False when the ledger closes."""
        wait = not deliveries and not others
        while True:
            try:
                jobs = self._queue.get(wait)
            except Empty:
                return True
            if jobs is None:
                return False
            wait = False
            for job in jobs:
                if isinstance(job, Acceptance):
                    deliveries.append(job)
                else:
                    others.append(job)

    def _write(self, group: list[Job | Acceptance]) -> None:
        if not group:
            return
        gone = self._identity.lost()
        outcomes = [] if gone else self._commit(group)
        # Check again after the commit: if the file was deleted before it, nothing is stored.
        gone = gone or self._identity.lost()
        self._answer([(job, gone) for job in group] if gone else outcomes)

    def _commit(self, group: list[Job | Acceptance]) -> list[tuple[Job | Acceptance, Any]]:
        """Store a group in one transaction; return the result or the error of each."""
        kept = self._deliveries.position()
        try:
            try:
                outcomes = self._transaction(group, self._together)
            except (*AT_FAULT, CloseoutError):
                # One job is at fault, usually a duplicate. One by one, only that one fails.
                self._deliveries.restore(kept)
                outcomes = self._transaction(group, self._one_by_one)
        except Exception as error:  # noqa: BLE001 - every job in the group must get an answer
            self._deliveries.restore(kept)
            reason = unwritable(self._path, error)
            if isinstance(error, sqlite3.Error) and is_damaged(error):
                self.damage = reason
            outcomes = [(job, reason) for job in group]
            self._reopen(error)
        return outcomes

    def _transaction(
        self,
        group: list[Job | Acceptance],
        apply: Callable[[list[Job | Acceptance]], list[tuple[Job | Acceptance, Any]]],
    ) -> list[tuple[Job | Acceptance, Any]]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            outcomes = apply(group)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return outcomes

    def _together(self, group: list[Job | Acceptance]) -> list[tuple[Job | Acceptance, Any]]:
        acceptances = [job for job in group if isinstance(job, Acceptance)]
        accepted = self._deliveries.together(self._connection, acceptances)
        others = [(job, job.work(self._connection)) for job in group if isinstance(job, Job)]
        return [*zip(acceptances, accepted, strict=True), *others]

    def _one_by_one(self, group: list[Job | Acceptance]) -> list[tuple[Job | Acceptance, Any]]:
        return [(job, self._alone(job)) for job in group]

    def _alone(self, job: Job | Acceptance) -> Any:
        execute = self._connection.execute
        kept = self._deliveries.position()
        execute("SAVEPOINT job")
        result: Any
        try:
            if isinstance(job, Acceptance):
                result = self._deliveries.alone(self._connection, job)
            else:
                result = job.work(self._connection)
        except (*AT_FAULT, CloseoutError) as error:
            refused = StoreUnavailable(f"the ledger refused this row ({error}); it was not stored")
            result = error if isinstance(error, CloseoutError) else refused
            self._deliveries.restore(kept)
            execute("ROLLBACK TO job")
        execute("RELEASE job")
        return result

    def _answer(self, outcomes: list[tuple[Job | Acceptance, Any]]) -> None:
        for job, result in outcomes:
            if job.done is not None:
                try:
                    job.done(result)
                except Exception:  # it must not end the only writer
                    logging.getLogger(__name__).exception("a callback of the ledger failed")

    def _reopen(self, error: Exception) -> None:
        """Open the file again after an I/O error, because SQLite's view of the log may be wrong.

        Do so, too, after a transaction that could not be rolled back, because every further one would fail inside it. If
        this fails, the next group tries again. Never raises, because all callers wait for this thread.
        """
        lost = getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR")
        if not lost and not self._connection.in_transaction:
            return
        if self._identity.lost() is not None:
            return
        try:
            fresh = open_writer(self._path)
            self._deliveries.reload(fresh)
        except (CloseoutError, sqlite3.Error):
            return
        self._connection.close()
        self._connection = fresh


def _first(waiting: deque[T], most: int) -> Iterator[T]:
    """Take the first items from a queue."""
    for _ in range(min(most, len(waiting))):
        yield waiting.popleft()
