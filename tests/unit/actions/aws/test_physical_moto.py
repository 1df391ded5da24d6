"""The existence checks of single resources, each against the emulated service: found, then gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from closeout.actions.aws.physical import EVERYTHING, EXISTENCE_CHECKS, is_there
from closeout.core.errors import ServiceError
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws.previews import ACCOUNT, bucket, queue, table

POLICY = {"Version": "2012-10-17", "Statement": []}
ROLE = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "preview", "AssumeRolePolicyDocument": POLICY}}
ECR = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "preview"}}
SIMPLE: dict[str, dict[str, Any]] = {
    "AWS::S3::Bucket": bucket("preview-bucket"),
    "AWS::DynamoDB::Table": table("preview-table"),
    "AWS::SQS::Queue": queue("preview-queue"),
    "AWS::SNS::Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "preview"}},
    "AWS::IAM::Role": ROLE,
    "AWS::Logs::LogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/preview"}},
    "AWS::ECR::Repository": ECR,
    "AWS::SSM::Parameter": {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "/preview", "Type": "String", "Value": "v"},
    },
    "AWS::Kinesis::Stream": {
        "Type": "AWS::Kinesis::Stream",
        "Properties": {"Name": "preview", "ShardCount": 1},
    },
}
MISSING: dict[str, str] = {
    "AWS::S3::Bucket": "never-was",
    "AWS::Lambda::Function": "never-was",
    "AWS::DynamoDB::Table": "never-was",
    "AWS::DynamoDB::GlobalTable": "never-was",
    "AWS::SQS::Queue": "http://127.0.0.1/123456789012/never-was",
    "AWS::SNS::Topic": "arn:aws:sns:us-east-1:123456789012:never-was",
    "AWS::IAM::Role": "never-was",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::123456789012:policy/never-was",
    "AWS::IAM::InstanceProfile": "never-was",
    "AWS::IAM::User": "never-was",
    "AWS::Logs::LogGroup": "/never-was",
    "AWS::ECR::Repository": "never-was",
    "AWS::CodeBuild::Project": "never-was",
    "AWS::SSM::Parameter": "/never-was",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:never-was-abcdef",
    "AWS::KMS::Key": "11111111-2222-3333-4444-555555555555",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:us-east-1:123456789012:stateMachine:never-was",
    "AWS::Kinesis::Stream": "never-was",
    "AWS::RDS::DBInstance": "never-was",
    "AWS::EC2::SecurityGroup": "sg-0123456789abcdef0",
    "AWS::EC2::VPC": "vpc-0123456789abcdef0",
    "AWS::EC2::Instance": "i-0123456789abcdef0",
}
UNTRIED = {"AWS::Lambda::Function", "AWS::StepFunctions::StateMachine", "AWS::RDS::DBInstance"}


def test_every_existence_check_is_tested() -> None:
    """A new check needs a line in the table below."""
    assert set(MISSING) == set(EXISTENCE_CHECKS)


@pytest.mark.parametrize("kind", sorted(EXISTENCE_CHECKS))
def test_absent(clients: Any, kind: str) -> None:
    """Each service's own answer about something that does not exist is read as absence."""
    assert is_there(clients, kind, MISSING[kind], ACCOUNT) is False


@pytest.mark.parametrize("kind", sorted(SIMPLE))
def test_there_and_then_not(clients: Any, kind: str) -> None:
    """A resource is found by the physical id that CloudFormation gives, until it is deleted."""
    cloudformation = clients.aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": {"It": SIMPLE[kind]}}))
    (row,) = cloudformation.list_stack_resources(StackName="s")["StackResourceSummaries"]
    assert is_there(clients, kind, row["PhysicalResourceId"], ACCOUNT) is True
    _delete(clients)
    assert is_there(clients, kind, row["PhysicalResourceId"], ACCOUNT) is False


def _delete(clients: Any) -> None:
    import time

    clients.aws("cloudformation").delete_stack(StackName="s")
    for _ in range(100):
        try:
            clients.aws("cloudformation").describe_stacks(StackName="s")
        except ServiceError:
            return
        time.sleep(0.02)
    raise AssertionError("the stack did not go")


@pytest.mark.parametrize("kind", sorted(set(EXISTENCE_CHECKS) - UNTRIED))
def test_refused(clients: Any, aws: FakeAws, kind: str) -> None:
    """A missing permission to look is an error, never absence."""
    code, status = ("403", 403) if kind == "AWS::S3::Bucket" else ("AccessDeniedException", 400)
    aws.fault(code=code, status=status, message="not authorized")
    with pytest.raises(ServiceError) as caught:
        is_there(clients, kind, MISSING[kind], ACCOUNT)
    assert not caught.value.transient


def test_a_check_needs_an_arn_that_iam_accepts() -> None:
    """Only IAM and S3 have ARNs without a region: for others, a permission without one would cover nothing."""
    named = [check.resource for check in EXISTENCE_CHECKS.values() if check.resource != EVERYTHING]
    global_ = {arn for arn in named if arn.split(":")[3] == ""}
    assert {arn.split(":")[2] for arn in global_} == {"iam", "s3"}
    assert {arn.split(":")[3] for arn in {*named} - global_} == {"*"}


def test_log_group_by_its_exact_name(clients: Any) -> None:
    """`/preview-1` does not exist only because `/preview-12` does."""
    clients.aws("logs").create_log_group(logGroupName="/preview-12")
    assert is_there(clients, "AWS::Logs::LogGroup", "/preview-1", ACCOUNT) is False


def answers(kind: str) -> Callable[[dict[str, Any]], bool]:
    """How the check reads an answer."""
    there = EXISTENCE_CHECKS[kind].there
    assert there is not None
    return lambda answer: there(answer, "x")


def test_a_resource_that_is_scheduled_to_be_deleted_is_gone() -> None:
    """A key or secret that is scheduled for deletion, and a terminated instance."""
    assert not answers("AWS::KMS::Key")({"KeyMetadata": {"KeyState": "PendingDeletion"}})
    assert answers("AWS::KMS::Key")({"KeyMetadata": {"KeyState": "Enabled"}})
    assert not answers("AWS::SecretsManager::Secret")({"DeletedDate": "2026-01-01"})
    instance = answers("AWS::EC2::Instance")
    assert not instance({"Reservations": [{"Instances": [{"State": {"Name": "terminated"}}]}]})
    assert instance({"Reservations": [{"Instances": [{"State": {"Name": "shutting-down"}}]}]})
