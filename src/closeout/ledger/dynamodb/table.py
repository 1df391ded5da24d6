"""One table over boto3's low-level client: consistent reads, all pages, and transactions that report failed conditions.

Every error becomes `StoreUnavailable`, so that the caller tries again. A conflict with another transaction is retried
here, because it says nothing about the condition:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.adapters.aws import translated
from closeout.core.errors import ServiceError, StoreUnavailable
from closeout.stack.table import LISTING, Item, to_item

CONFLICTS = frozenset(
    ("TransactionConflict", "TransactionConflictException", "TransactionInProgressException")
)
REFUSED = "ConditionalCheckFailed"
TRIES = 12
FIRST_PAUSE = 0.02

Action = dict[str, Any]
"""One part of a transaction: `{"Put": …}`, `{"Update": …}`, `{"Delete": …}` or `{"ConditionCheck": …}`, tableless."""


class Table(NamedTuple):
    """Reads and writes of one table. `now` is seconds since the epoch, `pause` sleeps."""

    client: Any
    name: str
    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep

    def get(self, key: Item) -> Item | None:
        """Read one item, consistently."""
        answer = self._call("get_item", Key=key, ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found

    def get_all(self, keys: Sequence[Item]) -> list[Item | None]:
        """Read several items with one request, consistently, in the order of their keys.

        DynamoDB may leave some of them unread for the next request:
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        found: dict[tuple[str, str], Item] = {}
        left = list(keys)
        for _ in self._tries():
            asked = {self.name: {"Keys": left, "ConsistentRead": True}}
            answer = self._call("batch_get_item", table=False, RequestItems=asked)
            found |= {_place(item): item for item in answer["Responses"].get(self.name, ())}
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not left:
                return [found.get(_place(key)) for key in keys]
        raise StoreUnavailable("the ledger is busy: DynamoDB returned only parts of a read again and again")

    def query(
        self,
        partition: str,
        prefix: str,
        *,
        upto: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Return the items of a partition whose sort key begins with `prefix`, in order, consistently.

        With `upto`, return those with a sort key from `prefix` to `upto` instead.
        """
        values = {":pk": {"S": partition}, ":sk": {"S": prefix}}
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if upto is not None:
            arguments["KeyConditionExpression"] = "pk = :pk AND sk BETWEEN :sk AND :upto"
            values[":upto"] = {"S": upto}
        if limit is not None:
            arguments["Limit"] = limit
        return self._pages(arguments, limit)

    def listed(
        self,
        name: str,
        *,
        equal: Mapping[str, str | int] | None = None,
        begins: Mapping[str, str] | None = None,
        between: tuple[str, str] | None = None,
        limit: int | None = None,
        hidden: Callable[[Item], bool] | None = None,
    ) -> Iterator[Item]:
        """Return the items of a listing, the newest first, whose attributes are `equal` to these, or begin with them.

        With `between`, return only those with a sort key from the first to the second. `hidden` items are left out and do not count.

        The index is eventually consistent, so base no decision on it.
        """
        wanted = [("#f{0} = :f{0}", *pair) for pair in (equal or {}).items()]
        wanted += [("begins_with(#f{0}, :f{0})", *pair) for pair in (begins or {}).items()]
        arguments: dict[str, Any] = {
            "IndexName": LISTING,
            "KeyConditionExpression": "#list = :list",
            "ExpressionAttributeNames": {"#list": "list"},
            "ExpressionAttributeValues": {":list": {"S": name}},
            "ScanIndexForward": False,
        }
        if between is not None:
            arguments["KeyConditionExpression"] += " AND #at BETWEEN :from AND :upto"
            arguments["ExpressionAttributeNames"]["#at"] = "at"
            arguments["ExpressionAttributeValues"] |= to_item({":from": between[0], ":upto": between[1]})
        for number, (_, attribute, value) in enumerate(wanted):
            arguments["ExpressionAttributeNames"][f"#f{number}"] = attribute
            arguments["ExpressionAttributeValues"] |= to_item({f":f{number}": value})
        if wanted:
            tests = (test.format(number) for number, (test, _, _) in enumerate(wanted))
            arguments["FilterExpression"] = " AND ".join(tests)
        elif limit is not None:
            arguments["Limit"] = limit
        return self._pages(arguments, limit, hidden)

    def write(self, actions: Sequence[Action], *, token: bool = True) -> tuple[int, ...]:
        """Write everything or nothing; return the parts whose conditions failed, empty if it is written.

        With `token`, DynamoDB treats the same actions within ten minutes as the same write, so that a write whose answer
        was lost can be retried. Pass False for actions that may be repeated on purpose.
        """
        parts = [
            {kind: {**part, "TableName": self.name} for kind, part in action.items()} for action in actions
        ]
        arguments: dict[str, Any] = {"TransactItems": parts}
        if token:
            arguments["ClientRequestToken"] = _token(parts)
        try:
            self._call("transact_write_items", table=False, **arguments)
        except _Refused as refused:
            return refused.parts
        return ()

    def change(self, action: Action) -> bool:
        """Write one item; return whether its condition was met."""
        ((kind, part),) = action.items()
        operation = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[kind]
        try:
            self._call(operation, **part)
        except _Refused:
            return False
        return True

    def _pages(
        self, arguments: dict[str, Any], limit: int | None, hidden: Callable[[Item], bool] | None = None
    ) -> Iterator[Item]:
        left = limit
        while True:
            answer = self._call("query", **arguments)
            for item in answer["Items"]:
                if left == 0:
                    return
                if hidden is not None and hidden(item):
                    continue
                left = None if left is None else left - 1
                yield item
            if left == 0 or "LastEvaluatedKey" not in answer:
                return
            arguments = {**arguments, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _call(self, operation: str, *, table: bool = True, **arguments: Any) -> Any:
        """Call DynamoDB, and retry conflicts. Raises `_Refused` or `StoreUnavailable`."""
        if table:
            arguments["TableName"] = self.name
        for _ in self._tries():
            try:
                with translated("dynamodb", operation, self.now):
                    return getattr(self.client, operation)(**arguments)
            except ServiceError as error:
                reasons = _reasons(error)
                if not CONFLICTS.intersection(reasons):
                    if REFUSED in reasons:
                        parts = tuple(number for number, reason in enumerate(reasons) if reason == REFUSED)
                        raise _Refused(parts) from None
                    raise StoreUnavailable(f"the ledger did not answer: {error.message}") from error
                last = error
        raise StoreUnavailable(f"the ledger is busy with other writes: {last.message}")

    def _tries(self) -> Iterator[None]:
        """Yield for each try, after increasing pauses."""
        yield
        for tried in range(TRIES - 1):
            self.pause(min(FIRST_PAUSE * 2**tried, 0.5))
            yield


class _Refused(Exception):
    """Conditions failed; `parts` are the numbers of the transaction's parts."""

    def __init__(self, parts: tuple[int, ...]) -> None:
        self.parts = parts


def _reasons(error: ServiceError) -> tuple[str, ...]:
    """Return why a write was refused: a reason for each part of a transaction, or one for a single write."""
    if error.reason == "TransactionCanceledException":
        response = getattr(error.__cause__, "response", None) or error.details or {}
        return tuple(str(reason.get("Code", "None")) for reason in response.get("CancellationReasons", ()))
    if error.reason == "ConditionalCheckFailedException":
        return (REFUSED,)
    return (error.reason,)


def _place(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _token(parts: Sequence[Action]) -> str:
    """Return the same token for the same write (36 characters at most)."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:36]


# --- parts of a transaction -----------------------------------------------------------------------------------


def put(item: Item, condition: str | None = None, values: Mapping[str, Any] | None = None) -> Action:
    """Return the write of an item, under a condition with plain values."""
    return {"Put": {"Item": item, **_conditioned(condition, values)}}


def delete(key: Item, condition: str | None = None, values: Mapping[str, Any] | None = None) -> Action:
    """Return the deletion of an item."""
    return {"Delete": {"Key": key, **_conditioned(condition, values)}}


def update(
    key: Item,
    changes: Mapping[str, Any],
    condition: str | None = None,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> Action:
    """Return the write of attributes as plain values (None removes one), under a condition; without changes, only check it."""
    named = {f"#c{number}": name for number, name in enumerate(changes)}
    given = {f":c{number}": value for number, value in enumerate(changes.values())}
    sets = [f"#c{number} = :c{number}" for number, value in enumerate(changes.values()) if value is not None]
    removes = [f"#c{number}" for number, value in enumerate(changes.values()) if value is None]
    texts = (("SET ", sets), ("REMOVE ", removes))
    expression = " ".join(word + ", ".join(parts) for word, parts in texts if parts)
    part = {"Key": key, **_conditioned(condition, {**given, **(values or {})})}
    all_names = {**named, **(names or {})}
    if all_names:
        part["ExpressionAttributeNames"] = all_names
    if not changes:
        return {"ConditionCheck": part}
    return {"Update": {**part, "UpdateExpression": expression}}


def _conditioned(condition: str | None, values: Mapping[str, Any] | None) -> dict[str, Any]:
    part = {"ConditionExpression": condition, "ExpressionAttributeValues": to_item(values or {})}
    return {name: value for name, value in part.items() if value}
