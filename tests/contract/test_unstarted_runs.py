"""Runs that were stored and never started are found in the newest part of a listing, however long it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from closeout.ledger.dynamodb.attempts import Attempts
from closeout.ledger.dynamodb.table import Table
from closeout.stack.table import Item
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import RemoteBench, run_name
from tests.stack_aws import StackAws

NOW = float(int(time.time()))


class Counted(Table):
    """A table that counts the items read from a listing."""

    taken = 0

    def listed(self, *args: Any, **named: Any) -> Iterator[Item]:
        """Yield as the table does."""
        for item in super().listed(*args, **named):
            self.taken += 1
            yield item


@pytest.fixture
def bench(aws: StackAws) -> RemoteBench:
    """A ledger with a run for each of ten hours, the newest an hour old."""
    aws.reset()
    made = RemoteBench(aws, clock=FakeClock(NOW))
    for hours, name in enumerate("bcdefghijk", 1):
        made.accept(name, at=NOW - hours * 3_600)
    return made


def test_only_the_recent_part_of_the_listing_is_read(bench: RemoteBench) -> None:
    """The newest first, and one more to see where it ends. Started and just stored runs are left out."""
    bench.attempts.mark_started(f"{run_name('c')}-1", None, 0)
    table = Counted(bench.dynamo, bench.name, now=bench.clock.now)
    attempts = Attempts(table, bench.store, bench.clock)
    found = attempts.unstarted(NOW - 4 * 3_600, NOW - 3 * 3_600)
    assert found == [(f"{run_name('d')}-1", NOW - 3 * 3_600), (f"{run_name('e')}-1", NOW - 4 * 3_600)]
    assert table.taken == 5
    assert len(attempts.unstarted(0.0, NOW - 3_600)) == 9
