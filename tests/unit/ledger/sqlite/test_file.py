"""A fault of the file is reported in a message with the path and the fix."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from closeout.core.errors import LedgerError, StoreUnavailable
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ledger.sqlite.checkpointer import LIMIT
from closeout.ledger.sqlite.connection import (
    check_sqlite,
    migrations,
    newest_version,
    open_reader,
    unusable,
)
from closeout.ledger.sqlite.lock import is_held
from closeout.ledger.sqlite.sql import FOLDER, Rows, named
from tests.unit.ledger.sqlite.conftest import HandClock, delivery


def schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return names and statements of a schema, without comments and spacing."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).fetchall()
    return [
        (name, "".join("".join(line.split("--")[0] for line in sql.splitlines()).split()))
        for name, sql in rows
    ]


def test_migrations_lead_to_the_documented_schema(path: Path, ledger: Ledger) -> None:
    """Readers trust `schema.sql`; the migrations are what ran."""
    with closing(sqlite3.connect(":memory:")) as expected:
        expected.executescript((FOLDER / "schema.sql").read_text())
        with closing(open_reader(path)) as migrated:
            assert schema(migrated) == schema(expected)


def test_migrations_are_numbered_without_gaps() -> None:
    """The number is the schema's version."""
    assert [number for number, _ in migrations()] == list(range(1, newest_version() + 1))


@pytest.mark.parametrize("file", ["queries.sql", "views.sql"])
def test_every_statement_can_be_prepared(file: str) -> None:
    """A statement with an unknown column fails here and not in a run."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((FOLDER / "schema.sql").read_text())
        for name, statement in named(file).items():
            try:
                connection.execute(f"EXPLAIN {statement}", _anything(statement))
            except sqlite3.Error as error:
                pytest.fail(f"{file}: {name}: {error}")


def _anything(statement: str) -> dict[str, None] | list[None]:
    names = re.findall(r":([a-z_]+)", statement)
    if names:
        return dict.fromkeys(names)
    return [None] * statement.count("?")


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
def test_rows_are_cut_without_loss(count: int) -> None:
    """Every row is in exactly one statement."""
    cuts = Rows("INSERT INTO t (a, b) VALUES (?, ?)").cut(count)
    assert [row for _, first, end in cuts for row in range(first, end)] == list(range(count))
    assert all(statement.count("?") == 2 * (end - first) for statement, first, end in cuts)


def test_the_file_is_for_its_owner_alone(path: Path, ledger: Ledger) -> None:
    """It contains payloads of private repositories, and so does its log."""
    ledger.accept_wait(delivery(), [])
    files = list(path.parent.glob("ledger.db*"))
    assert len(files) >= 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_commits_are_synced_to_disk(ledger: Ledger) -> None:
    """synchronous=FULL on a write-ahead log: an answered delivery survives a power cut."""
    assert ledger._writer().run(lambda c: c.execute("PRAGMA synchronous").fetchone()[0]) == 2
    assert ledger._writer().run(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"


def test_the_writer_copies_the_log_only_when_it_is_long(ledger: Ledger) -> None:
    """The checkpointer's thread does it before, so that no answer waits for it."""
    assert ledger._writer().run(lambda c: c.execute("PRAGMA wal_autocheckpoint").fetchone()[0]) == LIMIT


def test_a_missing_folder_is_named(tmp_path: Path, clock: HandClock) -> None:
    """It is not created, since it is most likely a typo."""
    with pytest.raises(LedgerError, match="no-such of the ledger does not exist; create it"):
        Ledger(tmp_path / "no-such" / "ledger.db", clock=clock).open()


def test_a_file_that_is_not_a_database_is_left_alone(tmp_path: Path, clock: HandClock) -> None:
    """Its bytes are the same afterwards."""
    file = tmp_path / "notes.txt"
    file.write_bytes(b"my notes\n" * 200)
    with pytest.raises(LedgerError, match=r"notes\.txt is not a ledger"):
        Ledger(file, clock=clock).open()
    assert file.read_bytes() == b"my notes\n" * 200


def test_another_programs_database_is_left_alone(tmp_path: Path, clock: HandClock) -> None:
    """A SQLite file with other tables is not migrated into a ledger."""
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customer (id)")
    with pytest.raises(LedgerError, match="not a ledger of closeout"):
        Ledger(file, clock=clock).open()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("customer",)]


def test_a_ledger_of_a_newer_closeout_is_left_alone(path: Path, clock: HandClock) -> None:
    """The message has both versions, for the writer and for readers."""
    with Ledger(path, clock=clock):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="newer closeout \\(schema 99"):
        Ledger(path, clock=clock).open()
    assert not is_held(path), "a start that failed leaves it to the next one"
    with pytest.raises(LedgerError, match="newer closeout"):
        Views(path).runs()
    with pytest.raises(LedgerError, match="newer closeout"):
        Requests(path).add_request("pause", None, "ada", None)


def test_reading_a_missing_ledger_does_not_create_it(path: Path) -> None:
    """The message says what creates it."""
    with pytest.raises(LedgerError, match="there is no ledger at"):
        Views(path).runs()
    assert not path.exists()


def test_a_ledger_that_does_not_answer_a_request_says_so(path: Path, ledger: Ledger) -> None:
    """Neither sending the request nor waiting for it is reported as a bug."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE request")
    with pytest.raises(StoreUnavailable, match=r"cannot be written now .*; nothing was stored"):
        Requests(path).add_request("pause", None, "ada", None)
    with pytest.raises(StoreUnavailable, match="cannot be read now"):
        Requests(path).outcome(1)


def test_a_ledger_without_a_server_can_be_read(path: Path, clock: HandClock) -> None:
    """After a clean stop there is no log; views work all the same."""
    with Ledger(path, clock=clock) as ledger:
        ledger.accept_wait(delivery(), [])
    assert not path.with_name("ledger.db-wal").exists()
    views = Views(path)
    assert len(views.deliveries()) == 1
    views.close()


def test_a_few_commits_are_moved_out_of_a_long_log(path: Path, clock: HandClock) -> None:
    """Once the log's file is long enough: after far fewer rows than under load."""
    with Ledger(path, clock=clock) as ledger:
        for number in range(160):
            ledger.accept_wait(delivery(f"f{number}"), [])
        before = path.stat().st_size
        for number in range(30):
            ledger.accept_wait(delivery(f"g{number}", body=os.urandom(20_000)), [])
        deadline = time.monotonic() + 10
        while path.stat().st_size < before + 25 * 10_000:
            assert time.monotonic() < deadline, "nothing came into the database file"
            time.sleep(0.01)


def test_a_ledger_of_an_older_schema_is_read_after_a_server_has_migrated_it(
    path: Path, ledger: Ledger
) -> None:
    """A reader changes nothing, and says that `serve` does."""
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newest_version() - 1}")
    with pytest.raises(
        LedgerError, match="start `closeout serve` once with this version to bring it up to date"
    ) as refused:
        open_reader(path)
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        # It asks for the file to itself, so nothing holds it although the error with its frames is still there.
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",), refused


def without_modules(connection: sqlite3.Connection) -> None:
    """Let SQLite report that it was built without any module."""
    connection.set_authorizer(
        lambda _action, table, *_rest: (
            sqlite3.SQLITE_IGNORE if table == "pragma_module_list" else sqlite3.SQLITE_OK
        )
    )


@pytest.mark.parametrize(
    ("version", "prepare", "said"),
    [
        ((3, 36, 9), lambda _: None, "needs SQLite 3.37 or newer, and this Python has 3.36.9; use a Python"),
        ((3, 37, 0), without_modules, "needs SQLite with FTS5, and this Python's has none; use a Python"),
        ((3, 37, 0), lambda _: None, None),
    ],
)
def test_a_python_with_an_unsuitable_sqlite_is_refused(
    version: tuple[int, ...], prepare: Callable[[sqlite3.Connection], None], said: str | None
) -> None:
    """With what it lacks: an old SQLite has no STRICT tables, and a build may have no full-text search."""
    with closing(sqlite3.connect(":memory:")) as connection:
        prepare(connection)
        if said is None:
            check_sqlite(connection, version)
            return
        with pytest.raises(LedgerError, match=re.escape(said)):
            check_sqlite(connection, version)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SQLITE_NOTADB", "x.db is not a ledger of closeout (disk I/O)"),
        ("SQLITE_CORRUPT_INDEX", "the ledger x.db is damaged (disk I/O)"),
        ("SQLITE_BUSY_RECOVERY", "another program holds it, or it is on a network file system"),
        ("SQLITE_CANTOPEN", "see that this user may write the file and its folder"),
        (None, "see that this user may write the file and its folder"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_what_to_do(name: str | None, said: str) -> None:
    """By SQLite's own name of the error."""
    error = sqlite3.OperationalError("disk I/O")
    if name is not None:
        error.sqlite_errorname = name
    assert said in unusable(Path("x.db"), error).message


def test_a_damaged_text_is_not_repeated() -> None:
    """It may be part of a payload or a log."""
    error = sqlite3.OperationalError("Could not decode to UTF-8 column 'line' with text 'hunter2\udcff'")
    said = "the ledger x.db is damaged (Could not decode to UTF-8 column 'line'); stop the server"
    assert unusable(Path("x.db"), error).message.startswith(said)
