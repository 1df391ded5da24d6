"""Read a ledger by named statements: the reads that the server's process and all other processes share.

Each thread reads through its own connection, so that readers never wait for each other or for the writer.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from closeout.core.errors import StoreUnavailable
from closeout.ledger.sqlite.connection import is_damaged, open_reader, unreadable
from closeout.ledger.sqlite.sql import READ
from closeout.ledger.views import pause_phrase

AT_ONCE = 64
"""Rows that are read at once if it is not known how many are wanted."""


class Reads:
    """Reads one ledger, from any thread. Raises `LedgerError` if it cannot be opened, else `StoreUnavailable`."""

    def __init__(self, path: Path) -> None:
        # Resolved once, so that a later change of a symbolic link does not mix two ledgers in one process.
        self._file = Path(os.path.realpath(path))
        self._local = threading.local()
        self._connections: list[tuple[sqlite3.Connection, threading.Lock]] = []
        self._opening = threading.Lock()
        self._damage: StoreUnavailable | None = None
        """The error that showed that the file is damaged."""

    def close(self) -> None:
        """Close each thread's connection when its current read ends; a thread that reads again opens a new one."""
        with self._opening:
            connections, self._connections, self._local = self._connections, [], threading.local()
        for connection, reading in connections:
            with reading:
                connection.close()

    def marks(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return patrol's marks of a kind, by key."""
        return {key: json.loads(value) for key, value in self._read("marks", (kind,))}

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Return whether a delivery of a hook is stored."""
        return bool(self._read("has_delivery", (guid, hook)))

    def paused(self) -> str | None:
        """Return who paused and why, or None.

        The newest request counts, even before the engine has taken it: `closeout pause` applies from the moment its row
        is written, with or without a running server.
        """
        for kind, by, reason in self._read("switch", ()):
            return pause_phrase(by, reason) if kind == "pause" else None
        for (text,) in self._read("setting", ("paused",)):
            value = json.loads(text)
            return pause_phrase(value["by"], value["reason"])
        return None

    def _read(self, name: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._translated():
            connection, reading = self._connection()
            with reading:
                return connection.execute(READ[name], values).fetchall()

    def _rows(self, name: str, values: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Read rows a few at a time. Nothing is held in between, because another thread may free an unfinished generator."""
        with self._translated():
            connection, reading = self._connection()
            with reading:
                rows = connection.execute(READ[name], values)
            some: list[tuple[Any, ...]] | None = None
            while some is None or some:
                with reading:
                    some = rows.fetchmany(AT_ONCE)
                yield from some

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Let all reads of this thread in the block see the ledger as it is at the first one.

        Otherwise a run that gets its next attempt between two of them could be missing, and one that is pruned could be read
        in part.
        """
        with self._translated():
            connection, reading = self._connection()
            with reading:
                connection.execute("BEGIN")
        try:
            yield
        finally:
            # It wrote nothing, so nothing is lost: `close` may have closed it, and a damaged file may have ended it.
            with suppress(sqlite3.Error), reading:
                connection.execute("ROLLBACK")

    def _connection(self) -> tuple[sqlite3.Connection, threading.Lock]:
        """Return this thread's connection and its lock: closing a connection during a read can crash the process."""
        held: tuple[sqlite3.Connection, threading.Lock] | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = open_reader(self._file), threading.Lock()
            with self._opening:
                self._connections.append(held)
        return held

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            failure = unreadable(self._file, error)
            self._damage = failure if is_damaged(error) else self._damage
            raise failure from error
