"""Read the current deployment: one item, read consistently before each destructive call, like the switch.

A waiting run keeps the version of the worker that started it. Only this item says what has been deployed since.
"""

from __future__ import annotations

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.table import Table
from closeout.stack.deployed import Deployed, unpack
from closeout.stack.table import DEPLOYED_KEY, REMOVAL_KEY, from_item


class DynamoDeployed:
    """Reads one table, and unpacks the item again only when its bytes have changed."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: tuple[bytes, Deployed] | None = None

    def read(self) -> Deployed | None:
        """Return what is deployed now; None if the stack was deployed by a version that did not write it.

        Raises `StoreUnavailable` if DynamoDB does not answer, and for an item that cannot be read: the caller waits,
        because a rule that cannot be read still applies.
        """
        found = self._table.get(DEPLOYED_KEY)
        if found is None:
            return None
        try:
            row = from_item(found)
            packed = row["data"]
            if self._kept is None or self._kept[0] != packed:
                self._kept = (packed, unpack(packed, float(row["since"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreUnavailable(
                f"what is deployed cannot be read from the ledger ({error}); deploy the stack again"
            ) from error
        return self._kept[1]

    def is_removed(self) -> bool:
        """Return whether the stack is being deleted. Raises `StoreUnavailable`."""
        return self._table.get(REMOVAL_KEY) is not None
