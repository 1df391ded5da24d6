"""Batches of DeleteObjects: each is listed first and guarded then, so that only the delete comes after the guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from closeout.actions.aws.cloudformation_delete_stack import ACTION as DELETE_STACK
from closeout.actions.aws.s3_delete_objects import ACTION as DELETE_OBJECTS
from closeout.actions.aws.teardown import PlannedStack, Teardown
from closeout.actions.spec import Action
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws.previews import ACCOUNT, bucket, create, fill_many, template
from tests.work import ImmediateWork

STACK = "preview-17"
ASSETS = "preview-17-assets"
STEPS = {
    "delete-stack": (DELETE_STACK, {"stack-name": STACK, "empty-buckets": True, "role-arn": None}, "empty-"),
    "delete-objects": (DELETE_OBJECTS, {"bucket": ASSETS, "prefix": "old/", "delimiter": "/"}, "delete-"),
}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("step", STEPS)
def test_between_the_guards_and_a_delete_nothing_is_listed(clients: Any, aws: FakeAws, step: str) -> None:
    """Listing a prefix of a hundred thousand versions takes minutes, and a pull request is reopened in a second."""
    action, inputs, batches = STEPS[step]
    create(clients)
    fill_many(ASSETS, 30, "old/")
    guarded: list[int] = []

    def guard(name: str) -> None:
        if name.startswith(batches):
            guarded.append(len(aws.requests()))

    carry_out(clients, action, inputs, guard)
    operations = [entry["operation"] for entry in aws.requests()]
    assert len(guarded) == 3, "two batches, and one that finds nothing more"
    assert [operations[at - 1] for at in guarded] == ["ListObjectVersions"] * 3
    for at in guarded[:2]:
        behind = [name for name in operations[at:] if name != "DescribeStacks"]
        assert behind[0] == "DeleteObjects"


def test_a_bucket_that_changed_hands_after_the_listing_is_not_emptied(clients: Any, aws: FakeAws) -> None:
    """The stack's state is read again after the guards: a new stack may own a bucket of that name.

    In a bucket without versioning, its objects have the old names, and no id that distinguishes them.
    """
    plain = template(Assets=bucket(ASSETS, versioned=False))
    index = {"Bucket": ASSETS, "Key": "index.html", "Body": b"x"}
    stack_id = create(clients, body=plain)
    clients.aws("s3").put_object(**index)
    handed: list[str] = []

    def guard(name: str) -> None:
        if name.startswith("empty-") and not handed:
            handed.append(name)
            other = ImmediateWork(clients, execution="b" * 26 + "-1")
            Teardown(
                PlannedStack(stack_id, STACK, ACCOUNT, 2, (ASSETS,)), other, empty_buckets=True, role_arn=None
            ).run()
            create(clients, body=plain)
            clients.aws("s3").put_object(**index)

    action, inputs, _ = STEPS["delete-stack"]
    carry_out(clients, action, inputs, guard)
    assert handed
    assert clients.aws("s3").get_object(Bucket=ASSETS, Key="index.html")["Body"].read() == b"x"


def carry_out(clients: Any, action: Action, inputs: Any, guard: Callable[[str], None]) -> None:
    """Plan and apply."""
    changes = action.plan(inputs, clients)
    action.apply(changes[0], inputs, ImmediateWork(clients, guard=guard))
