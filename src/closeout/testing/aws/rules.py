"""How CloudFormation really deletes, over moto's stacks: the rules that moto leaves out, all in this file.

moto answers DELETE_COMPLETE at once, whatever is in the way. A tool that is tested only against that has
never seen a delete that takes time or fails. Each rule names the page of AWS's documentation that it
follows; docs/reference/emulated-aws.md says which of them are our reading and not AWS's words. Time is lazy: each
request first brings every stack up to date, so there are no threads here and the clock is an argument.

Pages, under https://docs.aws.amazon.com/AWSCloudFormation/latest/:
  [delete]   APIReference/API_DeleteStack.html
  [describe] APIReference/API_DescribeStacks.html
  [event]    APIReference/API_StackEvent.html
  [states]   UserGuide/view-stack-events.html
  [protect]  UserGuide/using-cfn-protect-stacks.html
  [policy]   TemplateReference/aws-attribute-deletionpolicy.html
  [exports]  UserGuide/using-cfn-stack-exports.html
  [trouble]  UserGuide/troubleshooting.html
  [nested]   UserGuide/using-cfn-nested-stacks.html
  [bucket]   https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Event, Stack
from moto.cloudformation.parsing import clean_json
from moto.s3.models import s3_backends

from closeout.testing.aws.dependencies import deletion_order, export_in_use, needed_by, resources_of

_STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(slots=True)
class Deletion:
    """One delete that is under way, and how far it is."""

    backend: Any
    stack: Any
    token: str | None
    began: float
    seconds: float
    order: Sequence[str]
    position: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)


class StatusChange(NamedTuple):
    """A status that a stack will have at `due`, and why."""

    stack: Any
    due: float
    status: str
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Undeletable:
    """A fault switch: this resource cannot be deleted, `times` times over."""

    stack: str
    logical_id: str
    reason: str
    times: int = 1_000_000


class StackRules:
    """The states of every stack. `clock` gives seconds; a delete takes `seconds` from request to end."""

    def __init__(self, *, clock: Callable[[], float], seconds: float = 1.0) -> None:
        self.clock = clock
        self._first_seconds = seconds
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything; moto's own state is cleared by moto."""
        self.seconds = self._first_seconds
        self.events_late = 0.0
        """Seconds until a resource's events can be read; a stack's own are never late."""
        self.unending = False
        """Whether deletes stop before the stack's own end, until this is reset."""
        self.deletions: dict[str, Deletion] = {}
        self.turns: dict[str, StatusChange] = {}
        self.undeletable: list[Undeletable] = []
        self.tokens: dict[str, set[str]] = {}
        self.resource_status: dict[str, dict[str, str]] = {}

    # --- creation -------------------------------------------------------------------------------------

    def created(self, backend: Any, stack: Any) -> None:
        """Do what moto leaves out when a stack is created or updated.

        VersioningConfiguration is honoured (AWS::S3::Bucket), every resource has an event [event], and a nested
        stack knows its parent [describe].
        """
        for logical_id, resource, definition in resources_of(stack):
            self._event(stack, logical_id, "CREATE_COMPLETE")
            if definition["Type"] == "AWS::S3::Bucket":
                wanted = clean_json(definition.get("Properties", {}), stack.resource_map)
                if wanted.get("VersioningConfiguration", {}).get("Status") == "Enabled":
                    s3_backends[stack.account_id]["aws"].put_bucket_versioning(resource.name, "Enabled")
            if isinstance(resource, Stack):
                nested: Any = resource
                nested.parent_id = stack.stack_id
                nested.root_id = getattr(stack, "root_id", None) or stack.stack_id
                self.created(backend, nested)

    def turn(self, backend: Any, name: str, status: str, seconds: float, then: str) -> None:
        """Put a stack into `status` now and into `then` after `seconds`: an update that takes its time [states]."""
        with self.lock:
            stack = backend.get_stack(name)
            self._stack_status(stack, status, None)
            self.turns[stack.stack_id] = StatusChange(stack, self.clock() + seconds, then)

    # --- the request ----------------------------------------------------------------------------------

    def request_delete(self, backend: Any, name: str, token: str | None) -> None:
        """Take a DeleteStack request.

        An absent or deleted stack is answered with success; the same ClientRequestToken again does nothing
        [delete]. An id finds that very stack and no other of its name [describe]. Under termination protection
        nothing is changed [protect]. A stack that is being updated or rolled back refuses (our reading of
        [states]); one that is being created, or deleted already, accepts. If an export is in use, the stack
        goes back to where it was, with the reason [exports].
        """
        with self.lock:
            self.advance()
            stack = _live_stack(backend, name)
            if stack is None or (token and token in self.tokens.get(stack.stack_id, ())):
                return
            if stack.enable_termination_protection:
                raise ValidationError(
                    message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            if stack.status == "DELETE_IN_PROGRESS":
                return
            if stack.status.endswith("_IN_PROGRESS") and not stack.status.startswith(("CREATE_", "REVIEW_")):
                raise ValidationError(
                    message=f"Stack [{stack.stack_id}] cannot be deleted while in status {stack.status}"
                )
            if token:
                self.tokens.setdefault(stack.stack_id, set()).add(token)
            self._begin(backend, stack, token)

    def _begin(self, backend: Any, stack: Any, token: str | None) -> None:
        before = "UPDATE_COMPLETE" if stack.status.startswith("UPDATE_") else "CREATE_COMPLETE"
        self.turns.pop(stack.stack_id, None)
        self._stack_status(stack, "DELETE_IN_PROGRESS", "User Initiated", token)
        in_use = export_in_use(backend, stack)
        if in_use:
            self.turns[stack.stack_id] = StatusChange(stack, self.clock() + self.seconds / 4, before, in_use)
            return
        gone, ended = self.resource_status.get(stack.stack_id, {}), {"DELETE_COMPLETE", "DELETE_SKIPPED"}
        order = [name for name in deletion_order(stack) if gone.get(name) not in ended]
        self.deletions[stack.stack_id] = Deletion(backend, stack, token, self.clock(), self.seconds, order)

    # --- the passage of time --------------------------------------------------------------------------

    def advance(self) -> None:
        """Bring every stack up to date."""
        with self.lock:
            now = self.clock()
            for turn in [turn for turn in self.turns.values() if turn.due <= now]:
                del self.turns[turn.stack.stack_id]
                self._stack_status(turn.stack, turn.status, turn.reason)
            for deletion in list(self.deletions.values()):
                self._advance(deletion, now)

    def _advance(self, deletion: Deletion, now: float) -> None:
        count = len(deletion.order)
        while deletion.position < count:
            due = deletion.began + deletion.seconds * (deletion.position + 1) / (count + 1)
            if due > now:
                return
            self._delete_resource(deletion, deletion.order[deletion.position])
            deletion.position += 1
        if deletion.began + deletion.seconds <= now and not self.unending:
            self._end(deletion)

    def _end(self, deletion: Deletion) -> None:
        """End a delete: DELETE_FAILED names the resources; DELETE_COMPLETE is found by id only [describe]."""
        stack, backend = deletion.stack, deletion.backend
        self.deletions.pop(stack.stack_id, None)
        if deletion.failed:
            names = ", ".join(deletion.failed)
            reason = f"The following resource(s) failed to delete: [{names}]. "
            self._stack_status(stack, "DELETE_FAILED", reason, deletion.token)
            return
        exports = [export.name for export in stack.exports]
        self._stack_status(stack, "DELETE_COMPLETE", None, deletion.token)
        backend.stacks.pop(stack.stack_id, None)
        backend.deleted_stacks[stack.stack_id] = stack
        for name in exports:
            backend.exports.pop(name, None)

    def _delete_resource(self, deletion: Deletion, logical_id: str) -> None:
        """Delete one resource: Retain skips it [policy], a failure blocks what it depends on [trouble]."""
        stack = deletion.stack
        definition = stack.resource_map._resource_json_map[logical_id]
        resource = stack.resource_map._parsed_resources[logical_id]
        if logical_id in deletion.blocked:
            return
        if definition.get("DeletionPolicy") in {"Retain", "RetainExceptOnCreate"}:
            self._event(stack, logical_id, "DELETE_SKIPPED", None, deletion.token)
            return
        self._event(stack, logical_id, "DELETE_IN_PROGRESS", None, deletion.token)
        reason = self._obstacle(deletion, logical_id, resource, definition)
        # A nested stack is deleted by its own rules already.
        if reason is None and not isinstance(resource, Stack):
            try:
                stack.resource_map._delete_resource(resource, definition)
            except Exception as error:  # noqa: BLE001 - moto's models raise whatever their services raise
                reason = f"{type(error).__name__}: {error}"
        if reason is None:
            self._event(stack, logical_id, "DELETE_COMPLETE", None, deletion.token)
            return
        deletion.failed[logical_id] = reason
        deletion.blocked |= needed_by(stack, logical_id)
        self._event(stack, logical_id, "DELETE_FAILED", reason, deletion.token)

    def _obstacle(
        self, deletion: Deletion, logical_id: str, resource: Any, definition: dict[str, Any]
    ) -> str | None:
        for fault in self.undeletable:
            if (fault.stack, fault.logical_id) == (deletion.stack.name, logical_id) and fault.times > 0:
                fault.times -= 1
                return fault.reason
        if definition["Type"] == "AWS::S3::Bucket":
            return _bucket_obstacle(deletion.stack.account_id, resource.name)
        if definition["Type"] == "AWS::ECR::Repository" and resource.images:
            return (
                f"The repository with name '{resource.physical_resource_id}' in registry with id "
                f"'{deletion.stack.account_id}' cannot be deleted because it still contains images "
                "(Service: AmazonECR; Status Code: 400; Error Code: RepositoryNotEmptyException)"
            )
        if isinstance(resource, Stack):
            return self._delete_nested(deletion, resource)
        return None

    def _delete_nested(self, deletion: Deletion, nested: Any) -> str | None:
        """Delete a nested stack through its parent [nested]."""
        if nested.status == "DELETE_COMPLETE":
            return None
        self._begin(deletion.backend, nested, deletion.token)
        inner = self.deletions.get(nested.stack_id)
        if inner is None:
            return f"Embedded stack {nested.stack_id} was not successfully deleted: an export is in use"
        inner.seconds = 0.0
        self._advance(inner, self.clock())
        if nested.status == "DELETE_COMPLETE":
            return None
        return f"Embedded stack {nested.stack_id} was not successfully deleted: {nested.stack_status_reason or ''}"

    # --- events ---------------------------------------------------------------------------------------

    def shown_events(self, stack: Any) -> list[Any]:
        """Return the events that can be read now, the oldest first.

        They are ordered by their times, but those of one resource may be readable before those of another (our
        reading of [event], which promises no more than an order by time): a stack may be DELETE_FAILED, its own event
        may say so, and the event that says why may still be on its way.
        """
        shown = self.clock() - self.events_late
        return [event for event in stack.events if getattr(event, "happened_at", shown) <= shown]

    def _stack_status(self, stack: Any, status: str, reason: str | None, token: str | None = None) -> None:
        stack.status = status
        stack.stack_status_reason = reason
        _append(stack, stack.name, stack.stack_id, _STACK_TYPE, status, reason, token)

    def _event(
        self, stack: Any, logical_id: str, status: str, reason: str | None = None, token: str | None = None
    ) -> None:
        self.resource_status.setdefault(stack.stack_id, {})[logical_id] = status
        resource = stack.resource_map._parsed_resources[logical_id]
        kind = stack.resource_map._resource_json_map[logical_id]["Type"]
        event = _append(stack, logical_id, physical_id(resource), kind, status, reason, token)
        event.happened_at = self.clock()


def physical_id(resource: Any) -> str:
    """Return a resource's physical id as CloudFormation does: for a nested stack its StackId [nested]."""
    if isinstance(resource, Stack):
        return str(resource.stack_id)
    return str(getattr(resource, "physical_resource_id", "") or "")


def _append(
    stack: Any, logical: str, physical: str, kind: str, status: str, reason: str | None, token: str | None
) -> Any:
    event: Any = Event(
        stack_id=stack.stack_id,
        stack_name=stack.name,
        logical_resource_id=logical,
        physical_resource_id=physical,
        resource_type=kind,
        resource_status=status,
        resource_status_reason=reason,
        resource_properties=None,
    )
    event.client_request_token = token  # every event of one operation carries its token [event]
    stack.events.append(event)
    return event


def _bucket_obstacle(account: str, name: str) -> str | None:
    """Only an empty bucket can be deleted; versions and delete markers count [bucket]."""
    bucket = s3_backends[account]["aws"].buckets.get(name)
    if bucket is None or not bucket.keys:
        return None
    return (
        "The bucket you tried to delete is not empty. You must delete all versions in the bucket. "
        "(Service: Amazon S3; Status Code: 409; Error Code: BucketNotEmpty; Request ID: EMULATED)"
    )


def _live_stack(backend: Any, name: str) -> Any | None:
    if name in backend.stacks:
        return backend.stacks[name]
    return next((stack for stack in backend.stacks.values() if stack.name == name), None)
