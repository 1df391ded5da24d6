"""The ledger's table as the stack makes it, for an emulator: keys, the index of lists, on demand.

The tests of every part that uses the ledger stand on the same table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from closeout.actions.registry import builtin
from closeout.config.typed_deletes import further
from closeout.core.automation import Automation
from closeout.stack.deployed import definition_digest, definition_lifetime, digest_of, pack
from closeout.stack.table import LISTING, deployed_item, known_item


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


def deploy(
    client: Any,
    name: str,
    automations: Iterable[Automation],
    api_url: str = "https://api.github.com",
    protect_names: Iterable[str] = (),
) -> None:
    """Write into the table what a deployment of these automations, and of this `protect`, writes into it."""
    every = tuple(automations)
    for one in (*every, *further(every, builtin())):
        known = known_item(definition_digest(one.canonical()), one.name, definition_lifetime(one))
        client.put_item(TableName=name, Item=known)
    packed = pack(every, api_url, protect_names)
    client.put_item(TableName=name, Item=deployed_item(packed, digest_of(packed), time.time()))


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
