"""What is deployed: one item, read consistently before each destructive call, as the switch is.

A run that waits keeps the worker's version that it was started on; what was deployed since is here alone.
"""

from __future__ import annotations

from closeout.core.errors import StoreUnavailable
from closeout.ledger.dynamodb.table import Table
from closeout.stack.deployed import Deployed, unpack
from closeout.stack.table import DEPLOYED_KEY, from_item


class DynamoDeployed:
    """Over one table. What was unpacked is kept until the item has other bytes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: tuple[bytes, Deployed] | None = None

    def read(self) -> Deployed | None:
        """Return what is deployed now; None if the stack was deployed by a version that did not write it.

        Raises `StoreUnavailable` without an answer, and for an item that cannot be read: whoever asks waits until it
        can, since no rule may count as lifted because nobody could read it.
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
