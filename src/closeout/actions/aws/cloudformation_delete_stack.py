"""`aws/cloudformation-delete-stack`: delete a stack by its id, and prove that its resources are gone.

The plan resolves a name to a StackId and to physical resources, once. From then on only these are used,
so a new stack with the same name is never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from closeout.actions.aws import arns, buckets, listing, physical, stacks, tags
from closeout.actions.aws.stacks import Resource
from closeout.actions.aws.teardown import PlannedStack, Teardown
from closeout.actions.aws.together import each, once
from closeout.actions.spec import Action, Input, Inputs, Permission, Work
from closeout.core.errors import GuardRefused, ServiceError
from closeout.core.plan import Change, Leftover
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

_LOOK = "verify that each resource is gone; these calls change nothing and read no secret, object or item"
NAMED = (
    f"{_LOOK}, but they show more than names: environment variables of functions and of CodeBuild projects, "
    "definitions of state machines, names of objects in buckets"
)
UNNAMED = f"{_LOOK}; AWS grants them for all resources or for none"


def plan(inputs: Inputs, clients: Clients) -> Sequence[Change]:
    """Freeze the StackId and the physical resources; empty if no such stack exists.

    Raises `GuardRefused` for a nested stack and under termination protection, `ServiceError` for any error of
    CloudFormation other than "does not exist".
    """
    client = clients.aws("cloudformation")
    stack = stacks.find(client, inputs["stack-name"])
    if stack is None:
        return ()
    _refuse(stack)
    account = clients.account()
    found = stacks.resources(client, stack)
    top = f"stack {stack['StackName']}"
    counted = each(partial(_count, inputs, clients, account), found)
    parts = [
        change
        for resource, count in zip(found, counted, strict=True)
        for change in _part_changes(resource, top, account, count)
    ]
    planned = [item for item in found if not item.kept]
    whole = Change(
        verb="delete",
        resource=top,
        reason=_reason(stack, inputs, len(planned), len(found) - len(planned)),
        identity={
            "stack_id": stack["StackId"],
            "name": stack["StackName"],
            "account": account,
            "resources": len(planned),
            "buckets": [item.physical_id for item in planned if item.type == stacks.BUCKET_TYPE],
        },
        name=stack["StackName"],
        tags={tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())},
    )
    return (whole, *parts)


def _refuse(stack: Mapping[str, Any]) -> None:
    name = stack["StackName"]
    if stack.get("ParentId"):
        parent = str(stack["ParentId"]).partition("/")[2].partition("/")[0]
        raise GuardRefused(
            f"stack {name} is nested in stack {parent}: a nested stack is deleted through its parent; "
            f"name {parent} instead"
        )
    if stack.get("EnableTerminationProtection"):
        raise GuardRefused(
            f"stack {name} is under termination protection, which closeout never removes; if it may go: "
            f"aws cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {name}"
        )


def _reason(stack: Mapping[str, Any], inputs: Inputs, gone: int, kept: int) -> str:
    text = f"it is {stack['StackStatus']} and holds {gone} resource{'s' if gone != 1 else ''}"
    if kept:
        text += f" besides {kept} that its template keeps"
    if not inputs.get("role-arn") and not stack.get("RoleARN"):
        text += (
            "; it has no role: closeout's role needs delete rights on every resource, "
            "or set `role-arn` on the step"
        )
    return text


def _count(inputs: Inputs, clients: Clients, account: str, resource: Resource) -> tuple[int, int]:
    """Return number and bytes of a bucket's versions; 0 if the step would not delete them."""
    if not inputs.get("empty-buckets") or resource.type != stacks.BUCKET_TYPE:
        return 0, 0
    return buckets.count(clients.aws("s3"), buckets.S3Location(bucket=resource.physical_id, owner=account))


def _part_changes(resource: Resource, top: str, account: str, count: tuple[int, int]) -> Iterator[Change]:
    shown = f"{resource.type} {resource.physical_id}"
    where = f"{resource.logical_id} of stack {resource.stack_name}"
    if resource.kept:
        reason = f"{where}: its DeletionPolicy is {resource.policy}"
        yield Change(verb="keep", resource=shown, reason=reason, part_of=top, name=resource.physical_id)
        return
    checked = resource.type in physical.EXISTENCE_CHECKS or resource.type == stacks.STACK_TYPE
    proof = "verified after deletion" if checked else "not verified beyond what CloudFormation says"
    number, size = count
    yield Change(
        verb="delete",
        resource=shown,
        reason=f"{where}; {proof}" + (f"; {number} versions in it" if number else ""),
        identity={
            "type": resource.type,
            "physical_id": resource.physical_id,
            "logical_id": resource.logical_id,
            "stack_id": resource.stack_id,
            "account": account,
        },
        part_of=top,
        objects=number,
        bytes=size,
        name=resource.physical_id,
    )
    if resource.policy == "Snapshot":
        yield Change(
            verb="keep",
            resource=f"snapshot of {shown}",
            reason=f"{where}: its DeletionPolicy is Snapshot",
            part_of=top,
        )


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Delete the stack that the plan froze; see `teardown`."""
    empty, role = bool(inputs.get("empty-buckets")), inputs.get("role-arn") or None
    return Teardown(PlannedStack(**change.identity), work, empty_buckets=empty, role_arn=role).run()


def verify(changes: Sequence[Change], clients: Clients) -> Sequence[Leftover]:
    """Return the leftovers among the stack and the resources that the plan listed.

    A refused check (403) counts as a leftover with that reason, because a refusal does not prove that the resource is gone. A
    transient error is raised, so that the check is repeated.
    """
    seen = _StackStates(clients)
    planned = [change for change in changes if change.verb != "keep"]
    found = zip(planned, each(seen.reason, planned), strict=True)
    return [Leftover(resource=change.resource, reason=reason) for change, reason in found if reason]


class _StackStates:
    """Existence checks that read each stack's state and statuses from CloudFormation once. Safe in several threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._client = clients.aws("cloudformation")
        self._find = once(partial(stacks.find, self._client))
        self._statuses = once(partial(stacks.resource_statuses, self._client))

    def reason(self, change: Change) -> str | None:
        """Return why a change's resource counts as left; None if it is gone. Raises a transient `ServiceError`."""
        try:
            return self.stack(change) if change.part_of is None else self.resource(change.identity)
        except ServiceError as error:
            if error.transient:
                raise
            return f"could not be verified: {error.message}"

    def stack(self, change: Change) -> str | None:
        """Return why the stack itself counts as left."""
        stack = self._find(change.identity["stack_id"])
        if stack is None:
            return None
        why = stack.get("StackStatusReason")
        return f"it is {stack['StackStatus']}" + (f": {why}" if why else "")

    def resource(self, identity: Mapping[str, Any]) -> str | None:
        """Return why a resource counts as left; None if it is gone, or if a policy of the stack kept it after all."""
        kind, physical_id = identity["type"], identity["physical_id"]
        if kind == stacks.STACK_TYPE:
            there = self._find(physical_id) is not None
        elif kind in physical.EXISTENCE_CHECKS:
            there = physical.is_there(self._clients, kind, physical_id, identity["account"])
        else:
            there = self._find(identity["stack_id"]) is not None and self._word(identity) != "DELETE_COMPLETE"
        if not there:
            return None
        word = self._word(identity)
        if word == "DELETE_SKIPPED":
            return None
        if word == "DELETE_COMPLETE":
            # A new stack may have a resource with that name, which then is not a leftover.
            if stacks.owner(self._client, physical_id) not in (None, identity["stack_id"]):
                return None
            return "CloudFormation says that it is deleted, but it is still there"
        return f"CloudFormation says {word}" if word else "it is still there"

    def _word(self, identity: Mapping[str, Any]) -> str | None:
        return self._statuses(identity["stack_id"]).get(identity["logical_id"])


def permissions(inputs: Inputs) -> tuple[Permission, ...]:
    """Return what the caller needs, except the rights to delete the resources themselves, which `role-arn` may have."""
    name = arns.pattern(inputs, "stack-name")
    checks = physical.EXISTENCE_CHECKS.values()
    named = [check for check in checks if check.resource != physical.EVERYTHING]
    unnamed = [check for check in checks if check.resource == physical.EVERYTHING]
    needed = [
        Permission(
            "aws",
            (
                "cloudformation:DescribeStacks",
                "cloudformation:DescribeStackEvents",
                "cloudformation:ListStackResources",
                "cloudformation:DescribeStackResources",
                "cloudformation:GetTemplate",
                "cloudformation:DeleteStack",
            ),
            (f"arn:aws:cloudformation:*:*:stack/{name}/*",),
            "read the stack, delete it, and wait until it is deleted",
        ),
    ]
    for group, reason in ((named, NAMED), (unnamed, UNNAMED)):
        actions, resources = {check.action for check in group}, {check.resource for check in group}
        needed.append(Permission("aws", tuple(sorted(actions)), tuple(sorted(resources)), reason))
    if inputs.get("role-arn"):
        role = arns.pattern(inputs, "role-arn")
        reason = "pass CloudFormation the role that it deletes with"
        needed.append(Permission("aws", ("iam:PassRole",), (role,), reason))
    if inputs.get("empty-buckets"):
        needed.append(
            Permission(
                "aws",
                ("s3:ListBucketVersions", "s3:DeleteObject", "s3:DeleteObjectVersion"),
                (f"arn:aws:s3:::{name.lower()}*", f"arn:aws:s3:::{name.lower()}*/*"),
                "empty buckets that CloudFormation named after the stack; add yours if they are named otherwise",
            )
        )
    return tuple(needed)


def plan_permissions(inputs: Inputs) -> tuple[Permission, ...]:
    """Return what the plan needs: to read the stack, and to count what is in its buckets."""
    name = arns.pattern(inputs, "stack-name")
    reads = (
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:ListStackResources",
    )
    stack = Permission("aws", reads, (f"arn:aws:cloudformation:*:*:stack/{name}/*",), "read the stack")
    if not inputs.get("empty-buckets"):
        return (stack,)
    reason = "count what is in buckets that CloudFormation named after the stack"
    return (stack, Permission("aws", ("s3:ListBucketVersions",), (f"arn:aws:s3:::{name.lower()}*",), reason))


def absent(inputs: Inputs) -> str:
    """Return the name of the missing stack."""
    return f"stack {inputs['stack-name']}"


ACTION = Action(
    uses="aws/cloudformation-delete-stack",
    summary="Delete a CloudFormation stack and verify that its resources are gone.",
    description="""\
The plan reads the stack once: its StackId, its physical resources (including those of nested stacks) and what its
template keeps. From then on closeout uses the StackId, so a new stack with the same name is safe.

If another operation is in progress, the step waits. Then it deletes the stack. If CloudFormation ends in
DELETE_FAILED, the step reports the reason for each resource from the stack's events. With `empty-buckets: true` it
then empties only those buckets that the events report as not empty and that the plan lists, and deletes the stack
again, at most `retry.attempts` times in all. Emptying a bucket deletes everything in it at that time, including all
versions and delete markers.

After the deletion, closeout verifies each planned resource in AWS if it has a check for its type; for other types
CloudFormation's status counts. Each line of the plan says which. What DeletionPolicy Retain or Snapshot keeps is
reported as kept.

closeout rejects the plan for a nested stack, and for a stack with termination protection, which it never removes. If
other stacks use its exports, the stack stays, and the step fails with CloudFormation's reason. closeout never uses
FORCE_DELETE_STACK, which leaves resources behind.""",
    inputs={
        "stack-name": Input(
            type="string",
            description="The stack's exact name.",
            required=True,
            names=True,
            pattern=r"[A-Za-z][A-Za-z0-9-]{0,127}",
        ),
        "empty-buckets": Input(
            type="boolean",
            description="Empty the stack's buckets, versions included, if they prevent its deletion.",
            default=False,
        ),
        "role-arn": Input(
            type="string",
            description="The role that CloudFormation uses to delete. Default: the stack's own role, else the caller's rights.",
            names=True,
            pattern=r"arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+",
        ),
    },
    destructive="always",
    permissions=permissions,
    plan_permissions=plan_permissions,
    plan=plan,
    absent=absent,
    read_tags=tags.of_stack,
    tag_permissions=tags.stack_permissions,
    inventory=listing.stacks,
    inventory_permissions=listing.stack_permissions,
    apply=apply,
    verify=verify,
    timeout=3 * 3600.0,
    retry=Retry(attempts=3, backoff=Backoff(first=10.0, factor=3.0, cap=300.0)),
    needs_aws=True,
    example="""\
- uses: aws/cloudformation-delete-stack
  with:
    stack-name: preview-${{ event.pull_request.number }}
    empty-buckets: true
""",
)
