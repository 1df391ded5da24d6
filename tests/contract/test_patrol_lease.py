"""The lease in the table: one patrol at a time, a killed one continues at once, and a late one writes nothing."""

from __future__ import annotations

import time

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.marks import DynamoMarks, Lease
from closeout.stack.patrol import mark_key
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import RemoteBench
from tests.stack_aws import StackAws


@pytest.fixture
def bench(aws: StackAws) -> RemoteBench:
    """An empty table."""
    aws.reset()
    return RemoteBench(aws, clock=FakeClock(float(int(time.time()))))


def lease(bench: RemoteBench, execution: str, token: str) -> Lease:
    """Return a lease of an execution's process."""
    return Lease(bench.table, execution, token)


def test_one_patrol_at_a_time(bench: RemoteBench) -> None:
    """The next one begins when the one before released the lease, or is certainly over."""
    assert isinstance(bench.clock, FakeClock)
    first, second = lease(bench, "one", "a"), lease(bench, "two", "b")
    assert first.take(60)
    assert not second.take(60)
    first.give_up()
    assert second.take(60)
    first.give_up()  # not its own any more
    assert not first.take(60)
    bench.clock.advance(59)
    assert not first.take(60)
    bench.clock.advance(1)
    assert first.take(60)


def test_an_execution_that_was_killed_continues_at_once(bench: RemoteBench) -> None:
    """Lambda repeats it in another process; if the earlier process wakes up, it writes no mark."""
    killed, repeated = lease(bench, "one", "a"), lease(bench, "one", "b")
    assert killed.take(60)
    marks = DynamoMarks(bench.table, killed.token)
    marks.save_mark("repository", "501", {"known_to": 1})
    assert repeated.take(60)
    DynamoMarks(bench.table, repeated.token).save_mark("repository", "501", {"known_to": 3})
    with pytest.raises(StoreUnavailable, match="another patrol has begun"):
        marks.save_mark("repository", "501", {"known_to": 2})
    killed.give_up()
    assert not lease(bench, "two", "c").take(60), "it gave up what was not its own"
    assert marks.marks("repository") == {"501": {"known_to": 3}}


def test_a_mark_never_expires(bench: RemoteBench) -> None:
    """The table deletes items that have `expires`; without its mark, patrol would start from the beginning."""
    DynamoMarks(bench.table).save_mark("repository", "501", {"known_to": 1})
    item = bench.table.get(mark_key("repository", "501"))
    assert item is not None
    assert set(item) == {"pk", "sk", "value"}
