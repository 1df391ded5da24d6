"""DynamoDB's transactions without moto's copy of the whole table for each of them.

moto copies every item of a table before a transaction, and never forgets a copy of an item: 200 runs took minutes and
gigabytes. Here a transaction that fails restores the items that it names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table


class _Place(NamedTuple):
    """A place in a table, and a copy of the item there, if there is one."""

    table: Any
    partition: Any
    sort: Any
    item: Any

    def restore(self) -> None:
        """Put the item back, or remove what is there now."""
        if self.item is None:
            self.table.delete_item(self.partition, self.sort)
        elif self.sort is None:
            self.table.items[self.partition] = self.item
        else:
            self.table.items[self.partition][self.sort] = self.item


def _places(backend: Any, actions: list[dict[str, Any]]) -> Iterator[_Place]:
    """Yield the places that a transaction names. What moto refuses to read, it refuses to write."""
    for action in actions:
        for order in action.values():
            table = backend.tables.get(order.get("TableName"))
            key = order.get("Key") or order.get("Item") or {}
            if table is None or not {table.hash_key_attr, table.range_key_attr} - {None} <= key.keys():
                continue
            partition = DynamoType(key[table.hash_key_attr])
            sort = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
            yield _Place(table, partition, sort, copy.deepcopy(table.get_item(partition, sort)))


@cache
def spare_copies() -> None:
    """Change moto for this process."""
    backends: Any = DynamoDBBackend
    tables: Any = Table
    items: Any = Item
    transact = backends.transact_write_items

    def transact_and_restore(backend: Any, actions: list[dict[str, Any]]) -> None:
        places = list(_places(backend, actions))
        try:
            transact(backend, actions)
        except Exception:
            for place in reversed(places):  # of two for one item, the first has what was there
                place.restore()
            raise

    backends.transact_write_items = transact_and_restore
    tables.__deepcopy__ = lambda table, _memo: table
    items.__new__ = lambda cls, *_, **__: object.__new__(cls)  # moto's keeps each for its dashboard
