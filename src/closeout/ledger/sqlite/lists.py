"""Find the rows of a list by any combination of filters, a page at a time, fast in a ledger of any size.

One statement proposes numbers in order, from the index that fits the filter best; another one selects those that meet
every condition. So each condition is written once, and a page reads little more than it shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias

from closeout.core import words
from closeout.core.units import MINUTE
from closeout.ledger.cursors import Start
from closeout.ports.lists import DeliveryFilter, RunFilter

Read: TypeAlias = Callable[[str, Any], Iterator[tuple[Any, ...]]]
"""Executes a named statement and yields its rows."""
Row: TypeAlias = tuple[Any, ...]

SLACK = 10 * MINUTE
"""Seconds by which the clock may have been set back; apart from that, times increase with numbers."""
FEWEST, MOST = 32, 1024
"""Numbers to try at a time: few at first, because usually all of them match."""
BEYOND = 2**62
_SUMMARY = 17
"""The column of the statement `runs`."""


def run_rows(read: Read, wanted: RunFilter, start: Start) -> Generator[Row, None, None]:
    """Yield the wanted runs in the direction of `start`, with the columns of the statement `runs`."""
    bounds = _bounds(read, wanted, start, "last_run", "run_from")
    numbers = _numbers_of_runs(read, wanted, bounds, newer=start.newer)
    phrases = wanted.phrases
    for row in _meeting(read, "runs", wanted._asdict(), numbers, newer=start.newer):
        if not phrases or words.found(row[_SUMMARY] or "", phrases):
            yield row


def delivery_rows(read: Read, wanted: DeliveryFilter, start: Start) -> Generator[Row, None, None]:
    """Yield the wanted deliveries in the same way, with the columns of the statement `deliveries`."""
    bounds = _bounds(read, wanted, start, "last_delivery", "delivery_from")
    numbers = _numbers_of_deliveries(read, wanted, bounds, newer=start.newer)
    yield from _meeting(read, "deliveries", wanted._asdict(), numbers, newer=start.newer)


def _numbers_of_runs(
    read: Read, wanted: RunFilter, bounds: Mapping[str, int], *, newer: bool
) -> Iterator[int]:
    """Yield numbers in order, which include those of all wanted runs."""
    way = "newer" if newer else "older"
    if wanted.number is not None:
        return _firsts(read(f"numbered_runs_{way}", {**bounds, "number": wanted.number}))
    unfinished = _firsts(read(f"open_runs_{way}", bounds))
    if wanted.state not in (None, "finished"):
        return unfinished
    match = _match(wanted)
    index = f"finished_runs_{way}" if match else f"shown_runs_{way}"
    finished = _firsts(read(index, {**bounds, "match": match}))
    if wanted.state or wanted.verdict or wanted.phrases:
        return finished
    return merge(unfinished, finished, reverse=not newer)


def _match(wanted: RunFilter) -> str:
    """Return the query for the full-text index; empty if it is not needed."""
    terms = [f'summary : "{" ".join(phrase)}"' for phrase in wanted.phrases]
    given = (("n", wanted.automation), ("r", wanted.repository), ("v", wanted.verdict))
    facts = "".join(f"{letter}{value.encode().hex()}" for letter, value in given if value is not None)
    if facts:
        terms.append(f"facts : {facts}")
    return " AND ".join(terms)


def _numbers_of_deliveries(
    read: Read, wanted: DeliveryFilter, bounds: Mapping[str, int], *, newer: bool
) -> Iterator[int]:
    """Yield ids in order, which include those of all wanted deliveries."""
    way = "newer" if newer else "older"
    values = {**bounds, **wanted._asdict()}
    if wanted.guid is not None:
        return _firsts(read(f"deliveries_of_guid_{way}", values))
    if wanted.number is not None:
        return _firsts(read(f"numbered_deliveries_{way}", values))
    if wanted.repository is not None:
        events = [wanted.event] if wanted.event else _firsts(read("events_of_repository", values))
        found = [
            _firsts(read(f"deliveries_of_repository_{way}", {**values, "event": event})) for event in events
        ]
        return merge(*found, reverse=not newer)
    indexed = wanted.event not in (None, "pull_request")
    return _firsts(read(f"deliveries_of_event_{way}" if indexed else f"every_delivery_{way}", values))


def _meeting(
    read: Read, statement: str, wanted: Mapping[str, Any], numbers: Iterator[int], *, newer: bool
) -> Iterator[Row]:
    """Yield the rows that meet the conditions, from numbers in order."""
    size = FEWEST
    while batch := list(islice(numbers, size)):
        rows = read(statement, {**wanted, "numbers": json.dumps(batch)})
        yield from sorted(rows, key=lambda row: int(row[0]), reverse=not newer)
        size = min(size * 2, MOST)


def _firsts(rows: Iterator[Row]) -> Iterator[Any]:
    return (row[0] for row in rows)


def _bounds(
    read: Read, wanted: RunFilter | DeliveryFilter, start: Start, last: str, first_from: str
) -> dict[str, int]:
    """Return the numbers, both exclusive, between which the wanted rows are."""
    low, high = (start.number, None) if start.newer else (None, start.number)
    low, high = 0 if low is None else low, BEYOND if high is None else high
    if wanted.since is not None:
        low = max(low, _number_at(read, wanted.since - SLACK, last, first_from) - 1)
    if wanted.until is not None:
        high = min(high, _number_at(read, wanted.until + SLACK, last, first_from))
    return {"low": low, "high": high}


def _number_at(read: Read, at: float, last: str, first_from: str) -> int:
    """Return the first number whose time is `at` or later, or one beyond the last."""
    low, high = 0, (next(read(last, ()))[0] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        found: Sequence[Any] | None = next(read(first_from, (middle,)), None)
        if found is None or found[1] >= at:
            high = middle
        else:
            low = int(found[0]) + 1
    return low
