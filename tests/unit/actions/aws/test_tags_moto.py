"""`protect.tags` against the emulated services: the tags of the resources in a plan, read from each service."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from closeout.actions.aws import physical, tags
from closeout.actions.aws.cloudformation_delete_stack import ACTION as DELETE_STACK
from closeout.actions.aws.s3_delete_objects import ACTION as DELETE_OBJECTS
from closeout.actions.aws.tag_reads import READS, StackMember
from closeout.core.automation import Current
from closeout.core.errors import GuardRefused, ServiceError
from closeout.core.plan import Change
from closeout.run import guards
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws.previews import ACCOUNT, bucket, create, fill, template
from tests.unit.actions.aws.test_physical_moto import MISSING, SIMPLE
from tests.unit.run.world import AUTOMATION

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/preview-17/1"
ASSETS = "preview-17-assets"
STACK_INPUTS = {"stack-name": "preview-17", "empty-buckets": True, "role-arn": None}
PREFIX = {"bucket": ASSETS, "prefix": "old/", "delimiter": "/"}
KEEP = replace(AUTOMATION, protect_tags={"keep": "*"})


def read(clients: Any, kind: str, physical_id: str) -> dict[str, str]:
    """The tags of one resource of a stack."""
    change = Change(
        verb="delete",
        resource=physical_id,
        reason="",
        part_of="stack x",
        identity={"type": kind, "physical_id": physical_id, "stack_id": STACK_ID, "account": ACCOUNT},
    )
    (found,) = tags.of_stack([change], clients)
    return dict(found.tags)


def tag_bucket(clients: Any, name: str = ASSETS) -> None:
    """Tag a bucket by hand, like a person who wants to keep it."""
    clients.aws("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "keep", "Value": "yes"}]})


@pytest.mark.parametrize("kind", sorted(SIMPLE))
def test_a_resources_tags_are_read_from_its_own_service(clients: Any, kind: str) -> None:
    """By the physical id that CloudFormation gives."""
    entry = {
        **SIMPLE[kind],
        "Properties": {**SIMPLE[kind]["Properties"], "Tags": [{"Key": "keep", "Value": "yes"}]},
    }
    cloudformation = clients.aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": {"It": entry}}))
    (row,) = cloudformation.list_stack_resources(StackName="s")["StackResourceSummaries"]
    if kind == "AWS::SNS::Topic":  # moto's CloudFormation omits a topic's tags
        pair = {"Key": "keep", "Value": "yes"}
        clients.aws("sns").tag_resource(ResourceArn=row["PhysicalResourceId"], Tags=[pair])
    assert read(clients, kind, row["PhysicalResourceId"])["keep"] == "yes"


@pytest.mark.parametrize("kind", sorted(MISSING))
def test_a_deleted_resource_has_no_tags(clients: Any, kind: str) -> None:
    """Each service's own answer about something that does not exist."""
    assert read(clients, kind, MISSING[kind]) == {}


def test_every_type_with_an_existence_check_has_a_tag_read() -> None:
    """Otherwise its tags could not protect it."""
    assert set(READS) >= set(physical.EXISTENCE_CHECKS)


def test_a_bucket_without_tags_is_not_an_error(clients: Any) -> None:
    """S3 answers NoSuchTagSet, the only answer that means none."""
    clients.aws("s3").create_bucket(Bucket=ASSETS)
    assert read(clients, "AWS::S3::Bucket", ASSETS) == {}


def test_more_than_a_page_of_tags(clients: Any) -> None:
    """DynamoDB returns ten at a time."""
    create(clients)
    many = [{"Key": f"k{number}", "Value": "x"} for number in range(25)] + [{"Key": "keep", "Value": "yes"}]
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/preview-17-table"
    clients.aws("dynamodb").tag_resource(ResourceArn=arn, Tags=many)
    assert read(clients, "AWS::DynamoDB::Table", "preview-17-table")["keep"] == "yes"


def test_each_service_has_its_own_keys_for_the_next_page() -> None:
    """KMS returns the next page under a different key than the request uses."""
    pages = {
        None: {"Tags": [{"TagKey": "a", "TagValue": "1"}], "NextMarker": "two"},
        "two": {"Tags": [{"TagKey": "keep", "TagValue": "yes"}]},
    }
    kms = SimpleNamespace(list_resource_tags=lambda KeyId, Marker=None: pages[Marker])  # noqa: N803
    found = read(SimpleNamespace(aws=lambda _service: kms), "AWS::KMS::Key", "k")
    assert found == {"a": "1", "keep": "yes"}


@pytest.mark.parametrize(
    "kind", sorted(set(READS) - {"AWS::StepFunctions::StateMachine", "AWS::RDS::DBInstance"})
)
def test_tags_that_cannot_be_read_are_refused(clients: Any, aws: FakeAws, kind: str) -> None:
    """A missing permission does not mean no tags: the message names the permission."""
    aws.fault(code="AccessDeniedException", status=403, message="not authorized", times=10)
    physical_id = {**MISSING, "AWS::CloudFormation::Stack": STACK_ID}.get(kind, "x")
    with pytest.raises(
        GuardRefused, match=r"cannot be read, and `protect.tags` may protect it: .*not authorized"
    ):
        read(clients, kind, physical_id)


def test_a_throttled_read_is_repeated(clients: Any, aws: FakeAws) -> None:
    """It answers neither yes nor no."""
    clients.aws("s3").create_bucket(Bucket=ASSETS)
    aws.fault(code="SlowDown", status=503)
    with pytest.raises(ServiceError) as caught:
        read(clients, "AWS::S3::Bucket", ASSETS)
    assert caught.value.transient


def test_a_tagged_bucket_in_a_stack_refuses_the_plan(clients: Any) -> None:
    """The stack does not have the tag, its bucket has: nothing of the stack is deleted."""
    create(clients)
    fill(clients)
    tag_bucket(clients)
    changes = guards.with_tags(DELETE_STACK, DELETE_STACK.plan(STACK_INPUTS, clients), clients)
    with pytest.raises(
        GuardRefused, match=r"AWS::S3::Bucket preview-17-assets is protected \(tag keep=yes\)"
    ):
        guards.check_plan(changes, KEEP, Current(KEEP))


def test_a_tagged_bucket_that_the_template_keeps_refuses_nothing(clients: Any) -> None:
    """It stays in any case."""
    create(clients, body=template(Assets=bucket(ASSETS, DeletionPolicy="Retain")))
    tag_bucket(clients)
    changes = guards.with_tags(DELETE_STACK, DELETE_STACK.plan(STACK_INPUTS, clients), clients)
    guards.check_plan(changes, KEEP, Current(KEEP))


def test_a_tagged_bucket_refuses_a_prefix_in_it(clients: Any) -> None:
    """`aws/s3-delete-objects` does not empty a tagged bucket either, just as `empty-buckets` does not."""
    clients.aws("s3").create_bucket(Bucket=ASSETS)
    clients.aws("s3").put_object(Bucket=ASSETS, Key="old/x", Body=b"x")
    tag_bucket(clients)
    changes = guards.with_tags(DELETE_OBJECTS, DELETE_OBJECTS.plan(PREFIX, clients), clients)
    with pytest.raises(GuardRefused, match=r"is protected \(tag keep=yes\)"):
        guards.check_plan(changes, KEEP, Current(KEEP))


# --- types without a read of their own ----------------------------------------------------------------------


class Registry:
    """CloudFormation's registry and Cloud Control, with a schema and properties that a test sets."""

    def __init__(self, schema: Any, properties: Any) -> None:
        self.schema, self.properties = schema, properties
        self.asked: list[str] = []

    def aws(self, service: str) -> Any:
        """This is both services."""
        return self

    def describe_type(self, **_arguments: Any) -> Any:
        """The schema."""
        self.asked.append("schema")
        return {"Schema": self.schema if isinstance(self.schema, str) else json.dumps(self.schema)}

    def get_resource(self, **_arguments: Any) -> Any:
        """The resource."""
        self.asked.append("resource")
        if isinstance(self.properties, ServiceError):
            raise self.properties
        text = self.properties if isinstance(self.properties, str) else json.dumps(self.properties)
        return {"ResourceDescription": {"Properties": text}}


TAGGED = {"Tags": [{"Key": "keep", "Value": "yes"}]}
GONE = ServiceError(
    "gone", service="cloudcontrol", operation="GetResource", reason="ResourceNotFoundException"
)
REFUSED = ServiceError(
    "no", service="cloudcontrol", operation="GetResource", reason="UnsupportedActionException"
)


@pytest.mark.parametrize(
    ("schema", "properties", "found"),
    [
        ({"properties": {"Tags": {}}, "tagging": {"taggable": True}}, TAGGED, {"keep": "yes"}),
        ({"properties": {"Tags": {}}}, TAGGED, {"keep": "yes"}),
        (
            {"properties": {"TagMap": {}}, "tagging": {"tagProperty": "/properties/TagMap"}},
            {"TagMap": {"keep": "yes"}},
            {"keep": "yes"},
        ),
        ({"properties": {"Tags": {}}}, {}, {}),
        ({"properties": {"Tags": {}}, "tagging": {"taggable": False}}, REFUSED, {}),
        ({"properties": {"Tags": {}}, "taggable": False}, REFUSED, {}),
        ({"properties": {"Name": {}}}, REFUSED, {}),
        ({"properties": {"Tags": {}}}, GONE, None),
        ({"properties": {"Tags": {}}}, REFUSED, None),
        ({"properties": {"Tags": {}}}, "no json", None),
        ({"properties": {"Tags": {}}}, {"Tags": "keep"}, None),
        ({"properties": {"Tags": {}}}, {"Tags": [{"Name": "keep"}]}, None),
        ({"properties": {"Tags": {}}}, {"Tags": 1}, None),
        ({"properties": {"Tags": {}}}, [], None),
        ("no json", TAGGED, None),
        ({}, TAGGED, None),
        ([], TAGGED, None),
        ({"properties": {"Tags": {}}, "tagging": []}, TAGGED, None),
    ],
)
def test_any_other_type_is_read_through_cloud_control(schema: Any, properties: Any, found: Any) -> None:
    """Only a schema that says so means that a type has no tags; an unreadable one is refused.

    A resource that Cloud Control does not find may exist: for many types it wants another id than CloudFormation's.
    """
    registry = Registry(schema, properties)
    if found is None:
        with pytest.raises(GuardRefused, match="cannot be read") as caught:
            read(registry, "AWS::MSK::Cluster", "x")
        assert ("finds no such resource" in caught.value.message) is (properties is GONE)
    else:
        assert read(registry, "AWS::MSK::Cluster", "x") == found


@pytest.mark.parametrize("kind", ["Custom::Thing", "AWS::CDK::Metadata"])
def test_types_without_a_real_resource_are_not_asked_for(kind: str) -> None:
    """A custom resource is only what its function reports."""
    registry = Registry("", "")
    assert read(registry, kind, "x") == {}
    assert registry.asked == []


def test_the_emulators_unknown_service_is_a_refusal(clients: Any) -> None:
    """Moto has no registry of types: nothing is concluded from that."""
    with pytest.raises((GuardRefused, ServiceError)):
        read(clients, "AWS::MSK::Cluster", "x")


def test_arns_are_in_the_stacks_partition_region_and_account() -> None:
    """Also outside the partition `aws`."""
    stack = "arn:aws-cn:cloudformation:cn-north-1:111122223333:stack/x/1"
    named = StackMember("AWS::Lambda::Function", "f", stack, "111122223333")
    assert named.arn("lambda", "function:") == "arn:aws-cn:lambda:cn-north-1:111122223333:function:f"


class Stages(Registry):
    """Cloud Control with stages of APIs, by their two ids."""

    def __init__(self, stages: dict[str, Any]) -> None:
        super().__init__({"properties": {"Tags": {}}}, None)
        self.stages = stages

    def get_resource(self, **arguments: Any) -> Any:
        """The stage that has both ids, else the error for a missing one."""
        if arguments["Identifier"] not in self.stages:
            raise GONE
        return {"ResourceDescription": {"Properties": json.dumps(self.stages[arguments["Identifier"]])}}


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ({"a2|prod": TAGGED}, {"keep": "yes"}),
        ({"a1|prod": TAGGED, "a2|prod": TAGGED}, {"keep": "yes"}),
        ({"a1|prod": {}}, {}),
        ({"a1|prod": TAGGED, "a2|prod": {}}, None),
        ({"prod": TAGGED, "a3|prod": TAGGED}, None),
    ],
)
def test_a_stage_is_requested_with_the_apis_of_its_stack(stages: dict[str, Any], found: Any) -> None:
    """CloudFormation knows only the stage's name, and Cloud Control also needs its API's id."""
    registry: Any = Stages(stages)
    kinds = (
        ("AWS::ApiGateway::RestApi", "a1"),
        ("AWS::ApiGateway::RestApi", "a2"),
        ("AWS::ApiGateway::Stage", "prod"),
    )
    changes = [
        Change(
            verb="delete", resource=name, reason="", part_of="stack x",
            identity={"type": kind, "physical_id": name, "stack_id": STACK_ID, "account": ACCOUNT},
        )
        for kind, name in kinds
    ]  # fmt: skip
    registry.stages |= {"a1": {}, "a2": {}}
    if found is None:
        with pytest.raises(GuardRefused, match="cannot be read"):
            tags.of_stack(changes, registry)
    else:
        assert tags.of_stack(changes, registry)[2].tags == found


def test_a_rule_and_a_service_are_read_from_their_own_services(clients: Any) -> None:
    """A rule by the name that CloudFormation knows, a service by its ARN."""
    pair = {"Key": "keep", "Value": "yes"}
    clients.aws("events").put_rule(Name="nightly", ScheduleExpression="rate(1 day)", Tags=[pair])
    assert read(clients, "AWS::Events::Rule", "nightly") == {"keep": "yes"}
    ecs = clients.aws("ecs")
    ecs.create_cluster(clusterName="c")
    ecs.register_task_definition(family="f", containerDefinitions=[{"name": "n", "image": "i", "memory": 64}])
    service = ecs.create_service(
        cluster="c",
        serviceName="s",
        taskDefinition="f",
        desiredCount=0,
        tags=[{"key": "keep", "value": "yes"}],
    )
    assert read(clients, "AWS::ECS::Service", service["service"]["serviceArn"]) == {"keep": "yes"}
