"""How the tags of each type are requested, and where the answer has them."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.aws.tag_reads import READS, StackMember

STACK = "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/preview-17/1"
A = "arn:aws-cn:{}:cn-north-1:123456789012:{}"
TAGS = [{"Key": "a", "Value": "b"}]
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "AWS::S3::Bucket": ("s3 get_bucket_tagging", {"Bucket": "x|y", "ExpectedBucketOwner": "123456789012"}),
    "AWS::Lambda::Function": ("lambda list_tags", {"Resource": A.format("lambda", "function:x|y")}),
    "AWS::DynamoDB::Table": (
        "dynamodb list_tags_of_resource",
        {"ResourceArn": A.format("dynamodb", "table/x|y")},
    ),
    "AWS::DynamoDB::GlobalTable": (
        "dynamodb list_tags_of_resource",
        {"ResourceArn": A.format("dynamodb", "table/x|y")},
    ),
    "AWS::SQS::Queue": ("sqs list_queue_tags", {"QueueUrl": "x|y"}),
    "AWS::SNS::Topic": ("sns list_tags_for_resource", {"ResourceArn": "x|y"}),
    "AWS::Logs::LogGroup": (
        "logs list_tags_for_resource",
        {"resourceArn": A.format("logs", "log-group:x|y")},
    ),
    "AWS::ECR::Repository": (
        "ecr list_tags_for_resource",
        {"resourceArn": A.format("ecr", "repository/x|y")},
    ),
    "AWS::SSM::Parameter": ("ssm list_tags_for_resource", {"ResourceType": "Parameter", "ResourceId": "x|y"}),
    "AWS::KMS::Key": ("kms list_resource_tags", {"KeyId": "x|y"}),
    "AWS::StepFunctions::StateMachine": ("stepfunctions list_tags_for_resource", {"resourceArn": "x|y"}),
    "AWS::Kinesis::Stream": ("kinesis list_tags_for_stream", {"StreamName": "x|y", "Limit": 50}),
    "AWS::Events::Rule": ("events list_tags_for_resource", {"ResourceARN": A.format("events", "rule/x/y")}),
    "AWS::ECS::Service": ("ecs list_tags_for_resource", {"resourceArn": "x|y"}),
}
"""Types whose tags come with the answer of their existence check, in addition to these."""
IN: dict[str, Any] = {
    "AWS::S3::Bucket": {"TagSet": TAGS},
    "AWS::Logs::LogGroup": {"tags": TAGS},
    "AWS::ECR::Repository": {"tags": TAGS},
    "AWS::SSM::Parameter": {"TagList": TAGS},
    "AWS::StepFunctions::StateMachine": {"tags": TAGS},
    "AWS::ECS::Service": {"tags": TAGS},
    "AWS::IAM::Role": {"Role": {"Tags": TAGS}},
    "AWS::IAM::ManagedPolicy": {"Policy": {"Tags": TAGS}},
    "AWS::IAM::InstanceProfile": {"InstanceProfile": {"Tags": TAGS}},
    "AWS::IAM::User": {"User": {"Tags": TAGS}},
    "AWS::CodeBuild::Project": {"projects": [{"tags": TAGS}]},
    "AWS::RDS::DBInstance": {"DBInstances": [{"TagList": TAGS}]},
    "AWS::EC2::SecurityGroup": {"SecurityGroups": [{"Tags": TAGS}]},
    "AWS::CloudFormation::Stack": {"Stacks": [{"Tags": TAGS}]},
    "AWS::EC2::VPC": {"Vpcs": [{"Tags": TAGS}]},
    "AWS::EC2::Instance": {"Reservations": [{"Instances": [{"Tags": TAGS}]}]},
}
MAY_BE_LEFT_OUT = {
    "AWS::ECS::Service",
    "AWS::SQS::Queue",
    "AWS::Logs::LogGroup",
    "AWS::SecretsManager::Secret",
}
"""Also where the answer has the tags among other properties of the resource."""


@pytest.mark.parametrize("kind", sorted(READS))
def test_tags_are_requested_and_found(kind: str) -> None:
    """By the id that CloudFormation knows, in the stack's partition, region and account."""
    read = READS[kind]
    named = StackMember(kind, "x|y", STACK, "123456789012")
    if kind in CALLS:
        assert (f"{read.service} {read.operation}", read.arguments(named)) == CALLS[kind]
    else:
        assert "x|y" in str(read.arguments(named))
    answer = IN.get(kind, {"Tags": TAGS})
    assert list(read.found(answer)) == TAGS
    page = {"AWS::DynamoDB::Table": ("NextToken", "NextToken"), "AWS::KMS::Key": ("NextMarker", "Marker")}
    assert read.page == page.get(kind.replace("Global", ""))


@pytest.mark.parametrize("kind", sorted(READS))
def test_an_answer_without_tags_is_an_error_unless_the_service_leaves_them_out(kind: str) -> None:
    """No tags and a malformed answer are different: only the first lets a delete continue."""
    read = READS[kind]
    if kind not in IN or kind in CALLS:
        empty: dict[str, Any] = {}
        if kind in MAY_BE_LEFT_OUT:
            assert list(read.found(empty)) == []
        else:
            with pytest.raises(LookupError):
                read.found(empty)
        return
    assert list(read.found(_without(IN[kind]))) == []
    with pytest.raises(LookupError):
        read.found({})


def _without(answer: Any) -> Any:
    """Return an answer without tags."""
    if isinstance(answer, dict):
        return {key: _without(value) for key, value in answer.items() if value != TAGS}
    return [_without(item) for item in answer]
