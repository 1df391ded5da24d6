"""What AWS refuses, over plain answers: an error is raised or reported, and never read as gone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from closeout.actions.aws import cloudformation_delete_stack, s3_delete_objects, stacks
from closeout.actions.aws.buckets import Version
from closeout.actions.aws.stacks import Failure
from closeout.actions.aws.tag_reads import StackMember
from closeout.actions.aws.tags import _Reader
from closeout.actions.aws.teardown import PlannedStack, Teardown
from closeout.actions.aws.together import each
from closeout.core.errors import ServiceError
from closeout.core.plan import Change
from tests.work import ImmediateWork

ACCOUNT = "123456789012"
ID = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/preview-17/1"
GONE = "Stack with id preview-17 does not exist"
BUCKET = "AWS::S3::Bucket"


def error(reason: str, message: str = "No", *, transient: bool = False) -> ServiceError:
    """Return an error of AWS."""
    return ServiceError(message, service="x", operation="y", reason=reason, transient=transient)


def raises(problem: Exception) -> Callable[..., Any]:
    """Return a call that raises."""

    def call(**_arguments: Any) -> Any:
        raise problem

    return call


def clients(**calls: Callable[..., Any]) -> Any:
    """Return clients whose every service has these operations."""
    return SimpleNamespace(aws=lambda _service: SimpleNamespace(**calls))


@pytest.mark.parametrize(
    ("reason", "message", "known"),
    [
        ("ValidationError", GONE, True),
        ("ValidationError", "1 validation error detected", False),
        ("AccessDenied", f"{GONE} or you may not see it", False),
    ],
)
def test_only_one_error_message_means_that_a_stack_is_gone(reason: str, message: str, known: bool) -> None:
    """Any other refusal says nothing about its resources, nor about their owner."""
    client = clients(
        list_stack_resources=raises(error(reason, message)),
        describe_stack_resources=raises(error(reason, message)),
    ).aws("cloudformation")
    if known:
        assert (stacks.resource_statuses(client, ID), stacks.owner(client, "b")) == ({}, None)
        return
    for read in (lambda: stacks.resource_statuses(client, ID), lambda: stacks.owner(client, "b")):
        with pytest.raises(ServiceError):
            read()


def failure(kind: str, physical_id: str, reason: str) -> Failure:
    """Return why a resource was not deleted."""
    return Failure(type=kind, logical_id="A", physical_id=physical_id, reason=reason)


@pytest.mark.parametrize(
    ("failed", "empties", "fix"),
    [
        (failure(BUCKET, "other", "BucketNotEmpty"), True, "rerun to plan again"),
        (failure(BUCKET, "assets", "BucketNotEmpty"), False, "set `empty-buckets: true`"),
        (failure(BUCKET, "assets", "BucketNotEmpty"), True, "something writes to it"),
        (failure("AWS::ECR::Repository", "a", "not empty"), True, "delete its images"),
        (failure(BUCKET, "assets", "Access Denied"), True, "remove what is in the way"),
    ],
)
def test_each_failure_says_what_to_do(failed: Failure, empties: bool, fix: str) -> None:
    """The message is in the step's error."""
    doomed = PlannedStack(ID, "preview-17", ACCOUNT, 1, ("assets",))
    teardown = Teardown(doomed, ImmediateWork(clients()), empty_buckets=empties, role_arn=None)
    assert fix in teardown._explain([failed], "")


def test_a_delete_that_someone_else_continues_is_joined() -> None:
    """While closeout waits for the reason of a failure, the stack may be deleted again, or disappear."""
    looks = [{"StackStatus": "DELETE_IN_PROGRESS", "StackId": ID, "StackName": "preview-17"}]
    work = ImmediateWork(clients(describe_stacks=lambda **_named: {"Stacks": looks}))
    teardown = Teardown(
        PlannedStack(ID, "preview-17", ACCOUNT, 1, ()), work, empty_buckets=False, role_arn=None
    )
    end = {"state": "failed", "failures": [], "reason": "", "at": 0.0}
    assert teardown._why(1, {"marker": None}, end)["moved"] is True


@pytest.mark.parametrize(
    ("reason", "message", "waits"),
    [
        ("ValidationError", "Stack is in UPDATE_IN_PROGRESS state and can not be deleted", True),
        ("ValidationError", "Stack cannot be deleted while TerminationProtection is enabled", False),
        ("AccessDenied", "not authorized in UPDATE_IN_PROGRESS", False),
    ],
)
def test_only_an_operation_in_progress_delays_a_delete(reason: str, message: str, waits: bool) -> None:
    """It began after the check, and will end. Any other refusal of CloudFormation fails the step."""
    work = ImmediateWork(clients(delete_stack=raises(error(reason, message))))
    teardown = Teardown(
        PlannedStack(ID, "preview-17", ACCOUNT, 1, ()), work, empty_buckets=False, role_arn=None
    )
    with pytest.raises(ServiceError, match=message) as caught:
        teardown._delete(1)
    assert caught.value.transient is waits


@pytest.mark.parametrize(
    ("state", "empties"), [("DELETE_FAILED", True), ("DELETE_IN_PROGRESS", False), (None, False)]
)
def test_a_bucket_is_emptied_only_while_its_stack_could_not_be_deleted(
    state: str | None, empties: bool
) -> None:
    """A stack that is being deleted again, or is gone, may have left the bucket's name to another."""
    known = [] if state is None else [{"StackStatus": state, "StackId": ID, "StackName": "preview-17"}]
    gone = error("ValidationError", f"Stack with id {ID} does not exist")
    look = (lambda **_named: {"Stacks": known}) if known else raises(gone)
    work = ImmediateWork(clients(describe_stacks=look))
    teardown = Teardown(
        PlannedStack(ID, "preview-17", ACCOUNT, 1, ()), work, empty_buckets=True, role_arn=None
    )
    assert teardown._stuck() is empties


def test_a_resource_belongs_to_the_stack_that_has_it_now() -> None:
    """CloudFormation's answer has every resource of the stack, including those that it deleted."""

    def owner(*rows: tuple[str, str, str]) -> str | None:
        found = [
            {"PhysicalResourceId": name, "StackId": stack, "ResourceStatus": status}
            for name, stack, status in rows
        ]
        calls = clients(describe_stack_resources=lambda **_named: {"StackResources": found})
        return stacks.owner(calls.aws("cloudformation"), "assets")

    other, old = ("queue", "other", "CREATE_COMPLETE"), ("assets", "old", "DELETE_COMPLETE")
    assert owner(other, old, ("assets", "new", "CREATE_COMPLETE")) == "new"
    assert owner(other, old) is None


def test_a_resource_without_its_own_check_follows_cloudformation() -> None:
    """It is left while its stack exists and does not list it as deleted."""

    def left(stack: str | None, word: str | None) -> bool:
        known = [] if stack is None else [{"StackId": ID, "StackName": "preview-17", "StackStatus": stack}]
        rows = [] if word is None else [{"LogicalResourceId": "A", "ResourceStatus": word}]
        looks = cloudformation_delete_stack._StackStates(
            clients(
                describe_stacks=lambda **_named: {"Stacks": known},
                list_stack_resources=lambda **_named: {"StackResourceSummaries": rows},
                describe_stack_resources=lambda **_named: {"StackResources": []},
            )
        )
        identity = {
            "type": "Custom::Thing",
            "physical_id": "a",
            "stack_id": ID,
            "logical_id": "A",
            "account": ACCOUNT,
        }
        return looks.resource(identity) is not None

    assert left("DELETE_FAILED", "DELETE_FAILED")
    assert left("DELETE_FAILED", None)
    assert not left("DELETE_FAILED", "DELETE_COMPLETE")
    assert not left("DELETE_FAILED", "DELETE_SKIPPED")


def test_tags_that_fill_more_than_one_answer_are_refused() -> None:
    """A tag that protects might be among the others."""
    many = clients(list_tags_for_stream=lambda **_named: {"HasMoreTags": True, "Tags": []})
    with pytest.raises(ValueError, match="more tags"):
        list(_Reader(many)._read(StackMember("AWS::Kinesis::Stream", "s", ID, ACCOUNT)))


FROZEN = s3_delete_objects.freeze([Version("k", "v", "2026-01-01T00:00:00Z", 1)], 10).frozen.to_json()


def test_a_refused_listing_is_left_over_and_a_transient_one_is_repeated() -> None:
    """A refusal is not an empty bucket."""
    identity = {"bucket": "b", "owner": ACCOUNT, "prefix": "p/", "frozen": FROZEN}
    change = Change(verb="delete", resource="b/p/", reason="", identity=identity)
    (left,) = s3_delete_objects.verify([change], clients(list_object_versions=raises(error("AccessDenied"))))
    assert left.reason == "could not be verified: No"
    with pytest.raises(ServiceError):
        s3_delete_objects.verify(
            [change], clients(list_object_versions=raises(error("SlowDown", transient=True)))
        )


def test_a_refusal_among_several_reads_is_raised_and_not_repeated() -> None:
    """Only transient errors are read again, one after the other."""
    asked: list[int] = []

    def read(item: int) -> int:
        asked.append(item)
        if item == 1:
            raise error("AccessDenied")
        return item

    with pytest.raises(ServiceError):
        each(read, range(3))
    assert asked.count(1) == 1


@pytest.mark.parametrize(
    ("reason", "message", "gone"),
    [
        ("ValidationError", f"Stack with id {ID} does not exist", True),
        ("ValidationError", f"Stack with id {ID}2 does not exist", False),
        ("ValidationError", "1 validation error detected", False),
        ("AccessDenied", f"Stack with id {ID} does not exist", False),
    ],
)
def test_a_nested_stack_has_no_tags_only_if_cloudformation_says_it_is_gone(
    reason: str, message: str, gone: bool
) -> None:
    """If its tags cannot be read, a tag might protect it."""
    reader = _Reader(clients(describe_stacks=raises(error(reason, message))))
    named = StackMember("AWS::CloudFormation::Stack", ID, ID, ACCOUNT)
    if gone:
        assert list(reader._read(named)) == []
    else:
        with pytest.raises(ServiceError):
            list(reader._read(named))


@pytest.mark.parametrize(
    ("row", "listed"),
    [
        ({"PhysicalResourceId": "b", "ResourceStatus": "CREATE_COMPLETE"}, True),
        ({"PhysicalResourceId": "b", "ResourceStatus": "DELETE_FAILED"}, True),
        ({"PhysicalResourceId": "b", "ResourceStatus": "DELETE_COMPLETE"}, False),
        ({"PhysicalResourceId": "b", "ResourceStatus": "DELETE_SKIPPED"}, False),
        ({"ResourceStatus": "CREATE_FAILED"}, False),
        ({"PhysicalResourceId": "", "ResourceStatus": "CREATE_IN_PROGRESS"}, False),
    ],
)
def test_resources_that_were_never_made_or_are_deleted_are_not_planned(
    row: dict[str, Any], listed: bool
) -> None:
    """A plan names what exists."""
    whole = {**row, "LogicalResourceId": "B", "ResourceType": BUCKET}
    client = clients(
        get_template=lambda **_named: {"TemplateBody": {"Resources": {}}},
        list_stack_resources=lambda **_named: {"StackResourceSummaries": [whole]},
    ).aws("cloudformation")
    found = list(stacks._own_resources(client, {"StackId": ID, "StackName": "preview-17"}, kept=False))
    assert [one.logical_id for one in found] == (["B"] if listed else [])
