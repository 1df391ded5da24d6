"""Read several things concurrently, and read shared values only once.

A stack of 500 resources must not take 500 sequential round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Event, RLock
from typing import TypeVar

from closeout.core.errors import ServiceError

Item = TypeVar("Item")
Found = TypeVar("Found")

AT_ONCE = 8
"""Below the connection limit of an AWS client. A service may allow fewer: Lambda answers 15 reads of tags a second."""


def each(read: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """Return what `read` returns for each item, in their order.

    Raises the error of the first item that has one; reads that have not begun by then are skipped. After a transient error,
    which the concurrency may have caused, the rest is read sequentially, and an error there is raised.
    """
    if len(items) < 2:
        return [read(item) for item in items]
    slowly = Event()

    def once(item: Item) -> tuple[Found, ...]:
        if slowly.is_set():
            return ()
        try:
            return (read(item),)
        except ServiceError as error:
            if not error.transient:
                raise
            slowly.set()
            return ()

    with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="closeout-read") as pool:
        tried = list(pool.map(once, items))
    return [found[0] if found else read(item) for item, found in zip(items, tried, strict=True)]


def once(read: Callable[[Item], Found]) -> Callable[[Item], Found]:
    """Return `read` with a cache for concurrent reads: one waits for the other's answer."""
    kept, reading = cache(read), RLock()

    def answer(item: Item) -> Found:
        with reading:
            return kept(item)

    return answer
