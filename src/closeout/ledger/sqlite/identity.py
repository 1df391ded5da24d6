"""Whether the ledger's files are still those that were opened: a file without a name takes writes, and loses them all.

`rm` and a restored backup leave the open connection as it was, so SQLite commits as before and nothing of it is there
after the next start. Only the names can tell.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from closeout.core.errors import StoreUnavailable

GONE = "The ledger's file is gone, or another stands in its place; closeout takes no more deliveries until it is restarted."


class FileIdentity:
    """The names of a ledger and of its write-ahead log, and which files they were when they were opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The name as it was given, which may be a symbolic link; SQLite names the log after the file behind it.
        self._names = (str(path), f"{os.path.realpath(path)}-wal")
        self._opened = self._look()
        self._gone = False

    def lost(self) -> StoreUnavailable | None:
        """Return the error once either name has been seen to be gone or another file's: from then on always."""
        if not self._gone:
            with suppress(OSError):  # it cannot be seen just now: the next look tells
                self._gone = self._look() != self._opened
        if not self._gone:
            return None
        error = StoreUnavailable(
            f"the ledger's file {self._path} is gone, or another stands in its place; nothing was stored. Put the"
            " right file there and restart closeout: until then no delivery is taken"
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
