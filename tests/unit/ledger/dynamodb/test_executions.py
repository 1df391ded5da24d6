"""A run's items: how long each is kept, and what happens to a run whose row is gone."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.closing import KEPT_DAYS
from closeout.core.errors import LedgerError
from closeout.core.units import DAY
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.problems import Problems
from closeout.ports import Operation, RunRecord, WakeUp
from closeout.stack import table as layout
from tests.contract.remote_harness import RemoteBench

OPERATION = Operation("begin", 1, "record", "ok", "1", 1, None, 1.0, 1.0)


def read(bench: RemoteBench, execution: str) -> RunRecord:
    """Read the record of a run that is there."""
    found = bench.store.read(execution)
    assert found is not None
    return found


def item(bench: RemoteBench, key: layout.Item) -> dict[str, Any]:
    """Return the plain values of an item that is there."""
    found = bench.table.get(key)
    assert found is not None
    return layout.from_item(found)


@pytest.mark.parametrize(
    ("days", "closing", "expires", "shown"),
    [
        (30, None, 30, None),
        (30, "5/7/x", KEPT_DAYS, 30),
        (KEPT_DAYS, "5/7/x", KEPT_DAYS, None),
        (KEPT_DAYS + 1, "5/7/x", KEPT_DAYS + 1, None),
    ],
)
def test_a_finished_run_is_kept_for_the_retention_and_a_closing_for_400_days(
    bench: RemoteBench, days: int, closing: str | None, expires: int, shown: int | None
) -> None:
    """A repeated closing must find its run; lists drop the run sooner."""
    store = Executions(bench.table, bench.bodies, bench.clock, retention_days=days)
    execution = bench.accept("a")
    record = read(bench, execution)._replace(closing=closing)
    assert store.finish(record, record.run._replace(state="finished", verdict="success"))
    row, now = item(bench, layout.attempt_key(execution[:-2], 1)), int(bench.clock.now())
    assert (row["expires"] - now, row.get("shown_until")) == (
        expires * DAY,
        None if shown is None else now + shown * DAY,
    )


def test_a_runs_record_outlives_its_row(bench: RemoteBench) -> None:
    """For twice the retention, so that no part of a run disappears before it.

    Its callback outlives its longest sleep.
    """
    execution = bench.accept("a")
    record, now = read(bench, execution), int(bench.clock.now())
    assert bench.store.save(record, record.run, [OPERATION], "seal")
    for key in (layout.operation_key(execution[:-2], 1, "begin"), layout.seal_key(execution[:-2], 1)):
        assert item(bench, key)["expires"] == now + 60 * DAY
    bench.store.listen(execution, WakeUp("callback", now + 100.0))
    assert item(bench, layout.wake_up_key(execution[:-2], 1))["expires"] == now + 100 + 30 * DAY


def test_the_claim_of_a_closing_is_kept_as_long_as_its_run(bench: RemoteBench) -> None:
    """Otherwise the closing's next delivery would start another run."""
    owner, other = bench.accept("a")[:-2], "c" * 26
    assert bench.attempts.claim_closing("5/7/x", other, owner) == owner
    claim = item(bench, layout.attempt_key(other, 1))
    assert claim["expires"] == int(bench.clock.now()) + KEPT_DAYS * DAY


def test_a_run_whose_row_is_gone_is_neither_loaded_nor_finished(bench: RemoteBench) -> None:
    """No problem is opened for it. A record that was read without its definition cannot be loaded either."""
    execution = bench.accept("a")
    record, bare = read(bench, execution), bench.store.look(execution)
    assert bare is not None
    with pytest.raises(ValueError, match="a record that `read` returned"):
        bench.store.load(bare)
    bench.dynamo.delete_item(TableName=bench.name, Key=layout.attempt_key(execution[:-2], 1))
    with pytest.raises(LedgerError, match="no longer in the ledger"):
        bench.store.load(record)
    assert not bench.store.finish(record, record.run._replace(state="finished", verdict="failure"))
    assert Problems(bench.table).is_empty()
