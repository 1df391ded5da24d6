"""Reads that run several at a time."""

from __future__ import annotations

import threading

import pytest

from closeout.actions.aws.together import AT_ONCE, each


def test_reads_run_side_by_side_and_their_results_keep_the_order() -> None:
    """Each waits until as many as may run together are there: one after the other, the first would wait in vain."""
    together = threading.Barrier(AT_ONCE, timeout=20)

    def read(item: int) -> int:
        together.wait()
        return item * 2

    assert each(read, range(3 * AT_ONCE)) == [item * 2 for item in range(3 * AT_ONCE)]


def test_no_more_run_at_once_than_a_service_bears() -> None:
    """The most that were ever under way."""
    lock, more = threading.Lock(), threading.Event()
    state = {"now": 0, "most": 0}

    def read(_item: int) -> None:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        if state["most"] > AT_ONCE:
            more.set()
        more.wait(0.05)
        with lock:
            state["now"] -= 1

    each(read, range(4 * AT_ONCE))
    assert 1 <= state["most"] <= AT_ONCE


def test_the_error_of_the_first_item_counts() -> None:
    """As one after the other, whichever comes first in time."""
    second = threading.Event()

    def read(item: int) -> int:
        if item == 1:
            second.wait(20)
            raise ValueError("first")
        second.set()
        if item == 2:
            raise ValueError("second")
        return item

    with pytest.raises(ValueError, match="first"):
        each(read, range(4))


def test_none_and_one_need_no_thread() -> None:
    """The common case: a bucket, or a stack without nested ones."""
    assert each(lambda item: (item, threading.current_thread()), ["x"]) == [("x", threading.main_thread())]
    assert each(lambda item: item, []) == []
