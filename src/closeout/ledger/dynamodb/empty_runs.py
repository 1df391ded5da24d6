"""Count, by automation, successful runs that found nothing to delete, until one finds something: a name may be wrong.

Counted after the end of a run is stored, not with it: a process that dies in between costs one count, and runs that end at the
same time do not wait for each other.
"""

from __future__ import annotations

from closeout.core.runs import found_nothing
from closeout.ledger.dynamodb.table import Action, Table, put
from closeout.stack import table as layout
from closeout.stack.table import from_item, to_item


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
        key = layout.empty_runs_key(automation)
        row = from_item(self._table.get(key) or {})
        if "found" not in row:
            if found_nothing(summary):
                self._table.change(_one_more(automation))
                return int(row.get("count", 0)) + 1
            self._table.change(put(key | to_item({"automation": automation, "found": True})))
        self._found.add(automation)
        return 0

    def counts(self) -> dict[str, int]:
        """Return the counts of automations that have never found anything. Raises `StoreUnavailable`."""
        rows = map(from_item, self._table.query(layout.EMPTY_RUNS, layout.OF_AUTOMATION))
        return {row["automation"]: row["count"] for row in rows if "found" not in row}


def _one_more(automation: str) -> Action:
    return {
        "Update": {
            "Key": layout.empty_runs_key(automation),
            "UpdateExpression": "SET automation = :automation ADD #count :one",
            "ExpressionAttributeNames": {"#count": "count"},
            "ExpressionAttributeValues": to_item({":one": 1, ":automation": automation}),
        }
    }
