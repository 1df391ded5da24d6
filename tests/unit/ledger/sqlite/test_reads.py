"""Reading from many threads while the ledger is closed."""

from __future__ import annotations

import threading
import time

from closeout.core.errors import StoreUnavailable
from closeout.ledger.sqlite import Ledger, Views
from tests.unit.ledger.sqlite.conftest import delivery


def test_a_connection_is_not_closed_under_a_thread_that_reads_from_it(ledger: Ledger, views: Views) -> None:
    """SQLite would read memory that is freed, which ends the process: a server that stops has readers."""
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


def test_rows_that_nobody_reads_to_their_end_hold_nothing(ledger: Ledger, views: Views) -> None:
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
