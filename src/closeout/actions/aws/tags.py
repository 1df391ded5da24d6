"""The tags of single resources, read from each resource's own service: what `protect.tags` is held against.

CloudFormation does not say which tags its resources have, and the Resource Groups Tagging API hears of them late. So
the common types have a read here, one line each in one table. Any other type is asked of Cloud Control, if its schema in
CloudFormation's registry says that it has tags. Whatever cannot be read is refused: an unread tag is not a missing one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from closeout.actions.aws import physical, stacks
from closeout.actions.spec import Inputs, Permission
from closeout.core.errors import GuardRefused, ServiceError
from closeout.core.plan import Change
from closeout.ports import Clients


class Named(NamedTuple):
    """A resource of a stack, by the id that CloudFormation gives it."""

    kind: str
    physical_id: str
    stack_id: str
    account: str

    def arn(self, service: str, prefix: str) -> str:
        """Return its ARN in the stack's partition, region and account."""
        _, partition, _, region, account, _ = self.stack_id.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{prefix}{self.physical_id}"


class Read(NamedTuple):
    """One read-only call that answers with a resource's tags.

    `found` takes the tags out of the answer: a map, or a list of pairs; raises `LookupError` or `TypeError` when they
    are not where they belong. `untagged` are the exact codes that mean "no tags", or "no such resource". `page` are the
    keys of the answer and of the request under which the next page goes on.
    """

    service: str
    operation: str
    arguments: Callable[[Named], dict[str, Any]]
    found: Callable[[Mapping[str, Any]], Any]
    untagged: frozenset[str]
    action: str
    resource: str
    page: tuple[str, str] | None = None


def _under(*keys: str | int) -> Callable[[Mapping[str, Any]], Any]:
    """Return what takes tags from under these keys. Services leave the last one out where a resource has no tags."""

    def found(answer: Any) -> Any:
        for key in keys[:-1]:
            answer = answer[key]
        return answer.get(keys[-1]) or ()

    return found


def _look(kind: str, *keys: str | int) -> Read:
    """Return the read of a type whose tags stand in the answer of its look, so that it needs no right of its own."""
    look = physical.LOOKS[kind]
    return Read(
        look.service,
        look.operation,
        lambda named: look.arguments(named.physical_id, named.account),
        _under(*keys),
        look.absent,
        look.action,
        look.resource,
    )


def _listing(
    kind: str,
    operation: str,
    arguments: Callable[[Named], dict[str, Any]],
    key: str,
    action: str,
    **more: Any,
) -> Read:
    """Return the read of a type that has a call of its own for tags."""
    look = physical.LOOKS[kind]
    untagged = look.absent | more.pop("untagged", frozenset())
    found = _under(key) if more.pop("optional", False) else lambda answer: answer[key]
    return Read(look.service, operation, arguments, found, untagged, action, look.resource, **more)


def _by_arn(service: str, prefix: str, key: str) -> Callable[[Named], dict[str, Any]]:
    return lambda named: {key: named.arn(service, prefix)}


def _by_id(key: str) -> Callable[[Named], dict[str, Any]]:
    return lambda named: {key: named.physical_id}


_GONE = frozenset({"ResourceNotFoundException", "ResourceNotFound", "NotFoundException"})
_TABLE = _listing(
    "AWS::DynamoDB::Table",
    "list_tags_of_resource",
    _by_arn("dynamodb", "table/", "ResourceArn"),
    "Tags",
    "dynamodb:ListTagsOfResource",
    page=("NextToken", "NextToken"),
)
READS: Mapping[str, Read] = {
    "AWS::S3::Bucket": _listing(
        "AWS::S3::Bucket",
        "get_bucket_tagging",
        lambda named: {"Bucket": named.physical_id, "ExpectedBucketOwner": named.account},
        "TagSet",
        "s3:GetBucketTagging",
        untagged=frozenset({"NoSuchTagSet"}),
    ),
    "AWS::Lambda::Function": _listing(
        "AWS::Lambda::Function",
        "list_tags",
        _by_arn("lambda", "function:", "Resource"),
        "Tags",
        "lambda:ListTags",
    ),
    "AWS::DynamoDB::Table": _TABLE,
    "AWS::DynamoDB::GlobalTable": _TABLE,
    "AWS::SQS::Queue": _listing(
        "AWS::SQS::Queue",
        "list_queue_tags",
        _by_id("QueueUrl"),
        "Tags",
        "sqs:ListQueueTags",
        optional=True,
    ),
    "AWS::SNS::Topic": _listing(
        "AWS::SNS::Topic",
        "list_tags_for_resource",
        _by_id("ResourceArn"),
        "Tags",
        "sns:ListTagsForResource",
        untagged=_GONE,
    ),
    "AWS::IAM::Role": _look("AWS::IAM::Role", "Role", "Tags"),
    "AWS::IAM::ManagedPolicy": _look("AWS::IAM::ManagedPolicy", "Policy", "Tags"),
    "AWS::IAM::InstanceProfile": _look("AWS::IAM::InstanceProfile", "InstanceProfile", "Tags"),
    "AWS::IAM::User": _look("AWS::IAM::User", "User", "Tags"),
    "AWS::Logs::LogGroup": _listing(
        "AWS::Logs::LogGroup",
        "list_tags_for_resource",
        _by_arn("logs", "log-group:", "resourceArn"),
        "tags",
        "logs:ListTagsForResource",
        untagged=_GONE,
        optional=True,
    ),
    "AWS::ECR::Repository": _listing(
        "AWS::ECR::Repository",
        "list_tags_for_resource",
        _by_arn("ecr", "repository/", "resourceArn"),
        "tags",
        "ecr:ListTagsForResource",
    ),
    "AWS::CodeBuild::Project": _look("AWS::CodeBuild::Project")._replace(
        found=lambda answer: [tag for project in answer["projects"] for tag in project.get("tags") or ()]
    ),
    "AWS::SSM::Parameter": _listing(
        "AWS::SSM::Parameter",
        "list_tags_for_resource",
        lambda named: {"ResourceType": "Parameter", "ResourceId": named.physical_id},
        "TagList",
        "ssm:ListTagsForResource",
        untagged=frozenset({"InvalidResourceId"}),
    )._replace(resource="arn:aws:ssm:*:*:parameter/*"),
    "AWS::SecretsManager::Secret": _look("AWS::SecretsManager::Secret", "Tags"),
    "AWS::KMS::Key": _listing(
        "AWS::KMS::Key",
        "list_resource_tags",
        _by_id("KeyId"),
        "Tags",
        "kms:ListResourceTags",
        page=("NextMarker", "Marker"),
    ),
    "AWS::StepFunctions::StateMachine": _listing(
        "AWS::StepFunctions::StateMachine",
        "list_tags_for_resource",
        _by_id("resourceArn"),
        "tags",
        "states:ListTagsForResource",
        untagged=_GONE,
    ),
    "AWS::Kinesis::Stream": _listing(
        "AWS::Kinesis::Stream",
        "list_tags_for_stream",
        lambda named: {"StreamName": named.physical_id, "Limit": 50},
        "Tags",
        "kinesis:ListTagsForStream",
    ),
    "AWS::RDS::DBInstance": _look("AWS::RDS::DBInstance", "DBInstances", 0, "TagList"),
    "AWS::EC2::SecurityGroup": _look("AWS::EC2::SecurityGroup", "SecurityGroups", 0, "Tags"),
    "AWS::EC2::VPC": _look("AWS::EC2::VPC", "Vpcs", 0, "Tags"),
    "AWS::EC2::Instance": _look("AWS::EC2::Instance", "Reservations", 0, "Instances", 0, "Tags"),
    stacks.STACK_TYPE: Read(
        "cloudformation",
        "describe_stacks",
        _by_id("StackName"),
        _under("Stacks", 0, "Tags"),
        frozenset(),
        "cloudformation:DescribeStacks",
        "arn:aws:cloudformation:*:*:stack/*",
    ),
}
UNTAGGABLE = frozenset(
    {
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudFormation::WaitCondition",
        "AWS::CloudFormation::WaitConditionHandle",
    }
)
"""Types behind which there is no resource that could have tags. So it is with every `Custom::` type."""
OTHERS = Permission(
    system="aws",
    actions=("cloudformation:DescribeType", "cloudformation:GetResource"),
    resources=(physical.EVERYTHING,),
    reason="read the tags of resources of any other type, which takes that type's own rights to read as well",
)


def of_stack(changes: Sequence[Change], clients: Clients) -> Sequence[Change]:
    """Return a stack's planned changes with the tags of every resource that is to go.

    Raises `GuardRefused` for tags that cannot be read, a transient `ServiceError` if trying again may help.
    """
    reader = _Reader(clients)
    return [
        replace(change, tags=reader.tags(change.resource, _named(change)))
        if change.part_of is not None and change.verb != "keep"
        else change
        for change in changes
    ]


def _named(change: Change) -> Named:
    identity = change.identity
    return Named(identity["type"], identity["physical_id"], identity["stack_id"], identity["account"])


def of_bucket(changes: Sequence[Change], clients: Clients) -> Sequence[Change]:
    """Return the changes of one bucket's content with the bucket's tags. Raises as `of_stack` does."""
    reader = _Reader(clients)
    return [
        replace(
            change,
            tags=reader.tags(
                f"bucket {change.identity['bucket']}",
                Named(stacks.BUCKET_TYPE, change.identity["bucket"], "", change.identity["owner"]),
            ),
        )
        for change in changes
    ]


def bucket_permissions(bucket: str) -> tuple[Permission, ...]:
    """Return what reading the tags of this bucket needs; `bucket` is a pattern."""
    read = READS[stacks.BUCKET_TYPE]
    return (_permission((read.action,), (f"arn:aws:s3:::{bucket}",)),)


def stack_permissions(_inputs: Inputs) -> tuple[Permission, ...]:
    """Return what reading the tags of a stack's resources needs besides the looks at them."""
    looked = {look.action for look in physical.LOOKS.values()} | {"cloudformation:DescribeStacks"}
    more = [read for read in READS.values() if read.action not in looked]
    actions = tuple(sorted({read.action for read in more}))
    return (_permission(actions, tuple(sorted({read.resource for read in more}))), OTHERS)


def _permission(actions: tuple[str, ...], resources: tuple[str, ...]) -> Permission:
    reason = "read the tags that `protect.tags` is held against"
    return Permission(system="aws", actions=actions, resources=resources, reason=reason)


class _Reader:
    """Reads tags, with each type's schema asked for once."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._properties: dict[str, str | None] = {}

    def tags(self, shown: str, named: Named) -> dict[str, str]:
        """Return a resource's tags. Raises `GuardRefused`, or a transient `ServiceError`."""
        try:
            return dict(self._read(named))
        except ServiceError as error:
            if error.transient:
                raise
            why = error.message
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"the answer holds no tags where they belong ({type(error).__name__})"
        raise GuardRefused(
            f"the tags of {shown} cannot be read, and `protect.tags` may protect it: {why}; nothing was done"
        )

    def _read(self, named: Named) -> Iterator[tuple[str, str]]:
        read = READS.get(named.kind)
        if read is not None:
            yield from self._listed(read, named)
        elif named.kind not in UNTAGGABLE and not named.kind.startswith("Custom::"):
            yield from self._controlled(named)

    def _listed(self, read: Read, named: Named) -> Iterator[tuple[str, str]]:
        call = getattr(self._clients.aws(read.service), read.operation)
        arguments = read.arguments(named)
        while True:
            try:
                answer = call(**arguments)
            except ServiceError as error:
                gone = f"Stack with id {named.physical_id} does not exist" in error.message
                if error.reason in read.untagged or (error.reason == "ValidationError" and gone):
                    return
                raise
            if answer.get("HasMoreTags"):
                raise ValueError("more tags than one answer holds")
            yield from _pairs(read.found(answer))
            following = answer.get(read.page[0]) if read.page else None
            if not following or read.page is None:
                return
            arguments = {**arguments, read.page[1]: following}

    def _controlled(self, named: Named) -> Iterator[tuple[str, str]]:
        """Read the tags of a resource of any other type from Cloud Control (CloudControl API Reference, GetResource)."""
        if named.kind not in self._properties:
            self._properties[named.kind] = self._tag_property(named.kind)
        key = self._properties[named.kind]
        if key is None:
            return
        try:
            answer = self._clients.aws("cloudcontrol").get_resource(
                TypeName=named.kind, Identifier=named.physical_id
            )
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                return
            raise
        yield from _pairs(json.loads(answer["ResourceDescription"]["Properties"]).get(key) or ())

    def _tag_property(self, kind: str) -> str | None:
        """Return the property that holds a type's tags, None for a type whose schema says that it has none.

        CloudFormation CLI User Guide, resource type definition schema: `tagging.taggable` (once `taggable`) and
        `tagging.tagProperty`, by default true and `/properties/Tags`.
        """
        answer = self._clients.aws("cloudformation").describe_type(Type="RESOURCE", TypeName=kind)
        schema = json.loads(answer["Schema"])
        tagging = schema.get("tagging", {})
        key = str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")
        taggable = tagging.get("taggable", schema.get("taggable", True))
        return key if taggable and key in schema["properties"] else None


def _pairs(found: Any) -> Iterator[tuple[str, str]]:
    """Yield name and value of each tag, however the service spells a pair. Raises `LookupError`, `TypeError`."""
    if isinstance(found, Mapping):
        yield from ((str(key), str(value)) for key, value in found.items())
        return
    if isinstance(found, str):
        raise TypeError("tags are no text")
    for pair in found:
        spelling = next((keys for keys in _SPELLINGS if keys[0] in pair), None)
        if spelling is None:
            raise LookupError("a tag has no name")
        yield str(pair[spelling[0]]), str(pair.get(spelling[1]) or "")


_SPELLINGS = (("Key", "Value"), ("key", "value"), ("TagKey", "TagValue"))
