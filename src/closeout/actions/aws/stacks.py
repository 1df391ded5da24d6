"""Read from CloudFormation whether a stack exists, what it contains, what it keeps, and why a delete failed.

Reads only. Everything after the plan uses the StackId, because the name may belong to another stack by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from closeout.actions.aws.together import each
from closeout.core.errors import ServiceError

STACK_TYPE = "AWS::CloudFormation::Stack"
BUCKET_TYPE = "AWS::S3::Bucket"
KEPT = frozenset({"Retain", "RetainExceptOnCreate"})
# In REVIEW_IN_PROGRESS nothing runs: the stack has only a change set, and it can be deleted.
NOT_BUSY = frozenset({"REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS"})
_CANCELLED = "Resource deletion cancelled"
_NAMED = re.compile(r"failed to delete: \[([^\]]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One physical resource of a stack or of a stack nested in it. `policy` is its DeletionPolicy, if any."""

    type: str
    logical_id: str
    physical_id: str
    stack_id: str
    stack_name: str
    policy: str | None = None

    @property
    def kept(self) -> bool:
        """Whether its DeletionPolicy keeps the resource itself."""
        return self.policy in KEPT


def find(client: Any, name_or_id: str) -> Mapping[str, Any] | None:
    """Return a stack that exists, or None for one that is gone. Raises `ServiceError` for every other answer.

    "Gone" means exactly a ValidationError that this stack does not exist, or (by id) the state DELETE_COMPLETE.
    Other ValidationErrors have other meanings.
    """
    try:
        stacks = client.describe_stacks(StackName=name_or_id)["Stacks"]
    except ServiceError as error:
        absent = f"Stack with id {name_or_id} does not exist"
        if error.reason == "ValidationError" and absent in error.message:
            return None
        raise
    if len(stacks) != 1 or name_or_id not in (stacks[0]["StackId"], stacks[0]["StackName"]):
        raise ServiceError(
            f"cloudformation DescribeStacks: the answer is about another stack than {name_or_id}",
            service="cloudformation",
            operation="DescribeStacks",
            reason="unusable",
            transient=True,
        )
    stack: Mapping[str, Any] = stacks[0]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def busy(stack: Mapping[str, Any]) -> bool:
    """Return whether an operation is in progress that must end before a delete can begin."""
    status = str(stack["StackStatus"])
    return status.endswith("_IN_PROGRESS") and status not in NOT_BUSY


def resources(client: Any, stack: Mapping[str, Any]) -> list[Resource]:
    """Return every physical resource that is not deleted yet; those of a nested stack follow the stack.

    Nested stacks are read level by level, because recursion would multiply the concurrent calls.
    """
    found = level = list(_own_resources(client, stack, kept=False))
    while nested := [resource for resource in level if resource.type == STACK_TYPE]:
        inside = each(partial(_inside, client), nested)
        for resource, part in zip(nested, inside, strict=True):
            behind = found.index(resource) + 1
            found[behind:behind] = part
        level = [resource for part in inside for resource in part]
    return found


def _inside(client: Any, resource: Resource) -> list[Resource]:
    """Return the resources of a nested stack. They are kept if its own entry in the parent is."""
    stack = find(client, resource.physical_id)
    return [] if stack is None else list(_own_resources(client, stack, kept=resource.kept))


def _own_resources(client: Any, stack: Mapping[str, Any], *, kept: bool) -> Iterator[Resource]:
    policies = deletion_policies(client, stack["StackId"])
    for row in pages(client.list_stack_resources, "StackResourceSummaries", StackName=stack["StackId"]):
        physical = row.get("PhysicalResourceId")
        if not physical or row["ResourceStatus"] in ("DELETE_COMPLETE", "DELETE_SKIPPED"):
            continue
        policy = "Retain" if kept else policies.get(row["LogicalResourceId"])
        yield Resource(
            type=row["ResourceType"],
            logical_id=row["LogicalResourceId"],
            physical_id=physical,
            stack_id=stack["StackId"],
            stack_name=stack["StackName"],
            policy=policy,
        )


def resource_statuses(client: Any, stack_id: str) -> dict[str, str]:
    """Return CloudFormation's status of each logical id of a stack; with a StackId, also of a deleted stack.

    Empty when CloudFormation has forgotten the stack (it does so after 90 days).
    """
    try:
        rows = list(pages(client.list_stack_resources, "StackResourceSummaries", StackName=stack_id))
    except ServiceError as error:
        if error.reason == "ValidationError" and "does not exist" in error.message:
            return {}
        raise
    return {row["LogicalResourceId"]: row["ResourceStatus"] for row in rows}


def owner(client: Any, physical_id: str) -> str | None:
    """Return the StackId of the stack that this resource belongs to now; None if it belongs to none."""
    try:
        rows = client.describe_stack_resources(PhysicalResourceId=physical_id)["StackResources"]
    except ServiceError as error:
        if error.reason == "ValidationError" and "does not exist" in error.message:
            return None
        raise
    own = (row for row in rows if row.get("PhysicalResourceId") == physical_id)
    return next((str(row["StackId"]) for row in own if row["ResourceStatus"] != "DELETE_COMPLETE"), None)


def deletion_policies(client: Any, stack_id: str) -> dict[str, str]:
    """Return the DeletionPolicy of each logical id, if it is plain text."""
    body = client.get_template(StackName=stack_id, TemplateStage="Processed")["TemplateBody"]
    template = _parse(body) if isinstance(body, str) else body
    entries = template.get("Resources") if isinstance(template, Mapping) else None
    if not isinstance(entries, Mapping):
        return {}
    return {
        str(name): str(entry["DeletionPolicy"])
        for name, entry in entries.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("DeletionPolicy"), str)
    }


def _parse(text: str) -> Any:
    """Read a template that is not JSON. The round-trip loader keeps tags such as `!Ref` as data and builds no objects."""
    try:
        return YAML(typ="rt").load(text)
    except YAMLError:
        return None


class DeleteEvents(NamedTuple):
    """A stack's events about the latest delete, the oldest first. `since` are those after a marker."""

    events: list[Mapping[str, Any]]
    since: list[Mapping[str, Any]]


def trace_delete(client: Any, stack_id: str, marker: str | None, *, joins: bool) -> DeleteEvents:
    """Read a stack's events back to the beginning of the latest delete.

    Stop at the event with id `marker`, unless this `joins` a delete that was in progress when the marker was taken, because
    its failures may precede the marker. Events arrive late, and only those of one resource are in order.
    """
    found: list[Mapping[str, Any]] = []
    passed: int | None = None
    for event in pages(client.describe_stack_events, "StackEvents", StackName=stack_id):
        if event["EventId"] == marker:
            passed = len(found)
            if not joins:
                break
        found.append(event)
        if is_about_stack(event) and event["ResourceStatus"] == "DELETE_IN_PROGRESS":
            break
    return DeleteEvents(found[::-1], found[:passed][::-1])


def newest_event(client: Any, stack_id: str) -> str | None:
    """Return the id of the newest event."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return str(events[0]["EventId"]) if events else None


def is_about_stack(event: Mapping[str, Any]) -> bool:
    """Return whether an event is about the stack itself, not a resource (a nested stack is a resource of its parent)."""
    return bool(event.get("PhysicalResourceId") == event["StackId"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """CloudFormation's reason why one resource was not deleted."""

    type: str
    logical_id: str
    physical_id: str
    reason: str

    @property
    def not_empty(self) -> bool:
        """Whether this is a bucket that still contains versions (S3's code, or its sentence in newer events)."""
        not_empty = (
            "BucketNotEmpty" in self.reason or "bucket you tried to delete is not empty" in self.reason
        )
        return self.type == BUCKET_TYPE and not_empty

    @property
    def may_pass(self) -> bool:
        """Whether another delete may help, because something that depended on the resource is deleted later (EC2's error)."""
        return "DependencyViolation" in self.reason or "has a dependent object" in self.reason

    def text(self) -> str:
        """Return one clause for people."""
        return f"{self.type} {self.logical_id} ({self.physical_id}): {self.reason}"


def failures(client: Any, events: Sequence[Mapping[str, Any]]) -> list[Failure]:
    """Explain a failed delete by resource, from its events (the oldest first), and a nested stack by its resources.

    "Resource deletion cancelled" is a consequence of another failure, so it is left out if there is one.
    """
    found: list[Failure] = []
    for event in _failed(events):
        inner: list[Failure] = []
        physical = event.get("PhysicalResourceId") or ""
        if event["ResourceType"] == STACK_TYPE and physical:
            inner = failures(client, trace_delete(client, physical, None, joins=True).events)
        found += inner or [
            Failure(
                type=event["ResourceType"],
                logical_id=event["LogicalResourceId"],
                physical_id=physical,
                reason=str(event.get("ResourceStatusReason") or "no reason given"),
            )
        ]
    causes = [failure for failure in found if _CANCELLED not in failure.reason]
    return causes or found


def explained(events: Sequence[Mapping[str, Any]], found: Sequence[Failure], reason: str) -> bool:
    """Return whether all events of a failed delete have arrived; `found` are their `failures`.

    The stack's reason names each failed resource by its logical id. For a failed nested stack, an event must
    say what failed in it.
    """
    named = {name.strip() for listed in _NAMED.findall(reason) for name in listed.split(",")}
    failed = {event["LogicalResourceId"] for event in _failed(events)}
    return bool(failed) and named <= failed and not any(failure.type == STACK_TYPE for failure in found)


def _failed(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the DELETE_FAILED events of resources in the latest delete.

    These follow the stack's last DELETE_IN_PROGRESS, except late ones with the token of another request.
    """
    started = [
        index
        for index, event in enumerate(events)
        if is_about_stack(event) and event["ResourceStatus"] == "DELETE_IN_PROGRESS"
    ]
    first = started[-1] if started else 0
    token = events[first].get("ClientRequestToken") if started else None
    return [
        event
        for event in events[first:]
        if event["ResourceStatus"] == "DELETE_FAILED"
        and not is_about_stack(event)
        and (not token or event.get("ClientRequestToken") in (None, token))
    ]


def pages(call: Any, key: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rows under `key` in every page of a call's answers."""
    answer = call(**arguments)
    yield from answer[key]
    while answer.get("NextToken"):
        answer = call(**arguments, NextToken=answer["NextToken"])
        yield from answer[key]
