"""Reading from many threads while the ledger is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import EVERY_RUN, Ending, Operation
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run


def test_a_connection_is_not_closed_while_a_thread_reads(ledger: Ledger, views: Views) -> None:
    """SQLite would read freed memory and crash the process: a server that stops has readers."""
    ledger.accept_wait(delivery(), [])
    over = threading.Event()
    read: list[int] = []

    def go_on() -> None:
        while not over.is_set():
            try:
                read.append(len(views.deliveries()) + len(views.runs()))
            except StoreUnavailable:
                continue  # closed between two statements

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        time.sleep(0.001)
        views.close()
    over.set()
    for thread in threads:
        thread.join()
    assert set(read) == {1}


def test_unfinished_reads_hold_nothing(ledger: Ledger, views: Views) -> None:
    """The garbage collector may free them in any thread, and a stop must not wait for them."""
    ledger.accept_wait(delivery(), [])
    left: list[object] = []

    def begin() -> None:
        rows = views._rows("every_delivery_older", {"low": 0, "high": 9})
        assert next(iter(rows)) == (1,)
        left.append(rows)

    for go in (begin, left.clear, begin, views.close):
        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert len(views.deliveries()) == 1


@pytest.mark.parametrize("cursor", [None, "newer-0"])
def test_a_run_that_finishes_while_a_list_is_read_is_listed_once(
    ledger: Ledger, path: Path, cursor: str | None
) -> None:
    """The list reads open and finished runs one after the other, and without a snapshot this one would be both."""
    ledger.accept_wait(delivery(), [new_run("r1"), new_run("r2", "other")])

    class Interrupted(Views):
        def _rows(self, name: str, values: Any) -> Iterator[tuple[Any, ...]]:
            if name.startswith("shown_runs"):
                ledger.finish(1, Ending("success", "done"), 1_001.0)
            yield from super()._rows(name, values)

    views = Interrupted(path)
    listed = views.run_page(EVERY_RUN, cursor, 10).rows
    assert sorted((run.id, run.state) for run in listed) == [("r1", "queued"), ("r2", "queued")]
    views.close()


def test_a_run_that_gets_its_next_attempt_while_a_list_is_read_is_listed(ledger: Ledger, path: Path) -> None:
    """The list shows each run by its latest attempt, and numbers are read before the runs."""
    ledger.accept_wait(delivery(), [new_run("r1")])
    ledger.finish(1, Ending("failure", "left"), 1_001.0)

    class Interrupted(Views):
        def _rows(self, name: str, values: Any) -> Iterator[tuple[Any, ...]]:
            if name == "runs":
                ledger.attempts.new_attempt("r1", "{}", "ada", key=None, queue_timeout=60.0)
            yield from super()._rows(name, values)

    views = Interrupted(path)
    assert [run.attempt for run in views.runs()] == [1]
    later = Views(path)
    assert [run.attempt for run in later.runs()] == [2]
    views.close()
    later.close()


@pytest.mark.parametrize("statement", ["load_operations", "definition"])
def test_a_run_that_is_pruned_while_it_is_read_is_shown_whole(
    ledger: Ledger, clock: HandClock, path: Path, statement: str
) -> None:
    """Half of it would be a page that fails, or steps that look as if they had been skipped."""
    definition = '{"steps": [{"id": "stack"}]}'
    ledger.accept_wait(delivery(), [new_run("r1", definition=definition)])
    ended = Operation("stack/end", 1, "record", "ok", '{"state": "success"}', 1, None, 1_000.0, 1_001.0)
    ledger.save(1, ended)
    ledger.finish(1, Ending("success", "done"), 1_001.0)
    clock.time += 90 * 86_400

    class Interrupted(Views):
        def _read(self, name: str, values: Any) -> list[tuple[Any, ...]]:
            if name == statement:
                ledger.prune(86_400.0)
            return super()._read(name, values)

    views = Interrupted(path)
    run = views.run("r1")
    assert run is not None
    assert [step.state for step in run.steps] == ["success"]
    assert views.run("r1") is None
    views.close()


def test_a_read_that_is_closed_in_its_middle_says_so_or_ends(ledger: Ledger, path: Path) -> None:
    """A server that stops closes the connections of its readers."""
    ledger.accept_wait(delivery(), [new_run("r1")])

    class Interrupted(Views):
        def _read(self, name: str, values: Any) -> list[tuple[Any, ...]]:
            if name == "load_operations":
                self.close()
            return super()._read(name, values)

    views = Interrupted(path)
    for _ in range(2):
        run = views.run("r1")
        assert run is not None
        assert run.state == "queued"
    views.close()
