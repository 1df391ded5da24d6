"""Count, by automation, successful runs that found nothing to delete, until one finds something: a name may be wrong.

A run is counted after its end is stored, not in the same transaction, so runs that end at the same time do not wait for each
other. If the process dies in between, one count is lost.
"""

from __future__ import annotations

from closeout.core.runs import found_nothing
from closeout.ledger.dynamodb.table import Action, Table, put
from closeout.stack.table import RECORD, Item, from_item, to_item

PARTITION = f"{RECORD}empty-runs"
"""No run has such an id."""
PREFIX = "automation#"


class EmptyRuns:
    """Counts over one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._found: set[str] = set()
        """Automations that are known to have found something."""

    def note(self, automation: str, summary: str) -> int:
        """Count a successful run; return how many found nothing, 0 once one has found something. Raises `StoreUnavailable`."""
        if automation in self._found:
            return 0
        key = _key(automation)
        row = from_item(self._table.get(key) or {})
        if "found" not in row:
            if found_nothing(summary):
                self._table.change(_one_more(key, automation))
                return int(row.get("count", 0)) + 1
            self._table.change(put(key | to_item({"automation": automation, "found": True})))
        self._found.add(automation)
        return 0

    def counts(self) -> dict[str, int]:
        """Return the counts of automations that have never found anything. Raises `StoreUnavailable`."""
        rows = map(from_item, self._table.query(PARTITION, PREFIX))
        return {row["automation"]: row["count"] for row in rows if "found" not in row}


def _key(automation: str) -> Item:
    return {"pk": {"S": PARTITION}, "sk": {"S": f"{PREFIX}{automation}"}}


def _one_more(key: Item, automation: str) -> Action:
    return {
        "Update": {
            "Key": key,
            "UpdateExpression": "SET automation = :automation ADD #count :one",
            "ExpressionAttributeNames": {"#count": "count"},
            "ExpressionAttributeValues": to_item({":one": 1, ":automation": automation}),
        }
    }
