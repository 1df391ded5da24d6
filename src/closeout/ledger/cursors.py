"""Turn a numbered list into pages: a cursor says at which number to continue, and whether to newer or to older rows.

Every store on one machine numbers its rows in order of acceptance, so a cursor stays valid when rows are added or removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from closeout.core.errors import BadFilter
from closeout.ports.lists import ListPage

T = TypeVar("T")
_CURSOR = re.compile(r"(older|newer)-(0|[1-9][0-9]{0,17})", re.ASCII)


class Start(NamedTuple):
    """The start of a part of a list: the rows on one side of a number, without the number itself."""

    number: int | None = None
    """None: at the end of the list."""
    newer: bool = False

    def __str__(self) -> str:
        return f"{'newer' if self.newer else 'older'}-{self.number}"


def start_of(cursor: str | None) -> Start:
    """Read a cursor. Raises `BadFilter`."""
    if cursor is None:
        return Start()
    found = _CURSOR.fullmatch(cursor)
    if not found:
        raise BadFilter("the cursor is not one that closeout gave; begin without one")
    return Start(int(found[2]), found[1] == "newer")


def page(
    read: Callable[[Start, int], Sequence[tuple[int, T]]], cursor: str | None, limit: int
) -> ListPage[T]:
    """Return one page. `read(start, count)` returns the first numbered rows from a start, in its direction."""
    start = start_of(cursor)
    found = list(read(start, limit + 1))
    more, found = len(found) > limit, found[:limit]
    if start.newer:
        found.reverse()
    if found:
        first, last = Start(found[0][0], newer=True), Start(found[-1][0])
    else:
        edge = start.number or 0
        first, last = Start(edge if start.newer else max(edge - 1, 0), newer=True), Start(edge + start.newer)
    is_newer = more if start.newer else start.number is not None and bool(read(first, 1))
    is_older = bool(read(last, 1)) if start.newer else more
    rows = [row for _, row in found]
    return ListPage(rows, str(first) if is_newer else None, str(last) if is_older else None)
