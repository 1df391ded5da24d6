"""The table of calls that read the tags of single resources, one for each type of resource.

Each common type has one line here. `tags` uses the table, and Cloud Control for any other type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from closeout.actions.aws import physical, stacks


class StackMember(NamedTuple):
    """A resource of a stack, by its id in CloudFormation."""

    kind: str
    physical_id: str
    stack_id: str
    account: str
    parents: tuple[str, ...] = ()
    """Physical ids of its possible parents: see `PARENTS`."""

    def arn(self, service: str, prefix: str) -> str:
        """Return the resource's ARN in the stack's partition, region and account."""
        _, partition, _, region, account, _ = self.stack_id.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{prefix}{self.physical_id}"


class TagRead(NamedTuple):
    """One read-only call that answers with a resource's tags.

    `found` returns the tags in the answer: a map, or a list of pairs; it raises `LookupError` or `TypeError` if they
    are missing. `untagged` are the exact codes that mean "no tags" or "no such resource". `page` are the
    keys of the pagination token in the answer and in the request.
    """

    service: str
    operation: str
    arguments: Callable[[StackMember], dict[str, Any]]
    found: Callable[[Mapping[str, Any]], Any]
    untagged: frozenset[str]
    action: str
    resource: str
    page: tuple[str, str] | None = None


def _under(*keys: str | int) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that gets the tags under these keys. Services omit the last key if a resource has no tags."""

    def found(answer: Any) -> Any:
        for key in keys[:-1]:
            answer = answer[key]
        return answer.get(keys[-1]) or ()

    return found


def _checked(kind: str, *keys: str | int) -> tuple[str, TagRead]:
    """Return the read of a type whose existence check also returns its tags, which needs no further permission."""
    check = physical.EXISTENCE_CHECKS[kind]
    return kind, TagRead(
        check.service,
        check.operation,
        lambda named: check.arguments(named.physical_id, named.account),
        _under(*keys),
        check.absent,
        check.action,
        check.resource,
    )


def _listing(
    kind: str,
    operation: str,
    arguments: str | Callable[[StackMember], dict[str, Any]],
    key: str,
    *untagged: str,
    optional: bool = False,
    **more: Any,
) -> tuple[str, TagRead]:
    """Return the read of a type with a separate call for tags; `optional`: the answer may lack their key.

    `arguments` may be the key under which the physical id is passed.
    """
    check = physical.EXISTENCE_CHECKS[kind]
    given = (lambda named: {arguments: named.physical_id}) if isinstance(arguments, str) else arguments
    read = TagRead(
        check.service,
        operation,
        given,
        _under(key) if optional else lambda answer: answer[key],
        check.absent.union(untagged),
        physical.iam_action(check.action.partition(":")[0], operation),
        check.resource,
    )
    return kind, read._replace(**more)


def _by_arn(service: str, prefix: str, key: str) -> Callable[[StackMember], dict[str, Any]]:
    return lambda named: {key: named.arn(service, prefix)}


_GONE = ("ResourceNotFoundException", "ResourceNotFound", "NotFoundException")
READS: Mapping[str, TagRead] = dict(
    (
        _listing(
            "AWS::S3::Bucket",
            "get_bucket_tagging",
            lambda named: {"Bucket": named.physical_id, "ExpectedBucketOwner": named.account},
            "TagSet",
            "NoSuchTagSet",
        ),
        _listing("AWS::Lambda::Function", "list_tags", _by_arn("lambda", "function:", "Resource"), "Tags"),
        *(
            _listing(
                kind,
                "list_tags_of_resource",
                _by_arn("dynamodb", "table/", "ResourceArn"),
                "Tags",
                page=("NextToken", "NextToken"),
            )
            for kind in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")
        ),
        _listing("AWS::SQS::Queue", "list_queue_tags", "QueueUrl", "Tags", optional=True),
        _listing("AWS::SNS::Topic", "list_tags_for_resource", "ResourceArn", "Tags", *_GONE),
        _checked("AWS::IAM::Role", "Role", "Tags"),
        _checked("AWS::IAM::ManagedPolicy", "Policy", "Tags"),
        _checked("AWS::IAM::InstanceProfile", "InstanceProfile", "Tags"),
        _checked("AWS::IAM::User", "User", "Tags"),
        _listing(
            "AWS::Logs::LogGroup",
            "list_tags_for_resource",
            _by_arn("logs", "log-group:", "resourceArn"),
            "tags",
            *_GONE,
            optional=True,
        ),
        _listing(
            "AWS::ECR::Repository",
            "list_tags_for_resource",
            _by_arn("ecr", "repository/", "resourceArn"),
            "tags",
        ),
        _listing(
            "AWS::SSM::Parameter",
            "list_tags_for_resource",
            lambda named: {"ResourceType": "Parameter", "ResourceId": named.physical_id},
            "TagList",
            "InvalidResourceId",
            resource="arn:aws:ssm:*:*:parameter/*",
        ),
        _checked("AWS::SecretsManager::Secret", "Tags"),
        _listing("AWS::KMS::Key", "list_resource_tags", "KeyId", "Tags", page=("NextMarker", "Marker")),
        _listing(
            "AWS::StepFunctions::StateMachine",
            "list_tags_for_resource",
            "resourceArn",
            "tags",
            *_GONE,
        ),
        _listing(
            "AWS::Kinesis::Stream",
            "list_tags_for_stream",
            lambda named: {"StreamName": named.physical_id, "Limit": 50},
            "Tags",
        ),
        _checked("AWS::RDS::DBInstance", "DBInstances", 0, "TagList"),
        _checked("AWS::EC2::SecurityGroup", "SecurityGroups", 0, "Tags"),
        _checked("AWS::EC2::VPC", "Vpcs", 0, "Tags"),
        _checked("AWS::EC2::Instance", "Reservations", 0, "Instances", 0, "Tags"),
    )
) | {
    "AWS::CodeBuild::Project": _checked("AWS::CodeBuild::Project")[1]._replace(
        found=lambda answer: [tag for project in answer["projects"] for tag in project.get("tags") or ()]
    ),
    # Cloud Control knows these two by other ids than CloudFormation's.
    "AWS::Events::Rule": TagRead(
        "events",
        "list_tags_for_resource",
        lambda named: {
            "ResourceARN": named._replace(physical_id=named.physical_id.replace("|", "/")).arn(
                "events", "rule/"
            )
        },
        lambda answer: answer["Tags"],
        frozenset(_GONE),
        "events:ListTagsForResource",
        "arn:aws:events:*:*:rule/*",
    ),
    "AWS::ECS::Service": TagRead(
        "ecs",
        "list_tags_for_resource",
        lambda named: {"resourceArn": named.physical_id},
        _under("tags"),
        frozenset({"ClusterNotFoundException"}),
        "ecs:ListTagsForResource",
        "arn:aws:ecs:*:*:service/*",
    ),
    stacks.STACK_TYPE: TagRead(
        "cloudformation",
        "describe_stacks",
        lambda named: {"StackName": named.physical_id},
        _under("Stacks", 0, "Tags"),
        frozenset(),
        "cloudformation:DescribeStacks",
        "arn:aws:cloudformation:*:*:stack/*",
    ),
}
PARENTS = {
    "AWS::ApiGateway::Stage": "AWS::ApiGateway::RestApi",
    "AWS::ApiGatewayV2::Stage": "AWS::ApiGatewayV2::Api",
}
"""Types that Cloud Control identifies by two ids: that of a parent with one of these types, and the id in CloudFormation."""
UNTAGGABLE = frozenset(
    {
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudFormation::WaitCondition",
        "AWS::CloudFormation::WaitConditionHandle",
    }
)
"""Types without a resource that could have tags. Every `Custom::` type is one, too."""
