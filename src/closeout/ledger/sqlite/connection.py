"""Open a ledger file: set pragmas, run migrations, and reject files that are not a ledger of this version.

Each error is a sentence with the path and the fix.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from closeout.core.errors import LedgerError, StoreUnavailable
from closeout.ledger.sqlite.checkpointer import LIMIT
from closeout.ledger.sqlite.lock import refuse_second_name
from closeout.ledger.sqlite.sql import FOLDER

APPLICATION_ID = 0x636C6F73
"""`clos` in the file's header, which marks a SQLite database as a ledger."""

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


def migrations() -> list[tuple[int, str]]:
    """Return the numbered migrations in order: (version it leads to, script)."""
    return [
        (int(path.name[:4]), path.read_text("utf-8"))
        for path in sorted((FOLDER / "migrations").glob("*.sql"))
    ]


def newest_version() -> int:
    """Return the schema version that this program works with."""
    return max(int(path.name[:4]) for path in (FOLDER / "migrations").glob("*.sql"))


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the ledger for its one writer, migrated to the newest schema. Raises `LedgerError`.

    Only SQLite may open and close the file in this process (see `lock`): `FileLock` has created it.
    """
    with _opening(path, str(path)) as connection:
        check_sqlite(connection)
        version = _version(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LIMIT}").fetchone()
        _migrate(connection, version)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the ledger for reading only, which any number of processes may do. Raises `LedgerError`."""
    if not path.exists():
        raise LedgerError(
            f"there is no ledger at {path}; `closeout serve` creates it, or name another with --db"
        )
    refuse_second_name(path)
    with _opening(path, f"file:{quote(str(path.absolute()))}?mode=ro", uri=True) as connection:
        version = _version(connection, path)
        if version != newest_version():
            raise LedgerError(
                f"the ledger {path} has schema {version} and this closeout reads {newest_version()}; start"
                " `closeout serve` once with this version to bring it up to date"
            )
        connection.execute("PRAGMA cache_size = -512")
    return connection


def check_file(path: Path) -> None:
    """Read the whole file. Raises `LedgerError` if SQLite finds damage in it."""
    with _explained(path), closing(open_reader(path)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise LedgerError(_damaged(path, " ".join(found.split())))


@contextmanager
def _opening(path: Path, database: str, *, uri: bool = False) -> Iterator[sqlite3.Connection]:
    """Yield a connection, and close it after an error. Raises an error of SQLite as `LedgerError`."""
    with _explained(path):
        connection = sqlite3.connect(
            database, uri=uri, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            yield connection
        except BaseException:
            connection.close()
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(path, error) from error


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise LedgerError(
            f"{path} is a SQLite database, but not a ledger of closeout; name another with --db"
        )
    if version > newest_version():
        raise LedgerError(
            f"the ledger {path} was written by a newer closeout (schema {version}, this one knows"
            f" {newest_version()}); install that version again, or name another ledger with --db"
        )
    return version


def check_sqlite(
    connection: sqlite3.Connection, version: tuple[int, ...] = sqlite3.sqlite_version_info
) -> None:
    """Raise `LedgerError` if this Python's SQLite is too old, or was built without FTS5."""
    if version < OLDEST_SQLITE:
        raise LedgerError(
            f"closeout needs SQLite 3.37 or newer, and this Python has {'.'.join(map(str, version))};"
            " use a Python that was built with a newer one"
        )
    if not connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone():
        raise LedgerError(
            "closeout needs SQLite with FTS5, and this Python's has none; use a Python that was built with it"
        )


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the schema up to date: each migration in its own transaction, with its new version."""
    for number, script in migrations():
        if number > version:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {script};"
                f" PRAGMA user_version = {number}; COMMIT"
            )


def unreadable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return the error for a statement that failed."""
    if is_damaged(error):
        return StoreUnavailable(_damaged(path, error))
    return StoreUnavailable(f"the ledger {path} cannot be read now ({error})")


def unwritable(path: Path, error: Exception) -> StoreUnavailable:
    """Return the error for a group that was not stored."""
    if isinstance(error, sqlite3.Error) and is_damaged(error):
        return StoreUnavailable(f"{_damaged(path, error)}. Nothing was stored")
    return StoreUnavailable(f"the ledger {path} cannot be written now ({error}); nothing was stored")


def unusable(path: Path, error: sqlite3.Error) -> LedgerError:
    """Return the error for a ledger that cannot be opened."""
    if _code(error) == "SQLITE_NOTADB":
        return LedgerError(
            f"{path} is not a ledger of closeout ({error}); name another with --db, or restore it"
        )
    if is_damaged(error):
        return LedgerError(_damaged(path, error))
    if _code(error).startswith("SQLITE_BUSY"):
        return LedgerError(
            f"the ledger {path} cannot be opened ({error}): another program holds it, or it is on a network file"
            " system; close that program, and keep the ledger on a local disk"
        )
    return LedgerError(
        f"the ledger {path} cannot be opened ({error}); see that this user may write the file and its folder, and"
        " that the disk has space"
    )


def is_damaged(error: sqlite3.Error) -> bool:
    """Return whether the file contains data that neither SQLite nor closeout can have written."""
    # Python's own error for a text that is not UTF-8 has no SQLite code.
    return _code(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "decode to UTF-8" in str(error)


def _code(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


def _damaged(path: Path, error: sqlite3.Error | str) -> str:
    said = str(error).partition(" with text ")[0]  # text of a payload or a log follows
    return (
        f"the ledger {path} is damaged ({said}); stop the server if it runs, keep a copy of the file, and put a backup"
        " in its place (how-to/upgrade-and-backup in the documentation)"
    )
