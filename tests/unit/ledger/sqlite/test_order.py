"""Which writes go first, and which wait: a delivery never waits for a flood of log lines."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.lines import FULL, MOST_LINES, JournalLines
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.ledger import LINES_WAITING
from closeout.ledger.sqlite.writer import MOST_OTHERS, Job, into
from closeout.ports import Ending
from tests.unit.ledger.sqlite.conftest import delivery, new_run

RUN = "r" * 26


@pytest.fixture
def held(ledger: Ledger) -> Iterator[Callable[[], None]]:
    """A writer that is held in a transaction until this is called."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    ledger._writer().submit(Job(hold))
    assert begun.wait(10)
    yield go_on.set
    go_on.set()


def test_deliveries_overtake_what_was_queued_earlier(ledger: Ledger, held: Callable[[], None]) -> None:
    """Each waits for one small group at most, and the other jobs keep their order."""
    done: list[Any] = []
    count = 5 * MOST_OTHERS
    for number in range(count):
        ledger._writer().submit(Job(lambda _connection: None, partial(_append, done, number)))
    futures = [Future[Any]() for _ in range(3)]
    for number, future in enumerate(futures):
        ledger.accept_group(
            [(delivery(f"g{number}"), [], partial(_append, done, "delivery", then=into(future)))]
        )
    held()
    for future in futures:
        assert future.result().delivery
    ledger.probe()
    assert max(at for at, what in enumerate(done) if what == "delivery") < MOST_OTHERS + 3
    assert [what for what in done if what != "delivery"] == list(range(count))


class PausedQueue(SimpleQueue[Any]):
    """A queue whose first job arrives late: its thread pauses on the way."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add the item."""
        if item is not None:
            self.reached.set()
            assert self.go_on.wait(10)
        super().put(item, block, timeout)


def test_a_job_that_is_queued_while_the_ledger_closes_is_answered(ledger: Ledger) -> None:
    """Otherwise its thread would wait forever."""
    writer, answers, queue = ledger._writer(), list[Any](), PausedQueue()
    before, writer._queue = writer._queue, queue
    before.put(())  # the writer's thread waits here, and looks at the other queue next
    job = Job(lambda _connection: "done", answers.append)
    threads = [
        threading.Thread(target=writer.submit, args=(job,)),
        threading.Thread(target=writer.close, args=(10,)),
    ]
    threads[0].start()
    assert queue.reached.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    queue.go_on.set()
    for thread in threads:
        thread.join(10)
    assert answers == ["done"]


def test_the_group_that_a_delivery_may_wait_for_is_small(ledger: Ledger, held: Callable[[], None]) -> None:
    """Jobs settle after their commit, so what was worked off between two settlements is one group."""
    groups: list[int] = [0]

    def work(_connection: sqlite3.Connection) -> None:
        if groups[-1] < 0:  # something was settled: a new group begins
            groups.append(0)
        groups[-1] += 1

    def settle(_result: object) -> None:
        groups[-1] = -abs(groups[-1])

    for _ in range(1_000):
        ledger._writer().submit(Job(work, settle))
    held()
    ledger.probe()
    assert sum(groups) == -1_000
    assert min(groups) >= -256


def _append(done: list[Any], what: Any, result: Any, then: Callable[[Any], None] = lambda _: None) -> None:
    done.append(what)
    then(result)


def test_a_runs_end_is_stored_after_its_log(ledger: Ledger, views: Views) -> None:
    """A reader of the log stops at the end, so nothing may come after it."""
    ledger.accept_wait(delivery(), [new_run(RUN)])
    for number in range(3 * MOST_OTHERS):
        ledger.write(f"{RUN}-1", None, f"line {number}")
    ledger.finish(1, Ending("success", "fine"), 1_000.0)
    assert len(views.logs(RUN)) == 3 * MOST_OTHERS


def test_lines_written_faster_than_stored_make_the_script_wait(
    ledger: Ledger, views: Views, held: Callable[[], None]
) -> None:
    """A flood stays in the script's pipe and not in memory."""
    ledger.accept_group([(delivery(), [new_run(RUN)], lambda _result: None)])
    written: list[int] = []

    def flood() -> None:
        for number in range(LINES_WAITING + 50):
            ledger.write(f"{RUN}-1", None, f"line {number}")
            written.append(number)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join(0.2)
    assert len(written) <= LINES_WAITING
    held()
    thread.join(10)
    ledger.probe()
    assert [line.text for line in views.logs(RUN)] == [
        f"line {number}" for number in range(LINES_WAITING + 50)
    ]


def test_refused_lines_free_their_room(ledger: Ledger) -> None:
    """A closed ledger blocks no writer for good."""
    ledger.close()
    for _ in range(LINES_WAITING + 1):
        with pytest.raises(StoreUnavailable):
            ledger.write(f"{RUN}-1", None, "line")


def test_the_lines_of_a_run_are_limited() -> None:
    """However short they are; the log says so, and other runs are not affected."""
    lines = JournalLines(str)
    kept = [lines.line("a-1", "x") for _ in range(MOST_LINES + 10)]
    assert kept[:MOST_LINES] == ["x"] * MOST_LINES
    assert kept[MOST_LINES:] == [FULL] + [None] * 9
    assert lines.line("b-1", "x") == "x"


@pytest.mark.parametrize(
    "name",
    [
        "finished_teardowns",
        "later_runs",
        "earlier_runs",
        "earlier_attempts",
        "teardowns",
    ],
)
def test_a_lookup_of_one_closing_scans_no_table(views: Views, name: str) -> None:
    """A ledger with a million runs must answer the guard, and a run that found nothing, at once."""
    from closeout.ledger.sqlite.sql import READ

    values = {"run_id": RUN, "attempt": 1, "since": 9.0, "repository": "acme/shop", "number": 17}
    plan = views._connection()[0].execute(f"EXPLAIN QUERY PLAN {READ[name]}", values).fetchall()
    assert not [row[3] for row in plan if row[3].startswith("SCAN") and "run_open" not in row[3]], plan


def test_a_window_reads_no_more_than_it_shows(ledger: Ledger, views: Views) -> None:
    """Both statements use a range of the index over runs."""
    from closeout.ledger.sqlite.sql import READ

    values = {"run_id": RUN, "attempt": 1, "after": 0, "before": 9, "search": "", "limit": 2}
    for name in ("logs", "logs_before", "count_logs"):
        plan = views._connection()[0].execute(f"EXPLAIN QUERY PLAN {READ[name]}", values).fetchall()
        assert any("SEARCH l USING" in row[3] and "log_run (run=? AND" in row[3] for row in plan), (
            name,
            plan,
        )
        assert not any("TEMP B-TREE" in row[3] for row in plan if "ORDER BY attempt" not in row[3]), (
            name,
            plan,
        )
