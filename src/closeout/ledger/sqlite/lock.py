"""Allow one engine process per ledger, with flock(2) on the ledger file itself.

The kernel drops the lock when the process ends in any way, so recovery is immediate and needs no leases. The lock belongs
to the file and not to a name: neither a symbolic link nor a removed lock file lets a second
engine start. SQLite's own locks are POSIX record locks, which are independent of flock(2) on Linux; where they are not
(macOS, BSD), only `<ledger>.lock` is locked.

When a process closes any descriptor of a file, it loses all of its POSIX locks on that file, including SQLite's
(https://sqlite.org/howtocorrupt.html, 2.2). So this module opens a ledger once and never closes it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from closeout.core.errors import LedgerError, LedgerInUse

ON_LEDGER = sys.platform == "linux"
"""Whether flock(2) on the ledger does not interfere with SQLite's locks."""


_descriptors: dict[tuple[int, int], int] = {}
"""This process's only descriptor of each ledger file, open until the process ends: by device and inode, which are not reused
while a descriptor is open."""
_ours: set[int] = set()
"""Descriptors of ledgers whose engine is this process. (A second flock on one descriptor would succeed.)"""
_guard = threading.RLock()


class FileLock:
    """An exclusive lock on a ledger. `<ledger>.lock` holds the owner's process id, and excludes releases before 0015."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._descriptor: int | None = None
        self._lock_files: list[int] = []

    def take(self) -> None:
        """Take the lock, and create the file if there is none.

        Raises `LedgerInUse` with the owner, `LedgerError` if the file cannot be opened or has a second name.
        """
        if not self._ledger.parent.is_dir():
            raise LedgerError(
                f"the folder {self._ledger.parent} of the ledger does not exist; create it, or name another with --db"
            )
        try:
            self._take_ledger()
            self._take_lock_files()
        except OSError as error:
            self.release()
            raise LedgerError(
                f"the ledger {self._ledger} cannot be written ({error.strerror}); give this user write access to the"
                " file and its folder, or name another with --db"
            ) from error
        except BaseException:
            self.release()
            raise

    def _take_ledger(self) -> None:
        descriptor = _open(self._ledger, os.O_RDWR | os.O_CREAT)
        if not _take_descriptor(descriptor):
            raise self._in_use(_lock_files(self._ledger))
        self._descriptor = descriptor
        opened = os.fstat(descriptor)
        if _identity(opened) != _identity(self._ledger.stat()):
            raise LedgerError(f"the ledger {self._ledger} was replaced just now; start again")
        _refuse_links(self._ledger, opened)

    def _take_lock_files(self) -> None:
        """Lock `<ledger>.lock` as earlier releases do, so that one that still runs and this one exclude each other."""
        for path in _lock_files(self._ledger):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._lock_files.append(handle)
            if not _within(0.3, handle):
                raise self._in_use([path])
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def _in_use(self, lock_files: list[Path]) -> LedgerInUse:
        owner = ""
        for path in lock_files:
            with suppress(OSError):
                owner = owner or path.read_text("ascii", "replace")[:32].strip()
        who = f"process {owner}" if owner else f"another process (`fuser {self._ledger}` says which)"
        return LedgerInUse(
            f"the ledger {self._ledger} is in use by {who}; stop it first, or name another with --db"
        )

    def release(self) -> None:
        """Release the lock. Both files remain, and the ledger's descriptor stays open."""
        while self._lock_files:
            os.close(self._lock_files.pop())
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with _guard:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                _ours.discard(descriptor)


def is_held(ledger: Path) -> bool:
    """Return whether an engine process, this one or another, holds this ledger now."""
    return _ledger_held(ledger) or any(map(_lock_file_held, _lock_files(ledger)))


def refuse_second_name(ledger: Path) -> None:
    """Raise `LedgerError` if the file has more than one name (hard links), unless this process is its engine.

    SQLite names its write-ahead log after the opened name. Two names mean two logs for one file: commits under one name are
    missing under the other, and using both corrupts the file.
    """
    try:
        found = ledger.stat()
    except OSError:
        return
    if _descriptors.get(_identity(found)) not in _ours:
        _refuse_links(ledger, found)


def _refuse_links(ledger: Path, found: os.stat_result) -> None:
    if found.st_nlink > 1:
        raise LedgerError(
            f"the ledger {ledger} has {found.st_nlink} names (hard links), and SQLite would keep a log for each and"
            f" lose deliveries; find them with `find / -xdev -samefile {ledger}`, keep the one that the server uses,"
            " and remove the others (a symbolic link is fine)"
        )


def _lock_files(ledger: Path) -> list[Path]:
    """Return the lock file next to the real file, and one that an earlier release made next to a symbolic link."""
    file = Path(f"{os.path.realpath(ledger)}.lock")
    earlier = Path(os.path.realpath(f"{ledger}.lock"))
    return [file] if earlier == file or not earlier.exists() else [file, earlier]


def _open(ledger: Path, flags: int) -> int:
    """Return this process's descriptor of the current file with this name, and open it at the first call."""
    with _guard:
        try:
            known = _descriptors.get(_identity(ledger.stat()))
        except FileNotFoundError:
            known = None
        if known is not None:
            return known
        # Only its owner may read it: it contains payloads of private repositories.
        number = os.open(ledger, flags | os.O_CLOEXEC, 0o600)
        return _descriptors.setdefault(_identity(os.fstat(number)), number)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _take_descriptor(descriptor: int) -> bool:
    with _guard:
        if descriptor in _ours or (ON_LEDGER and not _within(0.3, descriptor)):
            return False
        _ours.add(descriptor)
        return True


def _within(seconds: float, handle: int) -> bool:
    """Try to lock for a moment, because a command that calls `is_held` has a shared lock for microseconds."""
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


def _ledger_held(ledger: Path) -> bool:
    with _guard:
        try:
            descriptor = _open(ledger, os.O_RDONLY)
        except OSError:
            return False
        return descriptor in _ours or (ON_LEDGER and _locked(descriptor))


def _lock_file_held(path: Path) -> bool:
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        return _locked(file.fileno())


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False
