"""Batches of versions over a small S3 of plain values, with answers that moto cannot produce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from closeout.actions.aws.buckets import S3Location, Version, count, delete_batch, next_batch, versions
from closeout.core.errors import ActionFailed, ServiceError

LOCATION = S3Location(bucket="b", owner="123456789012", prefix="p/")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class SmallS3:
    """An S3 with pages of two, and keys that it will not delete."""

    def __init__(self, *keys: str, refused: Mapping[str, str] | None = None, page: int = 2) -> None:
        self.keys = list(keys)
        self.refused = refused or {}
        self.page = page
        self.calls: list[dict[str, Any]] = []

    def list_object_versions(self, **arguments: Any) -> Mapping[str, Any]:
        """One page after the marker."""
        self.calls.append(arguments)
        rest = [key for key in self.keys if key > arguments.get("KeyMarker", "")]
        page = rest[: self.page]
        return {
            "Versions": [{"Key": key, "VersionId": "v", "LastModified": MOMENT, "Size": 3} for key in page],
            "IsTruncated": len(rest) > self.page,
            "NextKeyMarker": page[-1] if page else "",
            "NextVersionIdMarker": "v",
        }

    def delete_objects(self, **arguments: Any) -> Mapping[str, Any]:
        """Delete what is not refused."""
        self.calls.append(arguments)
        named = [item["Key"] for item in arguments["Delete"]["Objects"]]
        self.keys = [key for key in self.keys if key not in named or key in self.refused]
        errors = [
            {"Key": key, "VersionId": "v", "Code": self.refused[key], "Message": "said no"}
            for key in named
            if key in self.refused
        ]
        return {"Errors": errors} if errors else {}


def test_pages() -> None:
    """Every page is read, with the owner and the prefix in each request."""
    s3 = SmallS3(*"abcde")
    assert [version.key for version in versions(s3, LOCATION)] == list("abcde")
    assert len(s3.calls) == 3
    assert all(
        (call["ExpectedBucketOwner"], call["Prefix"], call["Bucket"]) == ("123456789012", "p/", "b")
        for call in s3.calls
    )
    assert count(SmallS3(*"abcde"), LOCATION) == (5, 15)


def deleted(s3: SmallS3, wanted: Callable[[Version], bool] = lambda _: True) -> dict[str, int]:
    """List a batch and delete it."""
    return delete_batch(s3, LOCATION, next_batch(s3, LOCATION, wanted))


def test_until_nothing_is_left() -> None:
    """A batch says that there may be more until a listing is empty."""
    s3 = SmallS3(*"abc")
    assert deleted(s3) == {"deleted": 3, "bytes": 9, "more": 1}
    assert deleted(s3) == {"deleted": 0, "bytes": 0, "more": 0}


def test_a_delete_requests_errors_only() -> None:
    """The answer would otherwise repeat a thousand keys.

    Each is deleted by version, for the owner named in the plan.
    """
    s3 = SmallS3("a")
    deleted(s3)
    assert s3.calls[-1] == {
        "Bucket": "b",
        "ExpectedBucketOwner": "123456789012",
        "Delete": {"Quiet": True, "Objects": [{"Key": "a", "VersionId": "v"}]},
    }


def test_only_matching_versions_are_listed() -> None:
    """Others are skipped, page after page."""
    s3 = SmallS3(*"abcdef")
    assert deleted(s3, lambda version: version.key == "f")["deleted"] == 1
    assert s3.keys == list("abcde")


@pytest.mark.parametrize(
    ("refused", "end"),
    [("bcdef", "f (version v): said no (AccessDenied)"), ("bcdefg", "; and 1 more")],
)
def test_refused_keys_are_named(refused: str, end: str) -> None:
    """Keys that S3 refused fail the batch by name, the first five of them; the others are deleted."""
    s3 = SmallS3(*"abcdefg", refused=dict.fromkeys(refused, "AccessDenied"))
    with pytest.raises(ActionFailed) as caught:
        deleted(s3)
    told = caught.value.message
    assert told.startswith(
        f"bucket b: {len(refused)} of a batch could not be deleted: b (version v): said no"
    )
    assert told.endswith(end)
    assert s3.keys == list(refused)


@pytest.mark.parametrize(
    ("codes", "transient"),
    [
        (("InternalError",), True),
        (("SlowDown", "InternalError"), True),
        (("InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"), True),
        (("InternalError", "AccessDenied"), False),
    ],
)
def test_a_batch_whose_refusals_are_all_transient_is_tried_again(
    codes: tuple[str, ...], transient: bool
) -> None:
    """If every refused key may work next time, nothing has failed for good."""
    s3 = SmallS3(*"abcd", refused=dict(zip("abcd", codes, strict=False)))
    with pytest.raises(ServiceError if transient else ActionFailed) as caught:
        deleted(s3)
    assert caught.value.transient is transient
