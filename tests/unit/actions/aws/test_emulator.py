"""The emulator's own rules: what CloudFormation's real delete does and moto does not. See emulators.md."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from closeout.adapters.aws import AwsClients
from closeout.core.errors import ServiceError
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws
from tests.ledger_table import create_ledger
from tests.unit.actions.aws import previews
from tests.unit.actions.aws.previews import bucket, create, fill, queue, status, table, template

STACK = "preview-17"


def settle(clients: Any, stack: str) -> str:
    """Wait until a stack is at rest; return its state (by id)."""
    for _ in range(200):
        state = status(clients, stack)
        if not state.endswith("_IN_PROGRESS"):
            return state
        time.sleep(0.01)
    raise AssertionError(state)


def delete(clients: Any, stack: str, token: str = "t1") -> None:
    """Ask for a delete."""
    clients.aws("cloudformation").delete_stack(StackName=stack, ClientRequestToken=token)


def events(clients: Any, stack: str) -> list[tuple[str, str]]:
    """Logical id and state, the oldest first."""
    rows = clients.aws("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return [(row["LogicalResourceId"], row["ResourceStatus"]) for row in rows[::-1]]


def refused(call: Callable[[], Any]) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(ServiceError) as caught:
        call()
    return caught.value.message


def test_delete_takes_time(clients: Any, aws: FakeAws) -> None:
    """A delete is first in progress, and its resources go one by one, dependents first."""
    stack = create(clients)
    aws.stop_deletes_at_the_end()
    delete(clients, stack)
    assert status(clients, stack) == "DELETE_IN_PROGRESS"
    aws.let_deletes_end()
    assert settle(clients, stack) == "DELETE_COMPLETE"
    gone = [name for name, state in events(clients, stack) if state == "DELETE_COMPLETE"]
    assert gone == ["Table", "Assets", STACK]


def test_deleted_stack_is_found_by_id_only(clients: Any) -> None:
    """By name a deleted stack does not exist; by id it is DELETE_COMPLETE."""
    stack = create(clients)
    delete(clients, stack)
    settle(clients, stack)
    assert "does not exist" in refused(lambda: status(clients, STACK))
    assert status(clients, stack) == "DELETE_COMPLETE"


@pytest.mark.parametrize("content", ["object", "old version", "delete marker"])
def test_full_bucket_fails(clients: Any, content: str) -> None:
    """Anything in a bucket, even a delete marker, ends in DELETE_FAILED; independent resources are deleted."""
    stack = create(clients)
    s3 = clients.aws("s3")
    if content == "object":
        s3.put_object(Bucket="preview-17-assets", Key="a", Body=b"x")
    else:
        version = s3.put_object(Bucket="preview-17-assets", Key="a", Body=b"x")["VersionId"]
        s3.delete_object(Bucket="preview-17-assets", Key="a")
        if content == "delete marker":
            s3.delete_object(Bucket="preview-17-assets", Key="a", VersionId=version)
    delete(clients, stack)
    assert settle(clients, stack) == "DELETE_FAILED"
    assert "preview-17-assets" in previews.bucket_names(clients)
    assert clients.aws("dynamodb").list_tables()["TableNames"] == []


def test_failure_blocks_what_it_needs(clients: Any) -> None:
    """The dependencies of a resource that failed are not touched."""
    stack = create(
        clients, body=template(Queue=queue("q"), Assets=bucket("preview-17-assets", DependsOn="Queue"))
    )
    fill(clients)
    delete(clients, stack)
    settle(clients, stack)
    assert ("Queue", "DELETE_IN_PROGRESS") not in events(clients, stack)


def test_token(clients: Any, aws: FakeAws) -> None:
    """The same token again does nothing, another one deletes again; events contain the token."""
    stack = create(clients)
    fill(clients)
    delete(clients, stack, "one")
    settle(clients, stack)
    delete(clients, stack, "one")
    assert status(clients, stack) == "DELETE_FAILED"
    aws.delete_takes(3600)
    delete(clients, stack, "two")
    assert status(clients, stack) == "DELETE_IN_PROGRESS"
    newest = clients.aws("cloudformation").describe_stack_events(StackName=stack)["StackEvents"][0]
    assert newest["ClientRequestToken"] == "two"


def test_name_in_use_again(clients: Any) -> None:
    """A delete by the old id never touches a new stack of the same name."""
    old = create(clients, body=template(Queue=queue("q")))
    delete(clients, old)
    settle(clients, old)
    new = create(clients, body=template(Queue=queue("q")))
    delete(clients, old, "again")
    assert settle(clients, new) == "CREATE_COMPLETE"


def test_update_in_progress_refuses(clients: Any, aws: FakeAws) -> None:
    """A stack that is being updated refuses, until it is done."""
    stack = create(clients)
    aws.stack_status(STACK, "UPDATE_IN_PROGRESS", seconds=3600, then="UPDATE_COMPLETE")
    assert "cannot be deleted while in status UPDATE_IN_PROGRESS" in refused(lambda: delete(clients, stack))
    aws.stack_status(STACK, "UPDATE_IN_PROGRESS", seconds=0, then="UPDATE_COMPLETE")
    assert settle(clients, stack) == "UPDATE_COMPLETE"


def test_termination_protection(clients: Any) -> None:
    """A protected stack refuses and stays as it is."""
    stack = create(clients, EnableTerminationProtection=True)
    assert "TerminationProtection is enabled" in refused(lambda: delete(clients, stack))
    assert status(clients, stack) == "CREATE_COMPLETE"


def test_export_in_use(clients: Any) -> None:
    """A stack whose export is in use returns to its previous state, with a reason."""
    output = {"Value": {"Ref": "Queue"}, "Export": {"Name": "url"}}
    body = json.dumps({"Resources": {"Queue": queue("q")}, "Outputs": {"Url": output}})
    stack = create(clients, body=body)
    create(clients, "user", template(Other=queue("r", Metadata={"Uses": {"Fn::ImportValue": "url"}})))
    delete(clients, stack)
    assert settle(clients, stack) == "CREATE_COMPLETE"
    described = clients.aws("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    assert described["StackStatusReason"] == "Export url cannot be deleted as it is in use by user"


def test_retained_resource_stays(clients: Any) -> None:
    """DeletionPolicy Retain skips a resource, whatever it contains."""
    stack = create(
        clients, body=template(Kept=bucket("preview-17-assets", DeletionPolicy="Retain"), T=table("t"))
    )
    fill(clients)
    delete(clients, stack)
    assert settle(clients, stack) == "DELETE_COMPLETE"
    assert ("Kept", "DELETE_SKIPPED") in events(clients, stack)
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_versioning_of_templates(clients: Any) -> None:
    """VersioningConfiguration in a template counts."""
    create(clients)
    assert clients.aws("s3").get_bucket_versioning(Bucket="preview-17-assets")["Status"] == "Enabled"


def test_undeletable(clients: Any, aws: FakeAws) -> None:
    """A switch makes a resource fail a number of times, with a given reason."""
    stack = create(clients)
    aws.undeletable(STACK, "Table", "it is in use", times=1)
    delete(clients, stack, "one")
    assert settle(clients, stack) == "DELETE_FAILED"
    delete(clients, stack, "two")
    assert settle(clients, stack) == "DELETE_COMPLETE"


def test_repository_with_images(clients: Any) -> None:
    """A repository that still holds images cannot be deleted."""
    repository = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "preview"}}
    stack = create(clients, body=template(Images=repository))
    media = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": media, "layers": [], "config": {"digest": "sha256:00"}}
    )
    clients.aws("ecr").put_image(repositoryName="preview", imageManifest=manifest, imageTag="v1")
    delete(clients, stack)
    assert settle(clients, stack) == "DELETE_FAILED"


def test_held_call(clients: Any, aws: FakeAws) -> None:
    """A held call appears in the journal while it waits, so that a test can kill its caller, and can be released."""
    aws.fault(operation="GetCallerIdentity", kind="hold", seconds=10)
    thread = threading.Thread(target=clients.account)
    thread.start()
    for _ in range(200):
        if any(entry["held"] for entry in aws.requests()):
            break
        time.sleep(0.01)
    (entry,) = aws.requests()
    assert (entry["operation"], entry["held"], entry["status"]) == ("GetCallerIdentity", True, None)
    aws.clear_faults()
    thread.join(5)
    assert aws.requests()[0]["status"] == 200


def test_fault_number_n(clients: Any, aws: FakeAws) -> None:
    """`skip` and `times` pick calls by number."""
    aws.fault(operation="GetCallerIdentity", code="AccessDenied", status=403, skip=1, times=1)
    clients.account()
    assert "AccessDenied" in refused(clients.account)
    clients.account()


def test_own_process() -> None:
    """It also runs as a process of its own, which prints its address and ends with its context."""
    with FakeAws(process=True) as aws:
        ours = AwsClients(now=time.time, attempts=1).for_target(AwsTarget("123456789012", "us-east-1", None))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in aws.environment().items():
                patch.setenv(name, value)
            assert ours.account() == "123456789012"
        assert [entry["operation"] for entry in aws.requests()] == ["GetCallerIdentity"]


def test_a_failed_transaction_changes_no_item(clients: Any) -> None:
    """If the last of four writes is refused, the items that the others put, changed or deleted are restored."""
    dynamo = clients.aws("dynamodb")
    create_ledger(dynamo, "ledger")
    items = [{"pk": {"S": "a"}, "sk": {"S": sk}, "n": {"N": "1"}} for sk in ("put", "changed", "deleted")]
    for item in items:
        dynamo.put_item(TableName="ledger", Item=item)
    place = [{"TableName": "ledger", "Key": {"pk": item["pk"], "sk": item["sk"]}} for item in items]
    new = {"TableName": "ledger", "Item": {"pk": {"S": "b"}, "sk": {"S": "new"}}}
    writes = [
        {"Put": {"TableName": "ledger", "Item": items[0] | {"n": {"N": "2"}}}},
        {
            "Update": place[1]
            | {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
        },
        {"Delete": place[2]},
        {"Put": new},
    ]
    refused_one = {"Put": new | {"ConditionExpression": "attribute_exists(pk)"}}
    assert "ConditionalCheckFailed" in refused(
        lambda: dynamo.transact_write_items(TransactItems=[*writes[:3], refused_one])
    )

    def kept() -> list[Any]:
        found: list[Any] = dynamo.scan(TableName="ledger")["Items"]
        return sorted(found, key=lambda item: str(item["sk"]))

    assert kept() == sorted(items, key=lambda item: str(item["sk"]))
    dynamo.transact_write_items(TransactItems=writes)
    assert [item["sk"]["S"] for item in kept()] == ["changed", "new", "put"]
