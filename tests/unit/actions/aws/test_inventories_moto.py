"""Every action with an inventory: it lists, page by page, exactly what its own plan would find, and only reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.loaders import Loader

from closeout.actions.aws import listing
from closeout.actions.registry import builtin
from closeout.actions.spec import Action, Existing
from closeout.config.inverses import naming
from closeout.core.automation import Step
from closeout.core.errors import ServiceError
from closeout.core.inverse import NamePatterns
from closeout.ports import Clients
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws.previews import create, fill_many, queue, template
from tests.until import until

INVENTORIES = [action for action in builtin().values() if action.inventory is not None]
BUCKET = "acme-previews"


def stacks(clients: Any) -> None:
    for name in ("preview-17", "preview-18", "preview-17-db", "other"):
        create(clients, name, template(Queue=queue(f"{name}-q")))
    clients.aws("cloudformation").delete_stack(StackName="preview-18")


def prefixes(clients: Any) -> None:
    clients.aws("s3").create_bucket(Bucket=BUCKET)
    for prefix in ("shop/17/", "shop/018/", "shop/x/", "web/17/"):
        fill_many(BUCKET, 3, prefix)
    clients.aws("s3").put_object(Bucket=BUCKET, Key="shop/19", Body=b"an object, and no prefix")


WORLDS: dict[str, tuple[dict[str, str], Callable[[Any], None], str]] = {
    "aws/cloudformation-delete-stack": (
        {"stack-name": "preview-${{ event.pull_request.number }}"},
        stacks,
        "preview-17",
    ),
    "aws/s3-delete-objects": (
        {"bucket": BUCKET, "prefix": "shop/${{ event.pull_request.number }}/"},
        prefixes,
        f"s3://{BUCKET}/shop/17/",
    ),
}
"""For each action: a step's inputs, what exists, and the one thing that belongs to a pull request."""


def named(action: Action, given: dict[str, str]) -> NamePatterns:
    step = Step(
        id="s",
        name="",
        uses=action.uses,
        inputs=given,
        timeout=1,
        retry_attempts=1,
        retry_backoff=1,
        destructive=True,
    )
    found = naming(step, action, "acme/shop")
    assert isinstance(found, NamePatterns)
    assert action.not_listed(found) is None
    return found


def listed(action: Action, form: NamePatterns, clients: Any) -> list[Existing]:
    assert action.inventory is not None
    return list(action.inventory([form], clients))


@pytest.mark.parametrize("action", INVENTORIES, ids=lambda action: action.uses)
def test_an_inventory_finds_what_the_plan_finds(action: Action, clients: Any, aws: FakeAws) -> None:
    """A listed name that can be parsed exists for the plan too; every call is declared and only reads."""
    given, fill, resource = WORLDS[action.uses]
    fill(clients)
    form = named(action, given)
    before = len(aws.requests())
    if action.uses == "aws/cloudformation-delete-stack":  # the deleted one has left the list by now
        until(
            "the end of a delete",
            lambda: all(one.resource != "preview-18" for one in listed(action, form, clients)),
        )
    found = [one for one in listed(action, form, clients) if form.number(one.inputs) is not None]
    operations = {entry["operation"] for entry in aws.requests()[before:]}
    assert [(one.resource, form.number(one.inputs)) for one in found] == [(resource, 17)]
    assert found[0].created is not None
    assert abs(found[0].created - time.time()) < 120
    rights = {
        name.partition(":")[2] for right in action.inventory_permissions(given) for name in right.actions
    }
    assert operations <= {*rights, "GetCallerIdentity", "ListObjectVersions"}
    assert all(name.startswith("List") for name in rights)
    defaults = {key: spec.default for key, spec in action.inputs.items()}
    before = len(aws.requests())
    assert action.plan({**defaults, **found[0].inputs}, clients)
    reads = {name.partition(":")[2] for right in action.plan_permissions(given) for name in right.actions}
    planned = {entry["operation"] for entry in aws.requests()[before:]}
    assert planned <= {*reads, "GetCallerIdentity", "ListObjectVersions"}


@pytest.mark.parametrize("action", INVENTORIES, ids=lambda action: action.uses)
def test_a_failed_listing_is_not_an_empty_one(action: Action, clients: Any, aws: FakeAws) -> None:
    """A missing permission is reported."""
    given, fill, _ = WORLDS[action.uses]
    fill(clients)
    aws.fault(operation="*", code="AccessDenied", status=403, times=9)
    with pytest.raises(ServiceError, match="AccessDenied"):
        listed(action, named(action, given), clients)


def test_a_missing_bucket_is_not_an_empty_listing(clients: Any) -> None:
    """Its name is wrong, or it was deleted: an audit that found nothing would report that all is clean."""
    action = builtin()["aws/s3-delete-objects"]
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        listed(action, named(action, WORLDS[action.uses][0]), clients)


def test_every_page_of_stacks_is_read() -> None:
    """AWS returns a hundred at a time, including nested stacks, which are deleted through their parent."""
    asked: list[dict[str, Any]] = []

    class Pages:
        def aws(self, _service: str) -> Pages:
            return self

        def list_stacks(self, **arguments: Any) -> dict[str, Any]:
            asked.append(arguments)
            row = {"StackStatus": "CREATE_COMPLETE", "CreationTime": datetime.now(UTC)}
            name = {"StackName": f"preview-{len(asked)}"}
            nested = {"StackName": "preview-9", "ParentId": "arn:parent"}
            return {
                "StackSummaries": [row | name, row | nested],
                "NextToken": "more" if len(asked) < 3 else None,
            }

    action = builtin()["aws/cloudformation-delete-stack"]
    found = listed(action, named(action, WORLDS[action.uses][0]), Pages())
    assert [one.resource for one in found] == ["preview-1", "preview-2", "preview-3"]
    assert [one.get("NextToken") for one in asked] == [None, "more", "more"]
    assert "DELETE_COMPLETE" not in asked[0]["StackStatusFilter"]


def test_stacks_in_every_state_are_listed() -> None:
    """Every state that CloudFormation knows, except deleted."""
    shape = Loader().load_service_model("cloudformation", "service-2")["shapes"]["StackStatus"]
    assert sorted(listing.STATES) == sorted({*shape["enum"]} - {"DELETE_COMPLETE"})


def test_a_stack_that_is_being_deleted_says_so(clients: Any, aws: FakeAws) -> None:
    """No other tool should delete it too."""
    create(clients, "preview-17", template(Queue=queue("q")))
    aws.delete_takes(60)
    try:
        clients.aws("cloudformation").delete_stack(StackName="preview-17")
        action = builtin()["aws/cloudformation-delete-stack"]
        (found,) = listed(action, named(action, WORLDS[action.uses][0]), clients)
        assert found.busy == "it is being deleted"
    finally:
        aws.delete_takes(0.1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prefix": "shop/${{ event.number }}/site/"}, "must end with the number and the delimiter"),
        ({"bucket": "pr-${{ event.number }}"}, "prefixes are listed in one bucket"),
    ],
)
def test_some_forms_of_a_prefix_are_not_listed(given: dict[str, str], told: str) -> None:
    """S3 groups keys by one delimiter after one fixed prefix."""
    action = builtin()["aws/s3-delete-objects"]
    step = Step(
        id="s",
        name="",
        uses=action.uses,
        inputs=WORLDS[action.uses][0] | given,
        timeout=1,
        retry_attempts=1,
        retry_backoff=1,
        destructive=True,
    )
    form = naming(step, action, "acme/shop")
    assert isinstance(form, NamePatterns)
    assert told in str(action.not_listed(form))


def test_every_inventory_is_tested_here() -> None:
    """A new one needs a world of its own."""
    assert {action.uses for action in INVENTORIES} == set(WORLDS)


def test_a_stack_that_was_updated_recently_is_not_an_orphan() -> None:
    """Someone may have adopted it: the last update counts as well as the creation."""
    made, updated = datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    row = {"StackName": "preview-17", "StackStatus": "UPDATE_COMPLETE", "CreationTime": made}
    page = {"StackSummaries": [row | {"LastUpdatedTime": updated}, row]}
    client = SimpleNamespace(list_stacks=lambda **_arguments: page)
    clients = cast("Clients", SimpleNamespace(aws=lambda _service: client))
    found = list(listing.stacks((), clients))
    assert [(one.created, one.changed) for one in found] == [
        (made.timestamp(), updated.timestamp()),
        (made.timestamp(), None),
    ]
