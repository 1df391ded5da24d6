"""Versions and delete markers in S3: list them, count them, delete a batch of them.

Each batch lists from the start again and keeps no marker. What the previous batch deleted is no longer listed, so
a crash between two batches, or a listing that ends early, does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from typing import Any

from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed, ServiceError

BATCH = 1000
"""The limit of one DeleteObjects or ListObjectVersions call."""
COUNT_CAP = 1_000_000
"""A plan stops counting here, which is above any sensible limit."""
# Errors of single keys after which the same key may go through (S3's documentation of DeleteObjects).
_TRANSIENT_KEYS = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker (0 bytes). `modified` is ISO 8601 in UTC."""

    key: str
    version_id: str
    modified: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """The bucket and prefix to list and delete. `owner` is the account that the bucket must belong to."""

    bucket: str
    owner: str
    prefix: str = ""

    def arguments(self) -> dict[str, str]:
        """Return the arguments of every call."""
        return {"Bucket": self.bucket, "ExpectedBucketOwner": self.owner}


def versions(client: Any, location: S3Location, *, missing_ok: bool = True) -> Iterator[Version]:
    """Yield every version and delete marker under a prefix, page by page.

    A bucket that does not exist yields none; with `missing_ok=False` it raises `ServiceError`.
    """
    arguments: dict[str, Any] = {**location.arguments(), "Prefix": location.prefix, "MaxKeys": BATCH}
    while True:
        try:
            page = client.list_object_versions(**arguments)
        except ServiceError as error:
            if error.reason == "NoSuchBucket" and missing_ok:
                return
            raise
        for row in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            yield Version(row["Key"], row["VersionId"], _moment(row["LastModified"]), int(row.get("Size", 0)))
        if not page["IsTruncated"]:
            return
        arguments["KeyMarker"] = page["NextKeyMarker"]
        arguments["VersionIdMarker"] = page.get("NextVersionIdMarker", "")


def _moment(value: Any) -> str:
    """Return a time as text that sorts like the time: UTC in whole seconds, the precision of S3."""
    return str(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def count(client: Any, location: S3Location) -> tuple[int, int]:
    """Return number and bytes of everything in a location, at most `COUNT_CAP` versions."""
    number = size = 0
    for version in islice(versions(client, location), COUNT_CAP):
        number += 1
        size += version.size
    return number, size


def next_batch(client: Any, location: S3Location, wanted: Callable[[Version], bool]) -> list[Version]:
    """Return the first wanted versions, at most `BATCH`. May read every page."""
    return list(islice(filter(wanted, versions(client, location)), BATCH))


def delete_all(
    work: Work,
    name: str,
    location: S3Location,
    wanted: Callable[[Version], bool],
    log: Callable[[Mapping[str, int]], str],
    ours: Callable[[], bool] = lambda: True,
) -> tuple[int, int]:
    """Delete all wanted versions in a location; return number and bytes.

    Each batch is one recorded operation, `NAME-1` and so on. `ours` is checked before a batch is listed, and again before it
    is deleted. Raises as `delete_batch` does.
    """
    found: list[Version] = []

    def look() -> None:
        found[:] = next_batch(work.clients.aws("s3"), location, wanted) if ours() else []

    def batch() -> dict[str, int]:
        done = delete_batch(work.clients.aws("s3"), location, found if found and ours() else [])
        if done["deleted"]:
            work.log(log(done))
        return done

    deleted = size = number = 0
    while True:
        number += 1
        done = work.change(f"{name}-{number}", batch, look=look)
        deleted, size = deleted + done["deleted"], size + done["bytes"]
        if not done["more"]:
            return deleted, size


def delete_batch(client: Any, location: S3Location, batch: Sequence[Version]) -> dict[str, int]:
    """Delete a batch in one call; return `{"deleted", "bytes", "more"}`, `more` 0 when it is empty.

    Raises `ActionFailed` with the keys that S3 refused, or a transient `ServiceError` if a retry may help.
    """
    if not batch:
        return {"deleted": 0, "bytes": 0, "more": 0}
    objects = [{"Key": version.key, "VersionId": version.version_id} for version in batch]
    answer = client.delete_objects(**location.arguments(), Delete={"Quiet": True, "Objects": objects})
    _raise_for_keys(location, answer.get("Errors", ()))
    # A listing can end early when the version at which it would continue was just deleted, so only an empty one is complete.
    return {"deleted": len(batch), "bytes": sum(version.size for version in batch), "more": 1}


def _raise_for_keys(location: S3Location, errors: Sequence[Mapping[str, Any]]) -> None:
    if not errors:
        return
    codes = {str(error.get("Code", "Unknown")) for error in errors}
    named = "; ".join(
        f"{error.get('Key')} (version {error.get('VersionId', 'null')}): "
        f"{error.get('Message') or 'no message'} ({error.get('Code', 'Unknown')})"
        for error in errors[:5]
    )
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    text = f"bucket {location.bucket}: {len(errors)} of a batch could not be deleted: {named}{more}"
    if codes <= _TRANSIENT_KEYS:
        raise ServiceError(text, service="s3", operation="DeleteObjects", reason=min(codes), transient=True)
    raise ActionFailed(text)
