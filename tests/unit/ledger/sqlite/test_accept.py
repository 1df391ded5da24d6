"""Deliveries and runs are stored together, once, and only a stored delivery is answered."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import BadDelivery, StoreUnavailable
from closeout.core.problems import Problem
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.checkpointer import COMMITS, EVERY, Checkpointer
from closeout.ledger.sqlite.deliveries import DeliveryWriter
from closeout.ledger.sqlite.writer import Job
from tests.contract.local_harness import eventually
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run


def together(ledger: Ledger, submit: Callable[[Callable[[Any], None]], int]) -> list[Any]:
    """Let everything that `submit` queues share one group; return the outcomes in the order they were settled."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(connection: Any) -> None:
        entered.set()
        go_on.wait(5)

    ledger._writer().submit(Job(hold))
    assert entered.wait(5)
    outcomes: list[Any] = []
    settled = threading.Semaphore(0)

    def done(result: Any) -> None:
        outcomes.append(result)
        settled.release()

    count = submit(done)
    go_on.set()
    for _ in range(count):
        assert settled.acquire(timeout=5)
    return outcomes


def test_a_group_with_a_duplicate_stores_the_others(ledger: Ledger, views: Views) -> None:
    """The original and its duplicate may share one commit; each caller gets its own answer, and its consequences."""
    ledger.problems.open_problem(Problem("tidy", "1/17/2026-03-14T00:00:00Z", "failure", "x", "x", 9.0))
    pull = {"repository": {"id": 1}, "pull_request": {"id": 17, "updated_at": "2026-03-15T00:00:00Z"}}
    reopened = delivery("g2", body=json.dumps(pull).encode())._replace(action="reopened")

    def submit(done: Callable[[Any], None]) -> int:
        ledger.accept_group([(delivery("g1"), [new_run("r1")], done)])
        ledger.accept_group([(delivery("g1"), [new_run("r1")], done)])
        ledger.accept_group([(reopened, [new_run("r2")], done)])
        return 3

    outcomes = together(ledger, submit)
    assert outcomes == [
        (1, ("r1",), False, ("r1-1",)),
        (1, ("r1",), True, ()),
        (2, ("r2",), False, ("r2-1",)),
    ]
    assert len(views.deliveries()) == 2
    assert ledger.problems.problems() == []


@pytest.mark.parametrize("count", [1, 2, 3, 7, 65])
def test_a_group_of_any_size_is_stored_at_once(ledger: Ledger, views: Views, count: int) -> None:
    """In a few statements. Row by row would be right too, but slow."""
    group = [
        ledger._acceptance(delivery(f"g{number}"), [new_run(f"r{number}")], print) for number in range(count)
    ]
    accepted = ledger._writer().run_with_deliveries(
        lambda connection, deliveries: deliveries.together(connection, group)
    )
    assert [one.started for one in accepted] == [(f"r{number}-1",) for number in range(count)]
    assert [one.runs for one in views.deliveries()] == [(f"r{number}",) for number in reversed(range(count))]


def test_a_bad_row_fails_only_its_own_request(ledger: Ledger, views: Views) -> None:
    """The database's refusal is one caller's error, with nothing of it stored; the others are stored."""
    twice = new_run("r2", definition='{"new": 1}')

    def submit(done: Callable[[Any], None]) -> int:
        ledger.accept_group([(delivery("g1"), [new_run("r1")], done)])
        ledger.accept_group([(delivery("g2"), [twice, twice], done)])
        ledger.accept_group([(delivery("g3"), [new_run("r3")], done)])
        return 3

    outcomes = together(ledger, submit)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Accepted", "StoreUnavailable", "Accepted"]
    assert [view.guid for view in views.deliveries()] == ["g3", "g1"]
    assert ledger.accept_wait(delivery("g4"), [twice]).started == ("r2-1",)
    assert ledger.load(3)[0].definition == twice.definition


@pytest.mark.parametrize("value", ["half a pair \ud800", 2**70], ids=["text", "number"])
def test_a_value_that_cannot_be_bound_fails_only_its_own_job(
    ledger: Ledger, views: Views, value: Any
) -> None:
    """A run with such a summary retries forever, and used to fail the deliveries in its group."""

    def submit(done: Callable[[Any], None]) -> int:
        ledger.accept_group([(delivery("g1"), [new_run("r1")], done)])
        ledger._writer().submit(Job(lambda connection: connection.execute("SELECT ?", (value,)), done))
        return 2

    outcomes = together(ledger, submit)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Accepted", "StoreUnavailable"]
    assert [view.guid for view in views.deliveries()] == ["g1"]


@pytest.mark.parametrize("field", ["event", "action", "repository", "guid", "hook", "origin"])
def test_a_text_that_cannot_be_stored_is_refused_before_it_is_queued(ledger: Ledger, field: str) -> None:
    """A lone surrogate would fail a whole batch, so it is refused earlier."""
    odd: dict[str, Any] = {field: "x\ud800"}
    with pytest.raises(BadDelivery):
        ledger.accept_wait(delivery()._replace(**odd), [])
    with pytest.raises(BadDelivery):
        ledger.accept_wait(delivery(), [new_run("r1", automation="\udfff")])


def test_a_callback_that_fails_does_not_end_the_writer(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """The next delivery is stored all the same, and the log has the bug."""

    def fails(result: Any) -> None:
        raise RuntimeError(result)

    ledger.accept_group([(delivery("g1"), [], fails)])
    assert ledger.accept_wait(delivery("g2"), []).delivery == 2
    assert caplog.messages == ["a callback of the ledger failed"]


def failing(name: str) -> Callable[..., None]:
    """Return work that fails with an error of SQLite."""
    error = sqlite3.OperationalError("no")
    error.sqlite_errorname = name

    def fail(*_: object) -> None:
        raise error

    return fail


def test_a_file_that_cannot_be_reopened_after_an_io_error_does_not_end_the_writer(
    ledger: Ledger, path: Path
) -> None:
    """The writer reopens the file after an I/O error; if that fails half-way, callers still get their answer."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE setting")
    writer = ledger._writer()
    with pytest.raises(StoreUnavailable):
        writer.run(failing("SQLITE_IOERR_FSYNC"))
    answers: list[object] = []
    for _ in range(2):
        writer.submit(Job(lambda connection: connection.execute("SELECT 1").fetchone(), answers.append))
    assert writer.close(5.0)
    assert answers == [(1,), (1,)]


def test_a_delivery_stored_before_an_io_error_keeps_its_number(ledger: Ledger, views: Views) -> None:
    """The error may come after the commit reached the file: a sender who gets an error sends it again."""
    first = ledger._acceptance(delivery("g1"), [new_run("r1")], print)

    def work(connection: sqlite3.Connection, deliveries: DeliveryWriter) -> None:
        deliveries.together(connection, [first])
        connection.execute("COMMIT")
        failing("SQLITE_IOERR_FSYNC")()

    with pytest.raises(StoreUnavailable):
        ledger._writer().run_with_deliveries(work)
    assert ledger.accept_wait(delivery("g2"), [new_run("r2")]).delivery == 2
    assert ledger.accept_wait(delivery("g1"), [new_run("r1")]) == (1, ("r1",), True, ())


def test_a_closed_ledger_accepts_nothing(path: Path, clock: HandClock) -> None:
    """Before opening and after closing, accepting is an error."""
    ledger = Ledger(path, clock=clock)
    with pytest.raises(StoreUnavailable):
        ledger.accept_wait(delivery(), [])
    ledger.open()
    writer = ledger._writer()
    ledger.close()
    with pytest.raises(StoreUnavailable, match="the ledger is not open"):
        ledger.accept_wait(delivery(), [])
    with pytest.raises(StoreUnavailable, match="the ledger is closed"):
        writer.submit()  # by a thread that took it just before


def test_what_was_queued_before_closing_is_stored(path: Path, clock: HandClock) -> None:
    """Closing commits first."""
    outcomes: list[Any] = []
    with Ledger(path, clock=clock) as ledger:
        for number in range(50):
            ledger.accept_group([(delivery(f"g{number}"), [], outcomes.append)])
    assert len(outcomes) == 50
    views = Views(path)
    assert len(views.deliveries()) == 50
    views.close()


def test_a_form_stays_as_signed_and_its_payload_can_be_read(ledger: Ledger, views: Views) -> None:
    """The raw body is kept; views and runs get the JSON inside."""
    body = b"payload=%7B%22number%22%3A+17%7D"
    ledger.accept_wait(delivery(body=body, form=True), [new_run("r1")])
    assert views.body(1) == b'{"number": 17}'
    assert ledger.load(1)[0].body == b'{"number": 17}'


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE body SET bytes = x'00ff00ff00ff'", "the body of its delivery is damaged"),
        ("DELETE FROM body", "its delivery no longer has a body"),
    ],
)
def test_a_lost_payload_is_reported_and_the_rest_can_be_read(
    ledger: Ledger, path: Path, sql: str, why: str
) -> None:
    """The run has its record and its definition, so it can end with a status."""
    ledger.accept_wait(delivery(), [new_run("r1", definition='{"a": 1}')])
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(sql)
        other.commit()
    execution, _ = ledger.load(1)
    assert (execution.body, execution.definition) == (b"", '{"a": 1}')
    assert why in str(execution.unreadable)


def test_equal_definitions_are_stored_once(ledger: Ledger) -> None:
    """A thousand runs of one automation share its text."""
    for number in range(5):
        ledger.accept_wait(delivery(f"g{number}"), [new_run(f"r{number}", definition='{"same": 1}')])
    assert ledger._connection()[0].execute("SELECT count(*) FROM definition").fetchone() == (1,)


def test_numbers_continue_after_the_ledger_was_closed(path: Path, clock: HandClock) -> None:
    """The writer's counters come from the file."""
    with Ledger(path, clock=clock) as ledger:
        ledger.accept_wait(delivery("g1"), [new_run("r1")])
    with Ledger(path, clock=clock) as ledger:
        assert ledger.accept_wait(delivery("g2"), [new_run("r2")]).delivery == 2
        assert [pending.number for pending in ledger.pending(0)] == [1, 2]


@pytest.mark.parametrize(("name", "anew"), [("SQLITE_IOERR_FSYNC", True), ("SQLITE_FULL", False)])
def test_the_file_is_reopened_only_after_an_io_error(ledger: Ledger, name: str, anew: bool) -> None:
    """SQLite may have lost its view of the log, and every later commit would build on it."""
    run = new_run("r1", definition='{"new": 1}')

    def submit(done: Callable[[Any], None]) -> int:
        ledger.accept_group([(delivery(), [run], done)])
        ledger._writer().submit(Job(failing(name), done))
        return 2

    before = ledger._writer()._connection
    assert [type(outcome).__name__ for outcome in together(ledger, submit)] == ["StoreUnavailable"] * 2
    ledger.probe()
    assert (ledger._writer()._connection is not before) is anew
    assert ledger.accept_wait(delivery(), [run]).delivery == 1
    assert ledger.load(1)[0].definition == run.definition


def test_a_file_removed_during_a_write_has_stored_nothing(ledger: Ledger, path: Path) -> None:
    """SQLite commits to a file that nobody can find."""
    with pytest.raises(StoreUnavailable, match="was removed or replaced; nothing was stored"):
        ledger._writer().run(lambda _connection: path.unlink())


@pytest.mark.parametrize("reading", [True, False])
def test_a_file_that_has_shown_damage_stays_unhealthy(ledger: Ledger, path: Path, reading: bool) -> None:
    """Whether a reader or the writer found it: the intact rest may still accept a probe."""
    ledger.save_mark("hook", "1", {"last": 7})
    ledger.probe()
    if reading:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE patrol_mark SET value = CAST(x'ff' AS TEXT)")
            other.commit()
        with pytest.raises(StoreUnavailable, match="is damaged"):
            ledger.marks("hook")
    else:
        with pytest.raises(StoreUnavailable, match="is damaged"):
            ledger._writer().run(failing("SQLITE_CORRUPT"))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        ledger.probe()


def test_a_checkpoint_is_due_after_many_rows_and_then_after_many_commits(path: Path) -> None:
    """Commits alone do not count while the log is short; a lower count means a new connection."""

    def due(*totals: int) -> list[bool]:
        found = []
        for total in totals:
            checkpointer.wrote(total)
            found.append(checkpointer._due.is_set())
            checkpointer._due.clear()
        return found

    checkpointer = Checkpointer(path)
    assert not any(due(*range(2 * COMMITS)))
    assert due(EVERY - 1, EVERY, EVERY + 1) == [False, True, False]
    assert due(*[EVERY + 1] * (COMMITS - 1)) == [False] * (COMMITS - 2) + [True]
    assert due(0) == [True]


def test_a_checkpoint_is_made_once_each_time_it_is_due(path: Path, ledger: Ledger) -> None:
    """Then the thread waits; it ends before the ledger is closed, whose log would otherwise stay."""
    checkpointer = Checkpointer(path)
    checkpointer.start()
    checkpointer.wrote(EVERY)
    eventually(lambda: not checkpointer._due.is_set())
    checkpointer.close()
    assert not checkpointer._thread.is_alive()


def test_no_thread_of_a_ledger_keeps_a_process_from_ending(ledger: Ledger) -> None:
    """A command that fails before it has closed the ledger exits all the same; closing leaves no thread."""
    assert daemons() == {"ledger-writer": True, "ledger-checkpointer": True}
    ledger.close()
    assert daemons() == {}


def daemons() -> dict[str, bool]:
    """Return the threads of ledgers in this process, and whether it may end before them."""
    return {
        thread.name: thread.daemon for thread in threading.enumerate() if thread.name.startswith("ledger-")
    }
