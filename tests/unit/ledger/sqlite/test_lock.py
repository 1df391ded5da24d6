"""One engine per ledger, whatever name the file is opened by; and nothing in this process drops SQLite's locks."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from closeout.core.errors import CloseoutError, LedgerError, LedgerInUse, StoreUnavailable
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ledger.sqlite.lock import is_held
from closeout.ledger.sqlite.sql import FOLDER
from tests.unit.ledger.sqlite.conftest import HandClock, delivery

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere flock and SQLite's locks are of one kind"
)

HOLD = """
import sys, pathlib
from closeout.ledger.sqlite.lock import FileLock
lock = FileLock(pathlib.Path(sys.argv[1]))
lock.take()
print("held", flush=True)
sys.stdin.read()
"""
HOLD_AS_EARLIER_RELEASES = """
import fcntl, os, sys
handle = os.open(sys.argv[1] + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(handle, fcntl.LOCK_EX)
os.pwrite(handle, f"{os.getpid()}\\n".encode(), 0)
print("held", flush=True)
sys.stdin.read()
"""
SHARED = """
import fcntl, os, sys
PENDING_BYTE = 0x40000000  # sqlite.org/fileformat2.html: readers lock the 510 bytes from PENDING_BYTE + 2
for _ in sys.stdin:
    handle = os.open(sys.argv[1], os.O_RDWR)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, PENDING_BYTE + 2)
        print("free", flush=True)
    except BlockingIOError:
        print("locked", flush=True)
    os.close(handle)
"""


@contextmanager
def process(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a script on a ledger until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(FOLDER.parents[2])},
    ) as started:
        yield started
        started.kill()


@contextmanager
def holding(path: Path, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the ledger."""
    with process(script, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def test_one_process_holds_a_ledger(path: Path, clock: HandClock) -> None:
    """The second learns which process is the first; when that dies, however it dies, the ledger is free at once."""
    with holding(path) as holder:
        with pytest.raises(LedgerInUse, match=f"in use by process {holder.pid}"):
            Ledger(path, clock=clock).open()
        assert path.stat().st_size == 0, "nothing is written before the lock is held"
        holder.kill()
        holder.wait()
        with Ledger(path, clock=clock):
            assert Requests(path).server_running()
        assert not Requests(path).server_running()


def test_a_missing_ledger_is_held_by_no_process(path: Path) -> None:
    """Asking does not create the file, and a file alone does not mean a server."""
    assert not is_held(path)
    assert not path.exists()
    path.touch()
    assert not is_held(path)


@linux
def test_a_ledger_is_free_after_it_was_asked_about_or_released(path: Path, clock: HandClock) -> None:
    """Its descriptor stays open, because closing it would drop SQLite's locks."""
    with Ledger(path, clock=clock):
        pass
    assert can_be_held(path)
    assert not is_held(path)
    assert can_be_held(path)


def can_be_held(path: Path) -> bool:
    """Return whether another process could lock the file: a second descriptor has the same chances."""
    with path.open("rb") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_process_may_hold_two_ledgers(path: Path, ledger: Ledger, clock: HandClock) -> None:
    """Each by itself."""
    other = path.with_name("other.db")
    with Ledger(other, clock=clock):
        assert is_held(other)
    assert is_held(path)
    assert not is_held(other)


def test_a_lock_file_that_cannot_be_made_leaves_the_ledger_free(path: Path, clock: HandClock) -> None:
    """The next attempt finds it free, and the error says what to do."""
    blocking = path.with_name("ledger.db.lock")
    blocking.mkdir()
    with pytest.raises(LedgerError, match=r"cannot be written .* give this user write access"):
        Ledger(path, clock=clock).open()
    assert not is_held(path)
    blocking.rmdir()
    with Ledger(path, clock=clock):
        assert is_held(path)


def test_only_one_object_in_a_process_holds_a_ledger(path: Path, ledger: Ledger, clock: HandClock) -> None:
    """Even though a second flock on the descriptor would succeed, and the lock file was removed."""
    path.with_name("ledger.db.lock").unlink()
    with pytest.raises(LedgerInUse):
        Ledger(path, clock=clock).open()
    assert is_held(path)


@pytest.mark.parametrize("remove_lock_file", [False, True])
def test_a_symbolic_link_leads_to_the_same_lock(path: Path, clock: HandClock, remove_lock_file: bool) -> None:
    """The second start is refused under any name, even without the lock file."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with holding(path):
        if remove_lock_file:
            path.with_name("ledger.db.lock").unlink()
            if sys.platform != "linux":
                pytest.skip("there the lock file is the lock")
        for name in (link, path):
            with pytest.raises(LedgerInUse):
                Ledger(name, clock=clock).open()
            assert is_held(name)


def test_the_lock_file_is_next_to_the_file_and_not_to_a_link(path: Path, clock: HandClock) -> None:
    """So it is one file too, for releases and systems that have no other lock."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    folder = path.with_name("folder")
    folder.symlink_to(path.parent)
    path.with_name("ledger.db.lock").write_text("99999999999999999999\n", "ascii")
    for name in (path, link, folder / path.name, folder / path.name):
        with Ledger(name, clock=clock):
            assert is_held(path)
    with Ledger(link, clock=clock):
        assert path.with_name("ledger.db.lock").read_text() == f"{os.getpid()}\n"
        assert not path.with_name("link.db.lock").exists()


@linux
def test_an_unknown_owner_can_be_found(path: Path, clock: HandClock) -> None:
    """Without the lock file the message says how."""
    with holding(path):
        path.with_name("ledger.db.lock").unlink()
        with pytest.raises(
            LedgerInUse, match=r"in use by another process \(`fuser .*ledger\.db` says which\)"
        ):
            Ledger(path, clock=clock).open()


def test_a_file_with_a_second_hard_link_cannot_be_opened(path: Path, clock: HandClock) -> None:
    """SQLite keeps a log for each name: what is acknowledged under one is missing under the other."""
    with Ledger(path, clock=clock) as ledger:
        ledger.accept_wait(delivery("g1"), [])
    other = path.with_name("other.db")
    os.link(path, other)
    for name in (path, other):
        for attempt in (
            lambda name=name: Ledger(name, clock=clock).open(),
            lambda name=name: Views(name).deliveries(),
            lambda name=name: Requests(name).add_request("pause", None, "ada", None),
        ):
            with pytest.raises(LedgerError, match=r"has 2 names \(hard links\).*find / -xdev -samefile"):
                attempt()
    other.unlink()
    with Ledger(path, clock=clock), closing(Views(path)) as views:
        assert [one.guid for one in views.deliveries()] == ["g1"]


@linux
def test_a_running_server_survives_a_new_hard_link(path: Path, ledger: Ledger, clock: HandClock) -> None:
    """Its own name and log stay the right ones; opening by the other name is refused."""
    other = path.with_name("other.db")
    os.link(path, other)
    ledger.accept_wait(delivery("g1"), [])
    assert ledger.find("nobody") is None, "readers of the server open as before"
    assert "LedgerInUse" in second_start(other)


def second_start(path: Path) -> str:
    """Return what another process says that cannot hold the ledger."""
    return subprocess.run(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(FOLDER.parents[2])},
        check=False,
    ).stderr


@pytest.mark.parametrize("named", ["ledger.db", "link.db"])
def test_a_server_of_an_earlier_release_keeps_this_one_out(path: Path, clock: HandClock, named: str) -> None:
    """It holds only the lock file, next to the name that it was given."""
    with Ledger(path, clock=clock):
        pass
    path.with_name("link.db").symlink_to(path)
    name = path.with_name(named)
    with holding(name, HOLD_AS_EARLIER_RELEASES) as holder:
        assert is_held(name)
        with pytest.raises(LedgerInUse, match=f"in use by process {holder.pid}"):
            Ledger(name, clock=clock).open()
    with Ledger(name, clock=clock):
        pass


def test_a_server_of_an_earlier_release_is_kept_out(path: Path, ledger: Ledger) -> None:
    """It asks for the lock file, which this one holds too."""
    handle = os.open(f"{path}.lock", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def fail_by_io_error(connection: sqlite3.Connection) -> None:
    """Fail as a write-ahead log does whose fsync gave EIO."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    raise error


def repair(ledger: Ledger) -> None:
    """Have the writer open the file anew."""
    with pytest.raises(StoreUnavailable):
        ledger._writer().run(fail_by_io_error)
    ledger.probe()


def start_again(ledger: Ledger) -> None:
    """Try to start a second engine."""
    with suppress(CloseoutError):
        Ledger(ledger.path, clock=HandClock()).open()


def read(ledger: Ledger) -> None:
    """Read as a command does that ends."""
    with closing(Views(ledger.path)) as views:
        views.deliveries()


OPERATIONS: list[Callable[[Ledger], object]] = [
    repair,
    start_again,
    read,
    lambda ledger: is_held(ledger.path),
    lambda ledger: Requests(ledger.path).add_request("pause", None, "ada", None),
    lambda ledger: Requests(ledger.path).server_running(),
    lambda ledger: ledger.prune(0.0),
    lambda ledger: ledger.probe(),
]


def test_nothing_in_this_process_drops_the_locks_of_sqlite(path: Path, ledger: Ledger) -> None:
    """Closing any descriptor of the file would: the next process to end then removes the log of a living server."""
    with process(SHARED, path) as asker:
        assert asker.stdin is not None
        assert asker.stdout is not None
        for operation in OPERATIONS:
            operation(ledger)
            print(file=asker.stdin, flush=True)
            assert asker.stdout.readline() == "locked\n", operation
