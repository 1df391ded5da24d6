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
