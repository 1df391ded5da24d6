"""A ledger file with damaged pages: every command reports the path and the remedy, and none calls it a bug."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from closeout.cli import exits
from closeout.cli.main import main
from closeout.ledger.sqlite import Ledger
from closeout.ports import Ending, Operation
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

PAGE = 4096
RUNS = [f"{'abcdefgh'[number % 8] * 25}{'abcdefgh'[number // 8]}" for number in range(24)]
COMMANDS = (
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "show", RUNS[3]),
    ("runs", "logs", RUNS[3]),
    ("runs", "cancel", RUNS[4]),
    ("deliveries", "list"),
    ("deliveries", "show", "5"),
    ("pause",),
    ("prune", "--older-than", "1d"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with runs, finished and open, and logs."""
    path = tmp_path_factory.mktemp("whole") / "ledger.db"
    clock = HandClock()
    definition = json.dumps({"steps": [{"id": "s1", "uses": "shell", "with": {}}]})
    with Ledger(path, clock=clock) as ledger:
        for number, run in enumerate(RUNS, 1):
            body = json.dumps({"number": number, "pad": random.Random(number).randbytes(800).hex()}).encode()
            ledger.accept_wait(delivery(f"g{number}", body=body), [new_run(run, definition=definition)])
            for step in range(3):
                result = json.dumps({"v": "x" * 200})
                ledger.save(
                    number, Operation(f"s1/op{step}", step + 1, "record", "ok", result, 1, None, 1.0, 2.0)
                )
                ledger.write(f"{run}-1", "s1", "line " * 20)
            if number % 2:
                ledger.finish(number, Ending("success", "fine"), clock.now())
    return path


def overwritten(whole: Path, path: Path, chance: random.Random) -> None:
    """Copy a ledger and overwrite one to three of its pages with noise, zeros, or another page."""
    data = bytearray(whole.read_bytes())
    for _ in range(chance.randint(1, 3)):
        page, other = (chance.randrange(1, len(data) // PAGE) * PAGE for _ in range(2))
        data[page : page + PAGE] = chance.choice(
            [chance.randbytes(PAGE), bytes(PAGE), data[other : other + PAGE]]
        )
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(8))
def test_no_command_reports_damage_as_a_bug(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    """Each works on what is intact, or ends with 4 and says which file is damaged and what to do."""
    path = tmp_path / "ledger.db"
    chance = random.Random(seed)
    for command in COMMANDS:
        overwritten(whole, path, chance)
        code = main([*command, "--db", str(path)])
        said = capfd.readouterr().err
        assert code in {exits.OK, exits.FAILED, exits.UNAVAILABLE}, (command, said)
        if code == exits.UNAVAILABLE:
            assert f"the ledger {path} is damaged (" in said
            assert "put a backup in its place" in said
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("command", "part"),
    [
        *product([("runs", "list"), ("prune", "--older-than", "1d")], ["run", "delivery", "sqlite_schema"]),
        (("pause",), "sqlite_schema"),  # it reads neither of the tables
    ],
)
def test_damage_in_a_table_is_reported(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], part: str, command: tuple[str, ...]
) -> None:
    """A command that has to read it ends with 4."""
    path = tmp_path / "ledger.db"
    damage(whole, path, part)
    assert main([*command, "--db", str(path)]) == exits.UNAVAILABLE
    assert f"the ledger {path} is damaged (" in capfd.readouterr().err


def test_values_of_a_wrong_type_are_damage(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """SQLite returns a cell of another type than its column; a check of the file finds it."""
    path = tmp_path / "ledger.db"
    path.write_bytes(whole.read_bytes())
    for change in (
        "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'run'",
        "UPDATE run SET accepted_at = 'noon' WHERE number = 5",
        "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'run'",
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(change)
            connection.commit()
    assert main(["runs", "list", "--db", str(path)]) == exits.UNAVAILABLE
    assert f"the ledger {path} is damaged (" in capfd.readouterr().err


def damage(whole: Path, path: Path, part: str) -> None:
    """Copy a ledger with the first page of a table overwritten."""
    data = bytearray(whole.read_bytes())
    with closing(sqlite3.connect(whole)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    at = (roots.get(part, 1) - 1) * PAGE
    at += 100 if at == 0 else 0  # the header stays: without it the file is not a database
    end = at - at % PAGE + PAGE
    data[at:end] = b"\xff" * (end - at)
    path.write_bytes(data)
