"""Whether a single resource still exists: this bucket, table or role, asked of its own service.

That a stack is deleted proves nothing about what was in it. The common types are checked directly, by one row each of
one table; for any other type CloudFormation's word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from closeout.core.errors import ServiceError
from closeout.ports import Clients


class ExistenceCheck(NamedTuple):
    """One read-only call. `absent` are the exact codes that mean "not there"; everything else is an error.

    `there` decides from an answer that came without error (a list that may be empty, a resource that is only
    waiting for its end); None: an answer means it is there. `action` is the IAM action, `resource` the narrowest ARN
    that IAM takes for it without knowing the resource's name.
    """

    service: str
    operation: str
    arguments: Callable[[str, str], dict[str, Any]]
    absent: frozenset[str]
    action: str
    resource: str
    there: Callable[[Mapping[str, Any], str], bool] | None = None


def _named(key: str) -> Callable[[str, str], dict[str, Any]]:
    return lambda physical, _account: {key: physical}


def _listed(key: str) -> Callable[[str, str], dict[str, Any]]:
    return lambda physical, _account: {key: [physical]}


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


EVERYTHING = "*"
"""For actions that IAM gives for all resources or for none (Service Authorization Reference)."""
_NOT_FOUND = _codes("ResourceNotFoundException")

EXISTENCE_CHECKS: Mapping[str, ExistenceCheck] = {
    "AWS::S3::Bucket": ExistenceCheck(
        "s3",
        "head_bucket",
        lambda physical, account: {"Bucket": physical, "ExpectedBucketOwner": account},
        _codes("404", "NoSuchBucket"),
        "s3:ListBucket",
        "arn:aws:s3:::*",
    ),
    "AWS::Lambda::Function": ExistenceCheck(
        "lambda",
        "get_function_configuration",
        _named("FunctionName"),
        _NOT_FOUND,
        "lambda:GetFunctionConfiguration",
        "arn:aws:lambda:*:*:function:*",
    ),
    "AWS::DynamoDB::Table": ExistenceCheck(
        "dynamodb",
        "describe_table",
        _named("TableName"),
        _NOT_FOUND,
        "dynamodb:DescribeTable",
        "arn:aws:dynamodb:*:*:table/*",
    ),
    "AWS::DynamoDB::GlobalTable": ExistenceCheck(
        "dynamodb",
        "describe_table",
        _named("TableName"),
        _NOT_FOUND,
        "dynamodb:DescribeTable",
        "arn:aws:dynamodb:*:*:table/*",
    ),
    "AWS::SQS::Queue": ExistenceCheck(
        "sqs",
        "get_queue_attributes",
        _named("QueueUrl"),
        _codes("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        "sqs:GetQueueAttributes",
        "arn:aws:sqs:*:*:*",
    ),
    "AWS::SNS::Topic": ExistenceCheck(
        "sns",
        "get_topic_attributes",
        _named("TopicArn"),
        _codes("NotFound", "NotFoundException"),
        "sns:GetTopicAttributes",
        "arn:aws:sns:*:*:*",
    ),
    "AWS::IAM::Role": ExistenceCheck(
        "iam", "get_role", _named("RoleName"), _codes("NoSuchEntity"), "iam:GetRole", "arn:aws:iam::*:role/*"
    ),
    "AWS::IAM::ManagedPolicy": ExistenceCheck(
        "iam",
        "get_policy",
        _named("PolicyArn"),
        _codes("NoSuchEntity"),
        "iam:GetPolicy",
        "arn:aws:iam::*:policy/*",
    ),
    "AWS::IAM::InstanceProfile": ExistenceCheck(
        "iam",
        "get_instance_profile",
        _named("InstanceProfileName"),
        _codes("NoSuchEntity"),
        "iam:GetInstanceProfile",
        "arn:aws:iam::*:instance-profile/*",
    ),
    "AWS::IAM::User": ExistenceCheck(
        "iam", "get_user", _named("UserName"), _codes("NoSuchEntity"), "iam:GetUser", "arn:aws:iam::*:user/*"
    ),
    "AWS::Logs::LogGroup": ExistenceCheck(
        "logs",
        "describe_log_groups",
        _named("logGroupNamePrefix"),
        frozenset(),
        "logs:DescribeLogGroups",
        "arn:aws:logs:*:*:log-group:*",
        lambda answer, physical: any(row["logGroupName"] == physical for row in answer["logGroups"]),
    ),
    "AWS::ECR::Repository": ExistenceCheck(
        "ecr",
        "describe_repositories",
        _listed("repositoryNames"),
        _codes("RepositoryNotFoundException"),
        "ecr:DescribeRepositories",
        "arn:aws:ecr:*:*:repository/*",
    ),
    "AWS::CodeBuild::Project": ExistenceCheck(
        "codebuild",
        "batch_get_projects",
        _listed("names"),
        frozenset(),
        "codebuild:BatchGetProjects",
        "arn:aws:codebuild:*:*:project/*",
        lambda answer, _physical: bool(answer["projects"]),
    ),
    # Not GetParameter: that would read the value.
    "AWS::SSM::Parameter": ExistenceCheck(
        "ssm",
        "describe_parameters",
        lambda physical, _account: {
            "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [physical]}]
        },
        frozenset(),
        "ssm:DescribeParameters",
        EVERYTHING,
        lambda answer, _physical: bool(answer["Parameters"]),
    ),
    # A secret or a key that is scheduled to be deleted is as gone as it can be.
    "AWS::SecretsManager::Secret": ExistenceCheck(
        "secretsmanager",
        "describe_secret",
        _named("SecretId"),
        _NOT_FOUND,
        "secretsmanager:DescribeSecret",
        "arn:aws:secretsmanager:*:*:secret:*",
        lambda answer, _physical: not answer.get("DeletedDate"),
    ),
    "AWS::KMS::Key": ExistenceCheck(
        "kms",
        "describe_key",
        _named("KeyId"),
        _codes("NotFoundException"),
        "kms:DescribeKey",
        "arn:aws:kms:*:*:key/*",
        lambda answer, _physical: answer["KeyMetadata"]["KeyState"] != "PendingDeletion",
    ),
    "AWS::StepFunctions::StateMachine": ExistenceCheck(
        "stepfunctions",
        "describe_state_machine",
        _named("stateMachineArn"),
        _codes("StateMachineDoesNotExist"),
        "states:DescribeStateMachine",
        "arn:aws:states:*:*:stateMachine:*",
    ),
    "AWS::Kinesis::Stream": ExistenceCheck(
        "kinesis",
        "describe_stream_summary",
        _named("StreamName"),
        _NOT_FOUND,
        "kinesis:DescribeStreamSummary",
        "arn:aws:kinesis:*:*:stream/*",
    ),
    "AWS::RDS::DBInstance": ExistenceCheck(
        "rds",
        "describe_db_instances",
        _named("DBInstanceIdentifier"),
        _codes("DBInstanceNotFound", "DBInstanceNotFoundFault"),
        "rds:DescribeDBInstances",
        "arn:aws:rds:*:*:db:*",
    ),
    "AWS::EC2::SecurityGroup": ExistenceCheck(
        "ec2",
        "describe_security_groups",
        _listed("GroupIds"),
        _codes("InvalidGroup.NotFound"),
        "ec2:DescribeSecurityGroups",
        EVERYTHING,
    ),
    "AWS::EC2::VPC": ExistenceCheck(
        "ec2",
        "describe_vpcs",
        _listed("VpcIds"),
        _codes("InvalidVpcID.NotFound"),
        "ec2:DescribeVpcs",
        EVERYTHING,
    ),
    "AWS::EC2::Instance": ExistenceCheck(
        "ec2",
        "describe_instances",
        _listed("InstanceIds"),
        _codes("InvalidInstanceID.NotFound"),
        "ec2:DescribeInstances",
        EVERYTHING,
        # A terminated instance is shown for an hour; none at all is no answer to a question about one.
        lambda answer, _physical: (
            not answer["Reservations"]
            or any(
                instance["State"]["Name"] != "terminated"
                for reservation in answer["Reservations"]
                for instance in reservation["Instances"]
            )
        ),
    ),
}


def has_check(kind: str) -> bool:
    """Return whether resources of this type are checked directly."""
    return kind in EXISTENCE_CHECKS


def is_there(clients: Clients, kind: str, physical_id: str, account: str) -> bool:
    """Return whether a resource exists. Raises `ServiceError` when the service says anything but yes or no."""
    check = EXISTENCE_CHECKS[kind]
    call = getattr(clients.aws(check.service), check.operation)
    try:
        answer = call(**check.arguments(physical_id, account))
    except ServiceError as error:
        if error.reason in check.absent:
            return False
        raise
    return check.there is None or check.there(answer, physical_id)
