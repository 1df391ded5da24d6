"""Runs that found nothing, by automation, until one of it finds something."""

from __future__ import annotations

from closeout.ledger.dynamodb.empty_runs import EmptyRuns
from tests.contract.remote_harness import RemoteBench

NOTHING = "nothing was there: there is no stack preview-17"


def test_runs_that_found_nothing_are_counted_until_one_finds_something(bench: RemoteBench) -> None:
    """A dry run counts too, and a find resets the count for good, whichever environment counts."""
    one, other = EmptyRuns(bench.table), EmptyRuns(bench.table)
    assert one.counts() == {}
    assert [counts.note("a", text) for counts, text in ((one, NOTHING), (other, f"dry run: {NOTHING}"))] == [
        1,
        2,
    ]
    assert one.note("b", NOTHING) == 1
    assert other.counts() == {"a": 2, "b": 1}
    assert one.note("a", "deleted preview-17") == 0
    assert (one.note("a", NOTHING), other.note("a", NOTHING)) == (0, 0)
    assert other.counts() == {"b": 1}
