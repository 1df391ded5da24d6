"""Removes what a recording made, and names what it could not remove.

It touches stacks that have the recording's name and carry its tag, and what CloudFormation lists in them: nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.live.account import TAG, Account

PATIENCE = 1800.0
ALIAS = "live"
TRIES = 2
"""A stack that fails to go is emptied and deleted once more: a last dead letter or object may have arrived."""


class Left(NamedTuple):
    """A stack that is still there, with the resources that CloudFormation could not delete."""

    stack: str
    status: str
    resources: tuple[str, ...]


def remove(account: Account, tell: Callable[[str], None], patience: float = PATIENCE) -> list[Left]:
    """Remove every stack of the recording; return what is left under its names."""
    for _ in range(TRIES):
        found = [stack for name in account.stacks if (stack := account.settled(name, patience)) is not None]
        mine = [stack for stack in found if belongs(account, stack)]
        for stack in mine:
            _delete(account, stack, tell)
        for stack in mine:
            account.settled(stack["StackId"], patience)
    return list(_left(account))


def _delete(account: Account, stack: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Empty a stack and ask for its delete. An error is told: all else must go all the same."""
    identity = stack["StackId"]
    tell(f"removing {stack['StackName']}")
    for one in account.resources(identity):
        name = one.get("PhysicalResourceId")
        if not name or one["ResourceStatus"] == "DELETE_COMPLETE":
            continue
        with _told(f"{name} was not emptied", tell):
            if one["ResourceType"] == "AWS::Lambda::Function":
                stop_all(account, name)
            elif one["ResourceType"] == "AWS::S3::Bucket":
                empty_bucket(account, name)
    with _told(f"{stack['StackName']} was not deleted", tell):
        account.client("cloudformation").delete_stack(StackName=identity)


@contextmanager
def _told(failure: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Tell an error of AWS's instead of raising it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        tell(f"{failure}: {error}")


def belongs(account: Account, stack: dict[str, Any]) -> bool:
    """Whether a stack is the recording's. One that never got beyond its review has no resource, and may lack the tag."""
    tagged = {"Key": TAG, "Value": account.name} in stack.get("Tags", ())
    return stack["StackName"] in account.stacks and (tagged or stack["StackStatus"] == "REVIEW_IN_PROGRESS")


def stop_all(account: Account, function: str) -> None:
    """Stop every execution of a function that has not ended; a function that is not durable has none."""
    from botocore.exceptions import ClientError

    client = account.client("lambda")
    try:
        pages = client.get_paginator("list_durable_executions_by_function").paginate(
            FunctionName=function, Qualifier=ALIAS, Statuses=["RUNNING"]
        )
        running = [one["DurableExecutionArn"] for page in pages for one in page["DurableExecutions"]]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFoundException", "InvalidParameterValueException"):
            return
        raise
    for arn in running:
        try:
            client.stop_durable_execution(DurableExecutionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidParameterValueException":  # it has ended meanwhile
                raise


def empty_bucket(account: Account, bucket: str) -> None:
    """Delete all versions and delete markers of a bucket."""
    from botocore.exceptions import ClientError

    client = account.client("s3")
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _left(account: Account) -> Iterator[Left]:
    for name in account.stacks:
        found = account.stack(name)
        if found is None:
            continue
        status = found["StackStatus"]
        if not belongs(account, found):
            status += f", without the tag {TAG}={account.name}, so it was not touched"
        resources = [
            f"{one['ResourceType']} {one.get('PhysicalResourceId', one['LogicalResourceId'])}"
            for one in account.resources(found["StackId"])
            if one["ResourceStatus"] != "DELETE_COMPLETE"
        ]
        yield Left(name, status, tuple(resources))
