"""Read the tags of single resources from each resource's own service, for `protect.tags`.

CloudFormation does not report the tags of its resources, and the Resource Groups Tagging API is updated late. So
the common types have a read in `tag_reads`. Any other type is read from Cloud Control, if its schema in
CloudFormation's registry says that it has tags. If tags cannot be read, the plan is rejected: they may protect the resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from closeout.actions.aws import physical, stacks
from closeout.actions.aws.tag_reads import PARENTS, READS, UNTAGGABLE, StackMember, TagRead
from closeout.actions.aws.together import each, once
from closeout.actions.spec import Inputs, Permission
from closeout.core.errors import GuardRefused, ServiceError
from closeout.core.plan import Change
from closeout.ports import Clients

REASON = "read tags, to compare them with `protect.tags`"
OTHERS = Permission(
    "aws",
    ("cloudformation:DescribeType", "cloudformation:GetResource"),
    (physical.EVERYTHING,),
    "read the tags of all other types; this also needs the right to read that type",
)


def of_stack(changes: Sequence[Change], clients: Clients) -> Sequence[Change]:
    """Return a stack's planned changes with the tags of every resource to be deleted.

    Raises `GuardRefused` for tags that cannot be read, a transient `ServiceError` if a retry may help.
    """
    reader = _Reader(clients)

    def read(change: Change) -> Change:
        if not _goes(change):
            return change
        return replace(change, tags=reader.tags(change.resource, _named(change, changes)))

    return each(read, changes)


def _goes(change: Change) -> bool:
    return change.part_of is not None and change.verb != "keep"


def _named(change: Change, changes: Sequence[Change]) -> StackMember:
    identity = change.identity
    parents = tuple(
        other.identity["physical_id"]
        for other in changes
        if _goes(other) and other.identity["type"] == PARENTS.get(identity["type"])
    )
    return StackMember(
        identity["type"], identity["physical_id"], identity["stack_id"], identity["account"], parents
    )


def of_bucket(changes: Sequence[Change], clients: Clients) -> Sequence[Change]:
    """Return the changes to one bucket's content with the bucket's tags. Raises as `of_stack` does."""
    reader, tagged = _Reader(clients), []
    for change in changes:
        bucket, owner = change.identity["bucket"], change.identity["owner"]
        tags = reader.tags(f"bucket {bucket}", StackMember(stacks.BUCKET_TYPE, bucket, "", owner))
        tagged.append(replace(change, tags=tags))
    return tagged


def bucket_permissions(bucket: str) -> tuple[Permission, ...]:
    """Return the permission to read the tags of this bucket; `bucket` is a pattern."""
    return (Permission("aws", (READS[stacks.BUCKET_TYPE].action,), (f"arn:aws:s3:::{bucket}",), REASON),)


def stack_permissions(_inputs: Inputs) -> tuple[Permission, ...]:
    """Return the permissions to read the tags of a stack's resources, in addition to those of the existence checks."""
    checked = {check.action for check in physical.EXISTENCE_CHECKS.values()}
    more = [read for read in READS.values() if read.action not in {*checked, "cloudformation:DescribeStacks"}]
    actions, resources = {read.action for read in more}, {read.resource for read in more}
    return (Permission("aws", tuple(sorted(actions)), tuple(sorted(resources)), REASON), OTHERS)


class _Reader:
    """Reads tags, and each type's schema only once. Safe in several threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._tag_property = once(self._read_tag_property)

    def tags(self, shown: str, named: StackMember) -> dict[str, str]:
        """Return a resource's tags. Raises `GuardRefused`, or a transient `ServiceError`."""
        try:
            return dict(self._read(named))
        except ServiceError as error:
            if error.transient:
                raise
            why = error.message
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"the answer contains no tags where they belong ({type(error).__name__})"
        raise GuardRefused(
            f"the tags of {shown} cannot be read, and `protect.tags` may protect it: {why}; nothing was done"
        )

    def _read(self, named: StackMember) -> Iterator[tuple[str, str]]:
        read = READS.get(named.kind)
        if read is not None:
            yield from self._listed(read, named)
        elif named.kind not in UNTAGGABLE and not named.kind.startswith("Custom::"):
            yield from self._controlled(named)

    def _listed(self, read: TagRead, named: StackMember) -> Iterator[tuple[str, str]]:
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

    def _controlled(self, named: StackMember) -> Iterator[tuple[str, str]]:
        """Read the tags of a resource of any other type from Cloud Control (CloudControl API Reference, GetResource).

        If it finds none, the resource may still exist, because it may identify the type by another id than CloudFormation.
        """
        key = self._tag_property(named.kind)
        if key is None:
            return
        ids = [named.physical_id]
        if named.kind in PARENTS:  # identified by two ids, with a `|` between them
            ids = [f"{parent}|{named.physical_id}" for parent in named.parents]
        found = [tags for id_ in ids if (tags := self._controlled_by(named.kind, id_, key)) is not None]
        if not found:
            raise _unread("Cloud Control finds no such resource by the id that CloudFormation has for it")
        if any(tags != found[0] for tags in found):
            raise _unread("several resources have this id, with different tags")
        yield from found[0].items()

    def _controlled_by(self, kind: str, identifier: str, key: str) -> dict[str, str] | None:
        """Return the tags of the resource with this id; None if there is none."""
        try:
            answer = self._clients.aws("cloudcontrol").get_resource(TypeName=kind, Identifier=identifier)
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                return None
            raise
        return dict(_pairs(json.loads(answer["ResourceDescription"]["Properties"]).get(key) or ()))

    def _read_tag_property(self, kind: str) -> str | None:
        """Return the property with a type's tags; None for a type that has none according to its schema.

        CloudFormation CLI User Guide, resource type definition schema: `tagging.taggable` (once `taggable`) and
        `tagging.tagProperty`, by default true and `/properties/Tags`.
        """
        answer = self._clients.aws("cloudformation").describe_type(Type="RESOURCE", TypeName=kind)
        schema = json.loads(answer["Schema"])
        tagging = schema.get("tagging", {})
        key = str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")
        taggable = tagging.get("taggable", schema.get("taggable", True))
        return key if taggable and key in schema["properties"] else None


def _unread(why: str) -> ServiceError:
    return ServiceError(why, service="cloudcontrol", operation="GetResource", reason="unusable")


def _pairs(found: Any) -> Iterator[tuple[str, str]]:
    """Yield name and value of each tag, in any spelling that services use. Raises `LookupError`, `TypeError`."""
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
