"""Reading from many threads while the ledger is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.cursors import Start
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.lists import run_rows
from closeout.ports import EVERY_RUN, Ending
from tests.unit.ledger.sqlite.conftest import delivery, new_run


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


@pytest.mark.parametrize("start", [Start(), Start(0, newer=True)], ids=["older", "newer"])
def test_a_run_that_finishes_while_a_list_is_read_is_listed_once(
    ledger: Ledger, path: Path, start: Start
) -> None:
    """The list reads open and finished runs one after the other, and in between a run can be in both."""
    ledger.accept_wait(delivery(), [new_run("r1"), new_run("r2", "other")])

    class Interrupted(Views):
        def _rows(self, name: str, values: Any) -> Iterator[tuple[Any, ...]]:
            if name.startswith("shown_runs"):
                ledger.finish(1, Ending("success", "done"), 1_001.0)
            yield from super()._rows(name, values)

        def listed(self) -> list[tuple[str, str]]:
            return [(row[1], row[4]) for row in run_rows(self._rows, EVERY_RUN, start)]

    views = Interrupted(path)
    assert sorted(views.listed()) == [("r1", "finished"), ("r2", "queued")]
    views.close()
