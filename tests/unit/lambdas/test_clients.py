"""DynamoDB and Secrets Manager over signed connections, as the ledger and the secrets call them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from closeout.adapters.secrets import SecretReader
from closeout.core.errors import SecretError, StoreUnavailable
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.clients import DynamoDb, SecretsManager, from_wire, to_wire
from closeout.ledger.dynamodb.table import Table, put
from closeout.stack.table import NEW, from_item, to_item
from tests.contract.remote_harness import client
from tests.ledger_table import create_ledger
from tests.stack_aws import StackAws


@pytest.fixture
def signed(aws: StackAws) -> AwsClient:
    """A client of the emulator."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    return AwsClient({"AWS_ENDPOINT_URL": aws.url, "AWS_REGION": "us-east-1", **keys})


@pytest.fixture
def table(aws: StackAws, signed: AwsClient) -> Table:
    """An empty ledger."""
    create_ledger(client(aws, "dynamodb"), "signed")
    return Table(DynamoDb(signed), "signed")


KEY = to_item({"pk": "run#1", "sk": "attempt#1"})
VALUES = {"data": bytes(range(256)), "text": "é", "number": 1.5, "count": 3, "yes": True, "list": ["a", "b"]}


def test_a_written_item_can_be_read(table: Table) -> None:
    """Bytes and numbers too, in an item, in a query and through boto3."""
    assert table.change(put(KEY | to_item(VALUES)))
    found = table.get(KEY)
    assert found is not None
    assert {**from_item(KEY), **VALUES} == from_item(found)
    assert list(table.query("run#1", "attempt#")) == [found]
    assert table.get(to_item({"pk": "run#2", "sk": "attempt#1"})) is None


def test_a_failed_condition_differs_from_an_outage(table: Table, signed: AwsClient) -> None:
    """By its part of the transaction: a lost claim must not be tried again, an outage must."""
    other = to_item({"pk": "run#2", "sk": "attempt#1"})
    assert table.change(put(KEY, NEW))
    assert not table.change(put(KEY, NEW))
    assert table.write([put(other, NEW), put(KEY, NEW)]) == (1,)
    assert table.get(other) is None
    with pytest.raises(StoreUnavailable, match="ResourceNotFoundException"):
        Table(DynamoDb(signed), "absent").get(KEY)


def test_several_threads_may_call(table: Table) -> None:
    """Each call has its own connection: no thread reads another's answer."""
    keys = [to_item({"pk": f"run#{number}", "sk": "attempt#1"}) for number in range(12)]
    for number, key in enumerate(keys):
        assert table.change(put(key | to_item({"number": number})))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(table.get, keys * 5))
    assert [from_item(item or {})["number"] for item in found] == [*range(12)] * 5


def test_only_binary_attributes_become_bytes() -> None:
    """An attribute may be named `B`."""
    item = {"B": {"B": b"\x00\xff"}, "nested": {"L": [{"S": "B"}, {"B": b""}]}}
    assert to_wire(item) == {"B": {"B": "AP8="}, "nested": {"L": [{"S": "B"}, {"B": ""}]}}
    assert from_wire(to_wire(item)) == item


def test_a_secret_is_read_with_its_previous_version(aws: StackAws, signed: AwsClient) -> None:
    """For a day after a rotation both count, as with boto3; errors have AWS's code."""
    secrets = client(aws, "secretsmanager")
    secrets.create_secret(Name="token", SecretString="first")
    reader = SecretReader({}, client=lambda _region: SecretsManager(signed))
    assert reader.read("aws-secretsmanager:token") == ("first",)
    secrets.put_secret_value(SecretId="token", SecretString="second")
    assert reader.read("aws-secretsmanager:token") == ("second", "first")
    later = SecretReader(
        {}, client=lambda _region: SecretsManager(signed), now=lambda: time.time() + 90_000.0
    )
    assert later.read("aws-secretsmanager:token") == ("second",)
    secrets.create_secret(Name="bytes", SecretBinary=b"raw")
    assert reader.read("aws-secretsmanager:bytes") == ("raw",)
    with pytest.raises(SecretError, match="there is no such secret"):
        reader.read("aws-secretsmanager:absent")
