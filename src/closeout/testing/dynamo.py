"""The ledger's table as the stack makes it, for an emulator: keys, the index of lists, on demand.

Public, so that tests of every part that uses the ledger stand on the same table.
"""

from __future__ import annotations

from typing import Any

from closeout.core.table import LISTING


def create_ledger(client: Any, name: str) -> None:
    """Create the table with boto3's client of DynamoDB. `cdk/` makes the same one; a test holds the two together."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in ("pk", "sk", "list", "at")
        ],
        KeySchema=_keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": LISTING,
                "KeySchema": _keys("list", "at"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
