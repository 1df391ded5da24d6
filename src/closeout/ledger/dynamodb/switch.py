"""Whether destructive calls are paused: one item, read consistently before each of them.

So `closeout pause` applies to every run from the moment its item is written.
"""

from __future__ import annotations

from closeout.ledger.dynamodb.table import Table, delete, put
from closeout.ledger.views import pause_phrase
from closeout.ports import Clock
from closeout.stack.table import PAUSE_KEY, from_item, to_item


class DynamoSwitch:
    """`ports.Switch` over one table, with the two methods that set it."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def paused(self) -> str | None:
        """Return who paused and why as one phrase, or None."""
        found = self._table.get(PAUSE_KEY)
        if found is None:
            return None
        row = from_item(found)
        return pause_phrase(row["by"], row.get("reason"))

    def set_paused(self, by: str, reason: str | None) -> None:
        """Stop destructive calls until `clear_paused`."""
        # Not `at`: the index sorts by it, so DynamoDB accepts only text there, even in items that are not listed.
        self._table.change(put(PAUSE_KEY | to_item({"by": by, "reason": reason, "since": self._clock.now()})))

    def clear_paused(self) -> None:
        """Allow destructive calls again."""
        self._table.change(delete(PAUSE_KEY))
