"""Read several things at a time.

A stack of 500 resources must not take 500 round trips, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

AT_ONCE = 8
"""Below the ten connections that botocore keeps to a service, and below what AWS throttles."""


def each(read: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """Return what `read` returns for each item, in their order.

    Raises the error of the first item that has one; reads that have not begun by then are left out.
    """
    if len(items) < 2:
        return [read(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="closeout-read") as pool:
        return list(pool.map(read, items))
