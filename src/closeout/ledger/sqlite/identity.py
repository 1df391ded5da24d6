"""Detect that the database file was replaced or deleted.

After `rm` or a restored backup, SQLite still commits through its open connection, and everything is lost at the next
start. Only a check of the file's name reveals it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from closeout.core.errors import StoreUnavailable

GONE = "The ledger's file was removed or replaced; closeout accepts no deliveries until you restart it."


class FileIdentity:
    """Compares the current files of a ledger and its write-ahead log with those that were opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The given name may be a symbolic link; SQLite names the log after its target.
        self._names = (str(path), f"{os.path.realpath(path)}-wal")
        self._opened = self._look()
        self._gone = False

    def lost(self) -> StoreUnavailable | None:
        """Return an error if either name is gone or refers to another file, and always after that."""
        if not self._gone:
            with suppress(OSError):  # it cannot be checked now, but the next call does
                self._gone = self._look() != self._opened
        if not self._gone:
            return None
        error = StoreUnavailable(
            f"the ledger's file {self._path} was removed or replaced; nothing was stored. Put the"
            " right file there and restart closeout: until then it accepts no delivery"
        )
        error.public = GONE
        return error

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_identity(name) for name in self._names)


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - after every commit
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
