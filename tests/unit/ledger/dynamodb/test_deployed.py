"""What is deployed, as the worker reads it before each destructive call."""

from __future__ import annotations

import dataclasses

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.deployed import DynamoDeployed
from closeout.ledger.dynamodb.table import put
from closeout.stack import table as layout
from tests.contract.remote_harness import RemoteBench
from tests.ledger_table import deploy
from tests.unit.core.test_automation import AUTOMATION


def test_each_read_returns_what_was_written_last(bench: RemoteBench) -> None:
    """None on a stack from before; then what a deployment has written, at once."""
    deployed = DynamoDeployed(bench.table)
    assert deployed.read() is None
    for mode in ("apply", "dry-run"):
        deploy(bench.dynamo, bench.name, [dataclasses.replace(AUTOMATION, mode=mode)])
        found = deployed.read()
        assert found is not None
        assert found.automations[AUTOMATION.name].mode == mode


@pytest.mark.parametrize(
    "item",
    [
        {"data": {"B": b"damaged"}, "since": {"N": "1"}},
        {"data": {"S": "text"}, "since": {"N": "1"}},
        {"since": {"N": "1"}},
        {"data": {"B": b"damaged"}},
    ],
)
def test_an_unreadable_item_is_an_error(bench: RemoteBench, item: layout.Item) -> None:
    """Neither the previous value nor "nothing is stricter" may be assumed: the caller tries again."""
    deployed = DynamoDeployed(bench.table)
    deploy(bench.dynamo, bench.name, [AUTOMATION])
    assert deployed.read() is not None
    bench.table.change(put(layout.DEPLOYED_KEY | item))
    with pytest.raises(StoreUnavailable, match="deploy the stack again") as caught:
        deployed.read()
    assert caught.value.transient
    deploy(bench.dynamo, bench.name, [AUTOMATION])
    assert deployed.read() is not None


def test_a_table_that_does_not_answer_is_an_error(bench: RemoteBench) -> None:
    """Even if it was read a moment before."""
    deployed = DynamoDeployed(bench.table)
    deploy(bench.dynamo, bench.name, [AUTOMATION])
    deployed.read()
    bench.dynamo.delete_table(TableName=bench.name)
    with pytest.raises(StoreUnavailable):
        deployed.read()
