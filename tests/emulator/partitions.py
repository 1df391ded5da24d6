"""The partition keys of requests to DynamoDB, as IAM sees them, for one of the emulator's patches.

See `patches`, which lists it. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ministack.services import dynamodb

KEYS = "dynamodb:LeadingKeys"


class _Keyed(str):
    """A table's ARN, with the partition keys of one item of a transaction."""

    __slots__ = ("leading",)
    leading: list[str]


def of_request(body: bytes) -> dict[str, Any]:
    """Return the condition key of a request; none if it names no partition, as a scan does."""
    found = _leading(json.loads(body or b"{}"))
    return {KEYS: found} if found else {}


def of_item(arn: str) -> dict[str, Any]:
    """Return the condition key of one item of a transaction, by the ARN that `keyed` gave it."""
    return {KEYS: arn.leading} if isinstance(arn, _Keyed) and arn.leading else {}


def keyed(checks: Sequence[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    """Add to each check (action, ARN) of a transaction the keys of its item."""
    items = json.loads(body or b"{}").get("TransactItems", ()) if checks else ()
    made: list[tuple[str, str]] = []
    for (action, arn), part in zip(checks, (part for item in items for part in item.values()), strict=True):
        place = _Keyed(arn)
        place.leading = _leading(part)
        made.append((action, place))
    return made


def _leading(request: dict[str, Any]) -> list[str]:
    """Return the partition keys that a request, or one item of a transaction, names; none of an index."""
    table = dynamodb._tables.get(str(request.get("TableName")).rpartition("/")[2])
    if table is None or "IndexName" in request:
        return []
    (hashed,) = (one["AttributeName"] for one in table["KeySchema"] if one["KeyType"] == "HASH")
    items = [request.get(part, {}).get(hashed) for part in ("Item", "Key")]
    asked = re.search(rf"(?<!\w){hashed}\s*=\s*(:\w+)", str(request.get("KeyConditionExpression")))
    if asked:
        items.append(request["ExpressionAttributeValues"][asked.group(1)])
    return [str(value) for item in items if item for value in item.values()]
