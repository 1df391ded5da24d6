"""Delete one stack by its StackId, durably: wait until it is not busy, delete, wait for the end, explain, try again.

Each round is a few recorded operations: `ready-N` (nothing else is under way), `delete-N` (guarded), `end-N`
(however long it takes), `why-N` (only while events that say why are still to come), and, if the stack's own events name buckets that are not empty, `empty-N-…` batch by
batch. Nothing is emptied until CloudFormation has failed to delete the stack and reported why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from closeout.actions.aws import buckets, stacks
from closeout.actions.aws.stacks import Failure
from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed, ServiceError, WaitTimeout
from closeout.core.retry import Backoff
from closeout.ports import Json

POLL = Backoff(first=1.0, factor=1.5, cap=30.0)
SILENT_SECONDS = 40.0
"""Seconds after which a stack without any sign of the delete counts as not being deleted."""
LATE_SECONDS = 60.0
"""Seconds to wait after a failed delete for the events that say why."""
SHOWN = 30
"""Failures kept from one delete, because a result must stay small."""
REASON_CHARACTERS = 600


class PlannedStack(NamedTuple):
    """The stack in the plan: its change's identity. `buckets` are the physical names that the plan listed."""

    stack_id: str
    name: str
    account: str
    resources: int
    buckets: Sequence[str]


@dataclass(slots=True)
class Teardown:
    """One stack's teardown. Only the results of recorded operations survive a replay."""

    planned: PlannedStack
    work: Work
    empty_buckets: bool
    role_arn: str | None
    emptied: dict[str, int] = field(default_factory=dict)

    @property
    def _client(self) -> Any:
        return self.work.clients.aws("cloudformation")

    def run(self) -> Json:
        """Delete the stack. Return `{"summary"}`. Raises `ActionFailed` with what prevents it."""
        rounds = max(1, self.work.retry.attempts)
        number = 0
        while True:
            number += 1
            ready = self._wait(
                f"ready-{number}", partial(self._ready, number), "was still busy with something else"
            )
            if ready["gone"]:
                gone = f"stack {self.planned.name} was already gone"
                return {"summary": gone} if number == 1 else self._deleted()
            asked = self.work.change(f"delete-{number}", partial(self._delete, number))
            end = self._wait(
                f"end-{number}", partial(self._end, ready, asked["at"]), "was still being deleted"
            )
            if end["state"] == "gone":
                return self._deleted()
            if end["state"] == "back":
                raise ActionFailed(
                    f"stack {self.planned.name} was not deleted: it is {end['status']} again: {end['reason']}"
                )
            why = self._why(number, ready, end)
            if why.get("moved") and number < rounds:
                continue
            failures = [Failure(**item) for item in why["failures"]]
            if number == rounds or not self._remedy(number, failures):
                raise ActionFailed(self._explain(failures, why["reason"]))

    # --- waiting --------------------------------------------------------------------------------------

    def _wait(self, name: str, poll: Callable[[], Json | None], state: str) -> Json:
        try:
            return self.work.wait_until(name, poll, POLL)
        except WaitTimeout as error:
            raise ActionFailed(
                f"stack {self.planned.name} {state} when the time was up ({error.message}); what CloudFormation has "
                "begun continues, and a rerun joins it"
            ) from None

    def _ready(self, number: int) -> Json | None:
        stack = stacks.find(self._client, self.planned.stack_id)
        if stack is None:
            return {"gone": True, "marker": None}
        if stacks.busy(stack):
            status = stack["StackStatus"]
            self.work.log_once(
                f"{self.planned.stack_id} ready-{number} {status}",
                f"stack {self.planned.name} is {status}: waiting until that ends",
            )
            return None
        return {
            "gone": False,
            "marker": stacks.newest_event(self._client, self.planned.stack_id),
            "joins": stack["StackStatus"] == "DELETE_IN_PROGRESS",
        }

    def _end(self, ready: Json, asked_at: float) -> Json | None:
        stack = stacks.find(self._client, self.planned.stack_id)
        if stack is None:
            self.work.log(f"stack {self.planned.name} is deleted")
            return {"state": "gone"}
        trace = self._trace(ready)
        self._log_news(trace.events)
        if str(stack["StackStatus"]).endswith("_IN_PROGRESS"):
            return None
        if not _answers(stack, trace.since) and self.work.now() - asked_at < SILENT_SECONDS:
            return None
        if stack["StackStatus"] != "DELETE_FAILED":
            return {"state": "back", "status": stack["StackStatus"], "reason": _reason(stack, trace.since)}
        return {"state": "failed", "at": self.work.now(), **self._failed(stack, trace)}

    def _trace(self, ready: Json) -> stacks.DeleteEvents:
        # Records of an earlier release do not say whether it joins; then the whole delete is read.
        return stacks.trace_delete(
            self._client, self.planned.stack_id, ready["marker"], joins=ready.get("joins", True)
        )

    def _failed(self, stack: Mapping[str, Any], trace: stacks.DeleteEvents) -> dict[str, Any]:
        """Return why the stack could not be deleted, and whether the explanation is complete."""
        answered = _answers(stack, trace.since)
        events = trace.events if answered else trace.since
        reason = _reason(stack, events)
        found = stacks.failures(self._client, events)
        return {
            "reason": reason,
            "failures": [
                {**asdict(failure), "reason": failure.reason[:REASON_CHARACTERS]} for failure in found[:SHOWN]
            ],
            "complete": answered and stacks.explained(events, found, reason),
        }

    def _why(self, number: int, ready: Json, end: Json) -> Json:
        """Return the end of a failed delete, with the failures that its events report within `LATE_SECONDS`."""
        if end.get("complete", bool(end["failures"])):
            return end
        until = end.get("at", 0.0) + LATE_SECONDS

        def poll() -> Json | None:
            stack = stacks.find(self._client, self.planned.stack_id)
            if stack is None or stack["StackStatus"] != "DELETE_FAILED":
                return {**end, "moved": True}  # another operation has begun: the next round joins it
            trace = self._trace(ready)
            self._log_news(trace.events)
            failed = self._failed(stack, trace)
            return failed if failed["complete"] or self.work.now() >= until else None

        return self._wait(f"why-{number}", poll, "had not said why it was not deleted")

    def _log_news(self, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            reason = event.get("ResourceStatusReason")
            self.work.log_once(
                event["EventId"],
                f"{event['ResourceType']} {event['LogicalResourceId']} {event['ResourceStatus']}"
                + (f": {reason}" if reason else ""),
            )

    # --- changing -------------------------------------------------------------------------------------

    def _delete(self, number: int) -> Json:
        """Request the delete, with the same token on every try of this round, so that a repeated request has no effect."""
        role = {"RoleARN": self.role_arn} if self.role_arn else {}
        try:
            self._client.delete_stack(
                StackName=self.planned.stack_id, ClientRequestToken=self._token(number), **role
            )
        except ServiceError as error:
            if error.reason == "ValidationError" and "_IN_PROGRESS" in error.message:
                # Another operation began in between: the guarded call waits and tries again.
                error.transient = True
            raise
        self.work.log(f"asked CloudFormation to delete stack {self.planned.name} ({self.planned.stack_id})")
        return {"at": self.work.now()}

    def _token(self, number: int) -> str:
        digest = hashlib.sha256(f"{self.work.step}\n{self.planned.stack_id}".encode()).hexdigest()[:12]
        return f"closeout-{self.work.execution}-{digest}-{number}"

    def _remedy(self, number: int, failures: Sequence[Failure]) -> bool:
        """Try to remove the causes of the failures; return whether another delete may succeed."""
        full = sorted({item.physical_id for item in failures if item.not_empty} & set(self.planned.buckets))
        if self.empty_buckets and full:
            for index, bucket in enumerate(full, start=1):
                self._empty(f"empty-{number}-{index}", bucket)
            return True
        if any(item.may_pass for item in failures):
            self.work.sleep(f"pause-{number}", self.work.retry.backoff.delay(number))
            return True
        return False

    def _empty(self, name: str, bucket: str) -> None:
        """Empty one bucket, batch by batch, while our stack still exists and could not delete it.

        A bucket is identified only by its name. If our stack is deleted meanwhile, a new stack may own a bucket with
        that name, so the state of our StackId is checked before each batch is listed and before it is deleted.
        """
        location = buckets.S3Location(bucket=bucket, owner=self.planned.account)
        deleted, _ = buckets.delete_all(
            self.work,
            name,
            location,
            lambda _: True,
            lambda done: f"bucket {bucket}: deleted {done['deleted']} versions and delete markers",
            self._stuck,
        )
        self.emptied[bucket] = self.emptied.get(bucket, 0) + deleted

    def _stuck(self) -> bool:
        """Whether our stack exists and could not be deleted."""
        stack = stacks.find(self._client, self.planned.stack_id)
        return stack is not None and stack["StackStatus"] == "DELETE_FAILED"

    # --- telling --------------------------------------------------------------------------------------

    def _deleted(self) -> Json:
        plural = "" if self.planned.resources == 1 else "s"
        text = f"deleted stack {self.planned.name} ({self.planned.resources} resource{plural})"
        if self.emptied:
            total = sum(self.emptied.values())
            text += f", after emptying {', '.join(sorted(self.emptied))} ({total} versions)"
        return {"summary": text}

    def _explain(self, failures: Sequence[Failure], reason: str) -> str:
        if not failures:
            return f"stack {self.planned.name} could not be deleted: {reason}"
        clauses = [f"{failure.text()} [{self._fix(failure)}]" for failure in failures]
        return f"stack {self.planned.name} could not be deleted: " + "; ".join(clauses)

    def _fix(self, failure: Failure) -> str:
        if failure.not_empty and failure.physical_id not in self.planned.buckets:
            return "this bucket was not in the plan, so it is left alone: rerun to plan again"
        if failure.not_empty and not self.empty_buckets:
            return "set `empty-buckets: true` on the step to delete what is in it"
        if failure.not_empty:
            return "something writes to it while it is emptied: stop that, then rerun"
        if failure.type == "AWS::ECR::Repository":
            return "delete its images, or set EmptyOnDelete in the template, then rerun"
        return "remove what is in the way, then rerun"


def _answers(stack: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the state results from our request, and is not an older one that is still shown."""
    wanted = "DELETE_FAILED" if stack["StackStatus"] == "DELETE_FAILED" else "DELETE_IN_PROGRESS"
    return any(stacks.is_about_stack(event) and event["ResourceStatus"] == wanted for event in events)


def _reason(stack: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """Return the stack's reason; if its description has none, the newest one in its events."""
    reasons = [
        str(event["ResourceStatusReason"])
        for event in events
        if stacks.is_about_stack(event) and event.get("ResourceStatusReason")
    ]
    return str(
        stack.get("StackStatusReason") or (reasons[-1] if reasons else "CloudFormation gave no reason")
    )
