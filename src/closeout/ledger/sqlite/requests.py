"""Store the requests of commands, with the name and the reason: `ports.Requests` over SQLite.

One server owns a ledger, so a command never acts itself. Its request waits until the server's engine takes it.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from closeout.ledger.sqlite.connection import open_reader, unreadable, unwritable
from closeout.ledger.sqlite.lock import is_held
from closeout.ledger.sqlite.sql import READ, SQL
from closeout.ports import Clock


class Requests:
    """Stores requests for this ledger's server, which may run now or later."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = Path(path)
        self._now = clock.now if clock else time.time

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Write a request and return its number.

        Raises `LedgerError` if this is not a ledger of this version, `StoreUnavailable` if it cannot be written.
        """
        open_reader(self._path).close()  # raises if the file is not usable
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=5.0)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                row = connection.execute(
                    SQL["insert_request"], (kind, target, by, reason, self._now())
                ).fetchone()
        except sqlite3.Error as error:
            raise unwritable(self._path, error) from error
        return int(row[0])

    def outcome(self, request: int) -> str | None:
        """Return the outcome of a request: a word, an execution or a sentence; None while it waits."""
        with closing(open_reader(self._path)) as connection:
            try:
                row = connection.execute(READ["outcome"], (request,)).fetchone()
            except sqlite3.Error as error:
                raise unreadable(self._path, error) from error
        return row[0] if row else None

    def server_running(self) -> bool:
        """Return whether a server runs on this ledger now."""
        return is_held(self._path)
