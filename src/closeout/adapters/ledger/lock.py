"""One engine process per ledger, held by a file lock.

The kernel lets go of the lock when the process dies, however it dies, so recovery is immediate and there are no
leases to get wrong. The lock is its own file: locks on the database file belong to SQLite.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from closeout.core.errors import LedgerError, LedgerInUse


class FileLock:
    """An exclusive lock on `<ledger>.lock`, which holds the owner's process id for people to read."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(ledger.name + ".lock")
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock; nothing happens if it is already ours. Raises `LedgerInUse` naming the owner."""
        if self._handle is not None:
            return
        if not self._ledger.parent.is_dir():
            raise LedgerError(
                f"the folder {self._ledger.parent} of the ledger does not exist; create it, or name another with --db"
            )
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                f"the lock file {self._path} cannot be opened ({error.strerror}); give this user write access to"
                " the ledger's folder, or name another ledger with --db"
            ) from error
        if not _lock_within(handle, 0.3):
            owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise LedgerInUse(
                f"the ledger {self._ledger} is in use by process {owner}; stop it first, or name another with --db"
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let go of the lock. The file stays: removing it would let two owners lock two files of one name."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _lock_within(handle: int, seconds: float) -> bool:
    """Try for a moment: a command that asks `is_held` holds a shared lock for microseconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def is_held(ledger: Path) -> bool:
    """Whether an engine process holds this ledger now."""
    try:
        handle = os.open(ledger.with_name(ledger.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
