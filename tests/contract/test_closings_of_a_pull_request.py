"""How DynamoDB finds the runs of a pull request's closings: which items outlive which, and what a query costs."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.table import Table, delete, put
from closeout.ledger.dynamodb.teardowns import MOST, teardowns
from closeout.ports import Ending
from closeout.stack import table as layout
from closeout.stack.closings import closing_items, closings_partition
from tests.contract.ledger_suite import accept, again, new_delivery, new_run, run_id
from tests.contract.test_ledgers import StackLedger
from tests.stack_aws import StackAws


@pytest.fixture
def bench(aws: StackAws) -> Any:
    """An empty table."""
    aws.reset()
    return StackLedger(aws)


@pytest.fixture
def table(bench: Any) -> Table:
    """The same table."""
    found: Table = bench._remote.table
    return found


def expire(table: Table, partition: str) -> None:
    """Delete everything in a partition, as DynamoDB does when it expires."""
    for item in list(table.query(partition, "!", upto="~")):
        table.change(delete({"pk": item["pk"], "sk": item["sk"]}))


def test_a_rerun_is_found_after_its_closing_expired(bench: Any, table: Table) -> None:
    """Its row is kept for 400 days, the closing's item no longer than other runs."""
    accept(bench, "r")
    bench.finish(f"{run_id('r')}-1", Ending("failure", ""))
    expire(table, closings_partition("acme/shop", 17))
    assert list(bench.reader.teardowns("acme/shop", 17)) == []
    second = again(bench, "r")
    assert list(bench.reader.teardowns("acme/shop", 17)) == [second] == [f"{run_id('r')}-2"]


def test_an_expired_delivery_is_accepted_again_while_its_closing_is_kept(bench: Any, table: Table) -> None:
    """The closing's item may still exist; it must not reject the transaction."""
    delivery = new_delivery(bench, "g")
    name = str(bench.accept(delivery, [new_run("r")]).delivery)
    for partition in (f"{layout.DELIVERY}{name}", layout.run_partition(run_id("r"))):
        expire(table, partition)
    assert not bench.accept(delivery, [new_run("r")]).duplicate
    assert list(bench.reader.teardowns("acme/shop", 17)) == [f"{run_id('r')}-1"]


def test_a_second_delivery_of_a_closing_names_the_same_run_once(bench: Any) -> None:
    """Through another hook."""
    for hook in ("h1", "h2"):
        bench.accept(new_delivery(bench, "g", hook=hook), [new_run("r")])
    assert list(bench.reader.teardowns("acme/shop", 17)) == [f"{run_id('r')}-1"]


def test_a_run_whose_closing_belongs_to_another_never_began(bench: Any) -> None:
    """In its place is the claim of the run that learned the closing."""
    accept(bench, "r")
    assert bench.attempts.claim_closing("1/2/t", run_id("s"), run_id("r")) == run_id("r")
    bench.accept(new_delivery(bench, "other"), [new_run("s")])
    assert list(bench.reader.teardowns("acme/shop", 17)) == [f"{run_id('r')}-1"]


class Counting:
    """A client that counts its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._client, name)


def test_a_lookup_costs_one_query_and_one_read_per_run(bench: Any, table: Table) -> None:
    """However many runs other pull requests have; beyond `MOST` the answer is unknown."""
    for number, name in enumerate("abcdefgh"):
        bench.accept(new_delivery(bench, name)._replace(number=number), [new_run(name)])
    counting = Counting(table.client)
    assert teardowns(Table(counting, table.name), "acme/shop", 3) == [f"{run_id('d')}-1"]
    assert counting.calls == ["query", "query"]
    about = new_delivery(bench, "g")._asdict()
    for number in range(MOST + 1):
        (item,) = closing_items(about, f"d{number}", [f"{number:026d}"], None)
        table.change(put(item))
    with pytest.raises(StoreUnavailable, match="acme/shop#17 was closed too often"):
        teardowns(table, "acme/shop", 17)


def test_a_long_repository_name_fits_a_key(bench: Any) -> None:
    """DynamoDB accepts 2,048 bytes, and a payload may say anything: the delivery must be stored all the same."""
    bench.accept(new_delivery(bench, "g")._replace(repository="a/" + "é" * 3_000), [new_run("r")])
    assert list(bench.reader.teardowns("A/" + "é" * 3_000, 17)) == [f"{run_id('r')}-1"]
