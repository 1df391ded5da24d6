"""Patrol's marks in the table, and the lease that lets one patrol write them at a time.

Marks never expire, because patrol would start from the beginning without them. Each is written on the condition that its patrol
still has the lease, so that a process that Lambda froze in the middle of a round, and thawed later, moves no watermark back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.table import Action, Table, put, update
from closeout.stack import patrol
from closeout.stack import table as layout
from closeout.stack.table import Item, from_item, to_item

MINE = "holder = :me"


class DynamoMarks:
    """`ports.PatrolStore` over one table. `lease` is the token of the patrol that writes; without one, no lease is checked."""

    def __init__(self, table: Table, lease: str | None = None) -> None:
        self._table = table
        self.lease = lease

    def marks(self, kind: str, first: str = "", last: str | None = None) -> dict[str, Mapping[str, Any]]:
        """Return the marks of a kind by key, those from `first` to `last` if both are given."""
        upto = None if last is None else f"{patrol.MARK}{last}"
        rows = map(
            from_item, self._table.query(patrol.mark_partition(kind), f"{patrol.MARK}{first}", upto=upto)
        )
        return {row["sk"].removeprefix(patrol.MARK): json.loads(row["value"]) for row in rows}

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Replace a mark. Raises `StoreUnavailable`, also once another patrol has the lease."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        actions: list[Action] = [put(patrol.mark_key(kind, key) | to_item({"value": text}))]
        if self.lease is not None:
            actions.append(update(patrol.LEASE_KEY, {}, MINE, {":me": self.lease}))
        if self._table.write(actions, token=False):
            raise StoreUnavailable("another patrol has begun, so this one keeps nothing more")

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Return whether a delivery of a hook is stored."""
        return self._table.get(layout.delivery_key(layout.delivery_id(hook, guid))) is not None


class Lease:
    """Lets one patrol, or other user of `key`, work at a time.

    `execution` identifies the holder: if Lambda repeats a killed execution, it continues at once. Each process has a different
    `token`, so that an earlier process of the same execution can store nothing more.
    """

    def __init__(self, table: Table, execution: str, token: str, key: Item = patrol.LEASE_KEY) -> None:
        self._table = table
        self._key = key
        self._execution = execution
        self.token = token

    def take(self, seconds: float) -> bool:
        """Take the lease for some seconds; return False while another patrol has it."""
        now = self._table.now()
        names = {"holder": self.token, "execution": self._execution, "free_at": now + seconds}
        free = f"{layout.NEW} OR execution = :execution OR free_at <= :now"
        values = {":execution": self._execution, ":now": now}
        return self._table.change(put(self._key | to_item(names), free, values))

    def give_up(self) -> None:
        """Let the next patrol begin at once, instead of when the lease expires."""
        self._table.change(update(self._key, {"free_at": 0.0}, MINE, {":me": self.token}))
