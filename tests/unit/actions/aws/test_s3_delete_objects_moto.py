"""aws/s3-delete-objects over HTTP against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.aws.s3_delete_objects import ACTION
from closeout.core.errors import InputError, RunCancelled, ServiceError, StepFailed
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws.previews import fill_many
from tests.work import Crashed, ImmediateWork

BUCKET = "acme-previews"
INPUTS = {"bucket": BUCKET, "prefix": "shop/1/", "delimiter": "/"}


@pytest.fixture
def s3(clients: Any) -> Any:
    """A versioned bucket with an object next to the prefix."""
    client = clients.aws("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=BUCKET, Key="shop/12/keep", Body=b"neighbour")
    return client


def left(s3: Any) -> list[str]:
    """Keys of every version and marker in the bucket."""
    page = s3.list_object_versions(Bucket=BUCKET)
    return sorted(row["Key"] for row in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())))


def test_deletes_every_version(clients: Any, s3: Any) -> None:
    """All versions and markers under the prefix are deleted, and no others; objects and bytes are reported."""
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"old")
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"newer")
    s3.put_object(Bucket=BUCKET, Key="shop/1/b", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="shop/1/b")
    (change,) = ACTION.plan(INPUTS, clients)
    assert (change.objects, change.bytes) == (4, 9)
    answer = ACTION.apply(change, INPUTS, ImmediateWork(clients))
    assert answer["summary"] == "deleted 4 versions, 9 bytes, under s3://acme-previews/shop/1/"
    assert left(s3) == ["shop/12/keep"]
    assert list(ACTION.verify([change], clients)) == []


def test_a_bucket_that_is_deleted_after_the_plan_is_empty(clients: Any, s3: Any) -> None:
    """Neither a batch nor the verification treats that as an error."""
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"x")
    (change,) = ACTION.plan(INPUTS, clients)
    for row in s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        s3.delete_object(Bucket=BUCKET, Key=row["Key"], VersionId=row["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)
    answer = ACTION.apply(change, INPUTS, ImmediateWork(clients))
    assert (answer["objects"], list(ACTION.verify([change], clients))) == (0, [])


def test_nothing_there(clients: Any, s3: Any) -> None:
    """An empty prefix gives an empty plan."""
    assert ACTION.plan(INPUTS, clients) == ()
    assert ACTION.absent is not None
    assert ACTION.absent(INPUTS) == "object under s3://acme-previews/shop/1/"


def test_bucket_that_is_not_there(clients: Any) -> None:
    """A bucket that does not exist is an error: it was never the preview's to lose."""
    with pytest.raises(ServiceError) as caught:
        ACTION.plan(INPUTS, clients)
    assert caught.value.reason == "NoSuchBucket"


def test_prefix_is_checked_again(clients: Any, s3: Any) -> None:
    """A prefix without its delimiter is refused at plan as well."""
    with pytest.raises(InputError, match="must end in"):
        ACTION.plan({**INPUTS, "prefix": "shop/1"}, clients)


def test_later_versions_stay(clients: Any, s3: Any) -> None:
    """A version written after the plan is neither deleted nor reported as left."""
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"old")
    (change,) = ACTION.plan(INPUTS, clients)
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"since")
    s3.put_object(Bucket=BUCKET, Key="shop/1/new", Body=b"since")
    ACTION.apply(change, INPUTS, ImmediateWork(clients))
    assert left(s3) == ["shop/1/a", "shop/1/new", "shop/12/keep"]
    assert s3.get_object(Bucket=BUCKET, Key="shop/1/a")["Body"].read() == b"since"
    assert list(ACTION.verify([change], clients)) == []


def test_batches(clients: Any, s3: Any, aws: FakeAws) -> None:
    """1,150 versions take two batches of at most 1,000; dying after one costs nothing."""
    fill_many(BUCKET, 1150, "shop/1/")
    (change,) = ACTION.plan(INPUTS, clients)
    assert change.objects == 1150
    operations: dict[str, Any] = {}
    with pytest.raises(Crashed):
        ACTION.apply(
            change,
            INPUTS,
            ImmediateWork(clients, operations=operations, crash=lambda name: name == "delete-1"),
        )
    answer = ACTION.apply(change, INPUTS, ImmediateWork(clients, operations=operations))
    assert left(s3) == ["shop/12/keep"]
    assert answer["objects"] == 150, "the batch that was not recorded is not counted twice"


@pytest.mark.usefixtures("small_batches")
def test_cancelled_between_batches(clients: Any, s3: Any) -> None:
    """A run that is cancelled keeps what it has not deleted yet."""
    fill_many(BUCKET, 30, "shop/1/")
    (change,) = ACTION.plan(INPUTS, clients)

    def guard(name: str) -> None:
        if name == "delete-2":
            raise RunCancelled(name, "reopened", "open again")

    with pytest.raises(RunCancelled):
        ACTION.apply(change, INPUTS, ImmediateWork(clients, guard=guard))
    assert len(left(s3)) == 11
    (found,) = ACTION.verify([change], clients)
    assert found.reason.startswith("10 versions are left")


@pytest.mark.parametrize(
    ("code", "status", "waits"),
    [("SlowDown", 503, True), ("InternalError", 500, True), ("AccessDenied", 403, False)],
)
def test_errors_of_the_call(clients: Any, s3: Any, aws: FakeAws, code: str, status: int, waits: bool) -> None:
    """A busy S3 is waited for; a refusal ends the step and deletes nothing."""
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"x")
    (change,) = ACTION.plan(INPUTS, clients)
    aws.fault(operation="DeleteObjects", code=code, status=status, times=2)
    if waits:
        ACTION.apply(change, INPUTS, ImmediateWork(clients))
        assert left(s3) == ["shop/12/keep"]
    else:
        with pytest.raises(StepFailed, match="AccessDenied"):
            ACTION.apply(change, INPUTS, ImmediateWork(clients))
        assert len(left(s3)) == 2


def test_the_expected_owner_is_sent_with_every_call(clients: Any, s3: Any, aws: FakeAws) -> None:
    """A bucket that belongs to another account answers 403, and nothing is deleted."""
    s3.put_object(Bucket=BUCKET, Key="shop/1/a", Body=b"x")
    (change,) = ACTION.plan(INPUTS, clients)
    strange = {**change.to_json(), "identity": {**change.identity, "owner": "999999999999"}}
    with pytest.raises(StepFailed, match="AccessDenied"):
        ACTION.apply(type(change).from_json(strange), INPUTS, ImmediateWork(clients))
    (found,) = ACTION.verify([type(change).from_json(strange)], clients)
    assert "could not be verified" in found.reason
    assert len(left(s3)) == 2
