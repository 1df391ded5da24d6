"""Addresses in the AWS console."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.server.pages.console import links
from tests.contract.http.page_world import step

STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-17/51af3dc0"


def change(resource: str, **identity: Any) -> dict[str, Any]:
    """Return a planned change."""
    return {"verb": "delete", "resource": resource, "identity": identity}


def found(*changes: dict[str, Any]) -> Any:
    """Return the addresses of a step's resources."""
    return links(step("one", "failure", changes=changes))


def test_a_stack_and_its_parts_have_pages() -> None:
    """In the region of the stack; a part of an unknown type has none."""
    assert found(
        change("stack preview-17", stack_id=STACK),
        change("bucket", type="AWS::S3::Bucket", physical_id="a b&c", stack_id=STACK),
        change("odd", type="Custom::Thing", physical_id="x", stack_id=STACK),
        {"verb": "keep", "resource": "kept"},
    ) == {
        "stack preview-17": "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1"
        "#/stacks/stackinfo?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A123456789012%3Astack%2Fpreview-17%2F51af3dc0",
        "bucket": "https://eu-central-1.console.aws.amazon.com/s3/buckets/a%20b%26c?region=eu-central-1",
    }


@pytest.mark.parametrize(
    ("partition", "host"),
    [("aws-us-gov", "console.amazonaws-us-gov.com"), ("aws-cn", "console.amazonaws.cn"), ("aws-other", None)],
)
def test_each_partition_has_its_own_console(partition: str, host: str | None) -> None:
    """One that is not known has none."""
    addresses = found(change("s", stack_id=STACK.replace(":aws:", f":{partition}:")))
    assert (f".{host}/" in addresses["s"]) if host else addresses == {}


def test_a_prefix_has_a_page_without_a_region() -> None:
    """S3 finds the region of a bucket by itself."""
    assert found(change("s3://b/p/", bucket="b", prefix="pr-17/")) == {
        "s3://b/p/": "https://s3.console.aws.amazon.com/s3/buckets/b?prefix=pr-17%2F"
    }


def test_without_a_plan_there_is_no_address() -> None:
    """Nor without identities."""
    assert links(step("one", "failure")) == {}
    assert found({"verb": "delete", "resource": "x"}, change("y", stack_id="nonsense")) == {}
