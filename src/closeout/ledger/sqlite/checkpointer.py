"""Copy commits from the write-ahead log into the database file, in a thread separate from the writer.

By default SQLite does this inside a commit, so one answer in a few hundred deliveries waits for it. Here a thread copies
and syncs; the writer does so itself only at a high limit, if the thread does not keep up.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from closeout.core.threads import background

EVERY = 300
"""Rows changed between two checkpoints under load: about four megabytes of log with bodies of ordinary size."""
COMMITS = 25
"""Commits between two checkpoints if each stores little: a small copy keeps the disk busy too briefly to slow down even the
slowest hundredth of the answers. It applies only after the log has had `EVERY` rows: its file keeps that length and is
overwritten in place, so commits during a long copy need no new blocks, for which they would have to wait."""
LIMIT = 8_000
"""Pages of log (32 MB) at which the writer makes a checkpoint itself, which resets the log."""


class Checkpointer:
    """A thread that makes a checkpoint when enough was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = threading.Event()
        self._closed = False
        self._seen = 0
        self._commits = -math.inf
        """Commits since the last checkpoint; not counted before the log has had `EVERY` rows."""
        self._thread = background("ledger-checkpointer", self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wrote(self, total_changes: int) -> None:
        """Record a commit, and how many rows the writer's connection has changed in total."""
        grown = not 0 <= total_changes - self._seen < EVERY
        self._commits += 1
        if grown or self._commits >= COMMITS:
            self._seen, self._commits = total_changes, 0
            self._due.set()

    def close(self) -> None:
        """End the thread, after a checkpoint that is in progress."""
        self._closed = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=5.0)) as connection:
            while self._due.wait():
                self._due.clear()
                if self._closed:
                    return
                with suppress(sqlite3.Error):  # a full disk: the writer will report it
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
