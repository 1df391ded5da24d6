"""A ledger from before lists had an index: its finished runs are found and counted like later ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.connection import APPLICATION_ID, migrations
from closeout.ports import DayTally, RunFilter
from closeout.testing.durable import FakeClock

BEFORE = 7
DAY_OF_RUNS = 1_773_480_413.0
"""14 March 2026."""


def test_earlier_finished_runs_are_found_and_counted(tmp_path: Path) -> None:
    """By words, automation, repository and verdict; their day counts the closing once, and the results of its runs."""
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for number, script in migrations():
        if number <= BEFORE:
            connection.executescript(script)
    connection.execute("INSERT INTO definition (id, text) VALUES (1, '{}')")
    connection.execute(
        "INSERT INTO delivery (id, hook, guid, event, action, repository, number, form, size, received_at, origin, closing)"
        " VALUES (1, 'h', 'g', 'pull_request', 'closed', 'acme/shop', 17, 0, 2, ?, 'closed-list', '1/2/x')",
        (DAY_OF_RUNS,),
    )
    ended = (
        ("clean", "success", "deleted stack preview-17"),
        ("image", "failure", "the image is left"),
        ("dry", "success", "dry run: would delete 1"),
        ("tell", "skipped", "its `if` is false"),
    )
    for number, (automation, verdict, summary) in enumerate(ended, start=1):
        connection.execute(
            "INSERT INTO run (number, run_id, attempt, automation, definition, delivery, guid, queue_timeout, accepted_at,"
            " state, verdict, summary, finished_at) VALUES (?, ?, 1, ?, 1, 1, 'g', 60, ?, 'finished', ?, ?, ?)",
            (number, f"r{number}", automation, DAY_OF_RUNS, verdict, summary, DAY_OF_RUNS),
        )
    connection.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {BEFORE}; PRAGMA journal_mode = WAL"
    )
    connection.close()
    Ledger(path, clock=FakeClock()).open().close()
    views = Views(path)
    assert [run.id for run in views.runs(wanted=RunFilter(search="stack preview-17"))] == ["r1"]
    assert [run.id for run in views.runs(wanted=RunFilter(repository="acme/shop", verdict="success"))] == [
        "r3",
        "r1",
    ]
    assert views.days(0.0) == [DayTally("2026-03-14", closings=1, torn_down=1, left=1, recovered=1)]
    views.close()
