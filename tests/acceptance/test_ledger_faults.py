"""Faults of the disk under a running server: what fails is refused, and the server is whole again after it."""

from __future__ import annotations

import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from closeout.ledger.sqlite import Views
from tests.acceptance.test_cli_serve import Serving
from tests.acceptance.test_ledger_gone import answer, send
from tests.contract.local_harness import eventually

PAGE = 4096
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")


@contextmanager
def disk_errors(process: int) -> Iterator[None]:
    """Make every write of a process beyond a file's first 4 KB fail with EFBIG: SQLite calls it an I/O error."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """A server that has stored a delivery."""
    serving = Serving(tmp_path)
    try:
        assert send(serving, "g-before").status == 202
        yield serving
    finally:
        serving.end()


def test_a_command_after_an_io_error_leaves_the_servers_log_alone(server: Serving) -> None:
    """The server keeps SQLite's locks through the repair: a command that ends does not take itself for the last user."""
    with disk_errors(server.process.pid):
        assert send(server, "g-refused").status == 503
    for guid, command in (("g-1", "pause"), ("g-2", "resume")):
        assert server.cli(command).code == 0
        assert (server.folder / "closeout.db-wal").exists()
        assert send(server, guid).status == 202
    server.end()
    guids = {one.guid for one in Views(server.folder / "closeout.db").deliveries()}
    assert guids == {"g-before", "g-1", "g-2"}


def damage(db: Path, table: str) -> None:
    """Overwrite the first page of a table of a ledger that nobody has open."""
    with closing(sqlite3.connect(db)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    with db.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)


@pytest.mark.parametrize("table", ["run", "run_open"])
def test_a_start_on_a_damaged_ledger_says_so(server: Serving, table: str) -> None:
    """Whether it is met before the port is open or with the first look at open runs."""
    server.end()
    damage(server.folder / "closeout.db", table)
    arguments = ("serve", "--config", "closeout.yaml", "--port", "0")
    ended = server.cli(*arguments)
    assert ended.code == 4, ended
    assert "closeout.db is damaged (database disk image is malformed)" in ended.err
    assert "put a backup in its place" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("table", ["operation", "body"])
def test_a_server_that_meets_damage_is_not_ready(server: Serving, table: str) -> None:
    """Runs that cannot be taken up, or deliveries that cannot be stored, show in `/readyz` and in one line of the log."""
    server.end()
    damage(server.folder / "closeout.db", table)
    server.start()
    assert send(server, "g-main", "main").status == (202 if table == "operation" else 503)
    ready = eventually(lambda: (got := answer(f"{server.url}/readyz")).status == 503 and got)
    assert ready.json["error"] == "store-unavailable"
    assert str(server.folder) not in ready.json["message"]
    server.end()
    log = server.log()
    assert log.count("is damaged (database disk image is malformed)") <= 5, log
    assert "closeout.db is damaged" in log


def test_a_log_of_thousands_of_lines_is_printed_whole(server: Serving) -> None:
    """A part at a time, each line once and in order."""
    run = server.deliver("main")["runs"][0]
    server.until(run, "finished")
    with closing(sqlite3.connect(server.folder / "closeout.db", timeout=10)) as connection:
        number = connection.execute("SELECT number FROM run WHERE run_id = ?", (run,)).fetchone()[0]
        before = connection.execute("SELECT count(*) FROM log WHERE run = ?", (number,)).fetchone()[0]
        rows = ((number, 1.0, f"line {line}") for line in range(4_000 - before))
        connection.executemany("INSERT INTO log (run, at, text) VALUES (?, ?, ?)", rows)
        connection.commit()
    printed = server.cli("runs", "logs", run).out.splitlines()
    assert len(printed) == 4_000
    assert [line.partition(" line ")[2] for line in printed[before:]] == [
        str(line) for line in range(4_000 - before)
    ]
