"""Whether a single resource, such as a bucket, table or role, still exists, according to its own service.

A deleted stack does not prove that its resources are gone. The common types are checked directly, each by one row of
a table; for any other type, CloudFormation's status counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from closeout.core.errors import ServiceError
from closeout.ports import Clients


class ExistenceCheck(NamedTuple):
    """One read-only call. `absent` are the exact codes that mean "does not exist"; every other code is an error.

    `there` decides about an answer without error (a list that may be empty, a resource that is scheduled for
    deletion); if it is None, any answer means that the resource exists. `action` is the IAM action, `resource` the narrowest
    ARN that IAM accepts for it without the resource's name.
    """

    service: str
    operation: str
    arguments: Callable[[str, str], dict[str, Any]]
    absent: frozenset[str]
    action: str
    resource: str
    there: Callable[[Mapping[str, Any], str], bool] | None = None


def iam_action(service: str, operation: str) -> str:
    """Return the IAM action of an operation that boto3 names in snake case, by the rule of almost all services."""
    return f"{service}:{operation.title().replace('_', '')}"


EVERYTHING = "*"
"""For actions that IAM grants only for all resources (Service Authorization Reference)."""


def _check(
    service: str,
    operation: str,
    arguments: str | Callable[[str, str], dict[str, Any]],
    absent: tuple[str, ...],
    named: str | None,
    there: Callable[[Mapping[str, Any], str], bool] | None = None,
    *,
    action: str = "",
) -> ExistenceCheck:
    """Return a check.

    `arguments` may be the key under which the physical id is passed. `named` is the end of the ARN (None: `EVERYTHING`),
    `action` the IAM action if its name differs from the operation's.
    """
    given = (lambda physical, _account: {arguments: physical}) if isinstance(arguments, str) else arguments
    action = action or iam_action(service, operation)
    region = "" if service == "iam" else "*"
    resource = EVERYTHING if named is None else f"arn:aws:{action.partition(':')[0]}:{region}:*:{named}"
    return ExistenceCheck(service, operation, given, frozenset(absent), action, resource, there)


def _listed(key: str) -> Callable[[str, str], dict[str, Any]]:
    return lambda physical, _account: {key: [physical]}


_NOT_FOUND = ("ResourceNotFoundException",)
_NO_ENTITY = ("NoSuchEntity",)
_TABLE = _check("dynamodb", "describe_table", "TableName", _NOT_FOUND, "table/*")

EXISTENCE_CHECKS: Mapping[str, ExistenceCheck] = {
    "AWS::S3::Bucket": ExistenceCheck(
        "s3",
        "head_bucket",
        lambda physical, account: {"Bucket": physical, "ExpectedBucketOwner": account},
        frozenset({"404", "NoSuchBucket"}),
        "s3:ListBucket",
        "arn:aws:s3:::*",
    ),
    "AWS::Lambda::Function": _check(
        "lambda", "get_function_configuration", "FunctionName", _NOT_FOUND, "function:*"
    ),
    "AWS::DynamoDB::Table": _TABLE,
    "AWS::DynamoDB::GlobalTable": _TABLE,
    "AWS::SQS::Queue": _check(
        "sqs",
        "get_queue_attributes",
        "QueueUrl",
        ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        "*",
    ),
    "AWS::SNS::Topic": _check(
        "sns", "get_topic_attributes", "TopicArn", ("NotFound", "NotFoundException"), "*"
    ),
    "AWS::IAM::Role": _check("iam", "get_role", "RoleName", _NO_ENTITY, "role/*"),
    "AWS::IAM::ManagedPolicy": _check("iam", "get_policy", "PolicyArn", _NO_ENTITY, "policy/*"),
    "AWS::IAM::InstanceProfile": _check(
        "iam", "get_instance_profile", "InstanceProfileName", _NO_ENTITY, "instance-profile/*"
    ),
    "AWS::IAM::User": _check("iam", "get_user", "UserName", _NO_ENTITY, "user/*"),
    "AWS::Logs::LogGroup": _check(
        "logs",
        "describe_log_groups",
        "logGroupNamePrefix",
        (),
        "log-group:*",
        lambda answer, physical: any(row["logGroupName"] == physical for row in answer["logGroups"]),
    ),
    "AWS::ECR::Repository": _check(
        "ecr",
        "describe_repositories",
        _listed("repositoryNames"),
        ("RepositoryNotFoundException",),
        "repository/*",
    ),
    "AWS::CodeBuild::Project": _check(
        "codebuild",
        "batch_get_projects",
        _listed("names"),
        (),
        "project/*",
        lambda answer, _physical: bool(answer["projects"]),
    ),
    # Not GetParameter, because that would read the value.
    "AWS::SSM::Parameter": _check(
        "ssm",
        "describe_parameters",
        lambda physical, _account: {
            "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [physical]}]
        },
        (),
        None,
        lambda answer, _physical: bool(answer["Parameters"]),
    ),
    # A secret or a key that is scheduled for deletion counts as gone, because AWS deletes none at once.
    "AWS::SecretsManager::Secret": _check(
        "secretsmanager",
        "describe_secret",
        "SecretId",
        _NOT_FOUND,
        "secret:*",
        lambda answer, _physical: not answer.get("DeletedDate"),
    ),
    "AWS::KMS::Key": _check(
        "kms",
        "describe_key",
        "KeyId",
        ("NotFoundException",),
        "key/*",
        lambda answer, _physical: answer["KeyMetadata"]["KeyState"] != "PendingDeletion",
    ),
    "AWS::StepFunctions::StateMachine": _check(
        "stepfunctions",
        "describe_state_machine",
        "stateMachineArn",
        ("StateMachineDoesNotExist",),
        "stateMachine:*",
        action="states:DescribeStateMachine",
    ),
    "AWS::Kinesis::Stream": _check(
        "kinesis", "describe_stream_summary", "StreamName", _NOT_FOUND, "stream/*"
    ),
    "AWS::RDS::DBInstance": _check(
        "rds",
        "describe_db_instances",
        "DBInstanceIdentifier",
        ("DBInstanceNotFound", "DBInstanceNotFoundFault"),
        "db:*",
        action="rds:DescribeDBInstances",
    ),
    "AWS::EC2::SecurityGroup": _check(
        "ec2", "describe_security_groups", _listed("GroupIds"), ("InvalidGroup.NotFound",), None
    ),
    "AWS::EC2::VPC": _check("ec2", "describe_vpcs", _listed("VpcIds"), ("InvalidVpcID.NotFound",), None),
    "AWS::EC2::Instance": _check(
        "ec2",
        "describe_instances",
        _listed("InstanceIds"),
        ("InvalidInstanceID.NotFound",),
        None,
        # A terminated instance is listed for an hour. A list without the instance is not an answer.
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


def is_there(clients: Clients, kind: str, physical_id: str, account: str) -> bool:
    """Return whether a resource exists. Raises `ServiceError` if the service does not clearly say so."""
    check = EXISTENCE_CHECKS[kind]
    call = getattr(clients.aws(check.service), check.operation)
    try:
        answer = call(**check.arguments(physical_id, account))
    except ServiceError as error:
        if error.reason in check.absent:
            return False
        raise
    return check.there is None or check.there(answer, physical_id)
