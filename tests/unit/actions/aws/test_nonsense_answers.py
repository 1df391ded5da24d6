"""Malformed answers of AWS: each ends in a message, none in a KeyError, and none is read as absence.

The emulator answers everything but one operation, whose body the real botocore then has to parse.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from closeout.actions.aws.cloudformation_delete_stack import ACTION as DELETE_STACK
from closeout.actions.aws.codebuild_start_build import ACTION as BUILD
from closeout.actions.aws.s3_delete_objects import ACTION as DELETE_OBJECTS
from closeout.adapters.aws import AwsClients
from closeout.core.errors import CloseoutError, ServiceError
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws
from tests.direct import DIRECT
from tests.unit.actions.aws.conftest import ACCOUNT, REGION
from tests.unit.actions.aws.previews import create, fill
from tests.work import ImmediateWork

STACK: dict[str, Any] = {"stack-name": "preview-17", "empty-buckets": True, "role-arn": None}
PREFIX: dict[str, Any] = {"bucket": "preview-17-assets", "prefix": "index.html/", "delimiter": "/"}
PROJECT: dict[str, Any] = {"project": "teardown", "environment": None, "source-version": None, "wait": True}
XML = [b"<x/>", b"<html><body>proxy</body></html>", b"", b"<x><Stacks><member/></Stacks></x>"]
JSON = [b"{}", b"[]", b'"x"', b"null", b"5", b"<html/>"]


class Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_arguments: Any) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


class Garbled:
    """Clients whose one `operation` is answered with `body`."""

    def __init__(self, aws: FakeAws) -> None:
        self.operation, self.body = "", b""
        self.seen: set[str] = set()
        session = boto3.Session()
        session.events.unregister("before-send", unique_id=DIRECT)
        session.events.register("before-send", self._before)
        self.clients: Any = AwsClients(now=time.time, session=lambda: session, attempts=1).for_target(
            AwsTarget(ACCOUNT, REGION, None)
        )

    def _before(self, request: Any, event_name: str, **_more: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.seen.add(operation)
        if operation != self.operation:
            return None
        return AWSResponse(request.url, 200, {}, Raw(self.body))


@pytest.fixture(scope="module")
def garbled(aws_server: FakeAws) -> Garbled:
    """Made once, since clients are slow to make."""
    return Garbled(aws_server)


def refused(call: Callable[[], Any]) -> CloseoutError:
    """The named error that a call ends with."""
    with pytest.raises(CloseoutError) as caught:
        call()
    assert caught.value.message
    return caught.value


def work(garbled: Garbled) -> ImmediateWork:
    """A `Work` that does not wait long."""
    return ImmediateWork(garbled.clients, polls=3, pause=lambda _: None)


@pytest.mark.parametrize(
    "operation", ["DescribeStacks", "ListStackResources", "GetTemplate", "ListObjectVersions"]
)
def test_a_malformed_answer_yields_no_plan(aws: FakeAws, garbled: Garbled, operation: str) -> None:
    """An empty plan would be a success that says there is nothing to delete."""
    garbled.operation = ""
    create(garbled.clients)
    garbled.operation = operation
    for garbled.body in XML:
        error = refused(lambda: DELETE_STACK.plan(STACK, garbled.clients))
        assert isinstance(error, ServiceError)


@pytest.mark.parametrize("operation", ["DescribeStacks", "DescribeStackEvents", "ListObjectVersions"])
def test_a_teardown_with_a_malformed_answer_ends_in_a_message(
    aws: FakeAws, garbled: Garbled, operation: str
) -> None:
    """Whatever it had already requested."""
    for body in XML:
        aws.reset()
        garbled.operation = ""
        create(garbled.clients)
        fill(garbled.clients)
        change = DELETE_STACK.plan(STACK, garbled.clients)[0]
        garbled.operation, garbled.body = operation, body
        refused(lambda change=change: DELETE_STACK.apply(change, STACK, work(garbled)))  # type: ignore[misc]


@pytest.mark.parametrize("operation", ["DescribeStacks", "ListStackResources"])
def test_a_malformed_answer_to_an_existence_check_is_not_absence(
    aws: FakeAws, garbled: Garbled, operation: str
) -> None:
    """It is unknown whether something is left, so it does not count as gone."""
    garbled.operation = ""
    create(garbled.clients)
    changes = DELETE_STACK.plan(STACK, garbled.clients)
    garbled.operation = operation
    for garbled.body in XML:
        try:
            left = DELETE_STACK.verify(changes, garbled.clients)
        except ServiceError:
            continue
        assert left


def test_a_malformed_listing_is_not_an_empty_prefix(aws: FakeAws, garbled: Garbled) -> None:
    """A well-formed page of a proxy lists no objects."""
    garbled.operation = ""
    garbled.clients.aws("s3").create_bucket(Bucket=PREFIX["bucket"])
    garbled.operation = "ListObjectVersions"
    for garbled.body in XML:
        assert isinstance(refused(lambda: DELETE_OBJECTS.plan(PREFIX, garbled.clients)), ServiceError)


def test_a_malformed_account_id_is_refused(aws: FakeAws, garbled: Garbled) -> None:
    """The guard of the right account depends on it."""
    garbled.operation = "GetCallerIdentity"
    for garbled.body in XML:
        assert isinstance(refused(garbled.clients.account), ServiceError)


WRONG = [
    *JSON,
    b'{"projects": "x", "builds": "x", "build": "x", "ids": "x"}',
    b'{"projects": [1], "builds": [1], "build": 1, "ids": [1]}',
    b'{"projects": [{}], "builds": [{}], "build": {}, "ids": [null]}',
    b'{"projects": [{"name": 5, "arn": {}}], "builds": [{"id": "b"}], "build": {"id": 5}, "ids": [{}]}',
]


@pytest.mark.parametrize(
    "operation", ["BatchGetProjects", "ListBuildsForProject", "StartBuild", "BatchGetBuilds"]
)
def test_a_build_with_a_malformed_answer_ends_in_a_message(
    aws: FakeAws, garbled: Garbled, operation: str
) -> None:
    """JSON of any form, parsed by botocore or not."""
    garbled.operation = ""
    garbled.clients.aws("codebuild").create_project(
        name="teardown",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service-role/build",
    )
    changes = BUILD.plan(PROJECT, garbled.clients)
    garbled.operation = operation
    for garbled.body in WRONG:
        if operation == "BatchGetProjects":
            refused(lambda: BUILD.plan(PROJECT, garbled.clients))
        else:
            refused(lambda: BUILD.apply(changes[0], PROJECT, work(garbled)))


def test_an_answer_about_another_stack_is_refused(garbled: Garbled) -> None:
    """Neither the requested stack nor the other one is deleted."""
    garbled.operation = "DescribeStacks"
    garbled.body = (
        b"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackId>arn:other</StackId>"
        b"<StackName>production</StackName><StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks>"
        b"</DescribeStacksResult></DescribeStacksResponse>"
    )
    error = refused(lambda: DELETE_STACK.plan(STACK, garbled.clients))
    assert "another" in error.message
    assert error.transient
