"""Bodies of deliveries: compressed with zlib in the table, or as an object in the bucket if they are too large.

Callers that read a payload need not know which.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from closeout.adapters.aws import translated
from closeout.core.errors import LedgerError, NotFound, ServiceError, StoreUnavailable
from closeout.core.payload import from_form
from closeout.ledger.dynamodb.table import Table
from closeout.stack.table import Item, body_key, from_item

T = TypeVar("T")

GONE = frozenset(("NoSuchKey", "NoSuchBucket", "404"))


class Bodies:
    """Reads bodies. `s3` returns boto3's low-level client of the bucket's region; most runs never need it."""

    def __init__(self, table: Table, s3: Callable[[], Any], bucket: str, *, now: Callable[[], float]) -> None:
        self._table = table
        self._s3 = s3
        self._bucket = bucket
        self._now = now

    def text(self, delivery: str) -> bytes:
        """Return a delivery's payload as JSON text, decoded if it was sent as a form.

        Raises `NotFound` if there is none, `LedgerError` if it cannot be read, `StoreUnavailable` without an answer.
        """
        return self.unpacked(delivery, self._table.get(body_key(delivery)))

    def unpacked(self, delivery: str, found: Item | None) -> bytes:
        """Return a delivery's payload from its item. Raises as `text` does."""
        if found is None:
            raise NotFound(f"the ledger has no delivery {delivery}, or its body has expired")
        row = from_item(found)
        packed = row["data"] if "data" in row else self._object(row["object"])
        try:
            body = zlib.decompress(packed)
        except zlib.error as error:
            raise LedgerError(f"the body of delivery {delivery} is damaged ({error})") from error
        return from_form(body) if row.get("form") else body

    def renew(self, delivery: str) -> None:
        """Write a body's object again, so that it expires as late as a new one; do nothing for a body in the table.

        The bucket expires objects by the day on which they were written. Raises as `text` does.
        """
        found = self._table.get(body_key(delivery))
        name = from_item(found).get("object") if found else None
        if name is None:
            return

        def write() -> None:
            place = {"Bucket": self._bucket, "Key": name}
            self._s3().copy_object(**place, CopySource=place, MetadataDirective="REPLACE")

        self._asked("CopyObject", name, write)

    def _object(self, name: str) -> bytes:
        return self._asked(
            "GetObject",
            name,
            lambda: bytes(self._s3().get_object(Bucket=self._bucket, Key=name)["Body"].read()),
        )

    def _asked(self, operation: str, name: str, ask: Callable[[], T]) -> T:
        try:
            with translated("s3", operation, self._now):
                return ask()
        except ServiceError as error:
            if error.reason in GONE:
                raise LedgerError(
                    f"the body {name} is no longer in the bucket {self._bucket}: it has expired, or was removed"
                ) from error
            raise StoreUnavailable(
                f"a body cannot be read from the bucket {self._bucket} or renewed there now: {error.message}"
            ) from error
