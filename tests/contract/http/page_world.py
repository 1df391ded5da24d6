"""Runs in every state, as the ledger would show them: for the pages' tests, and to check the pages by eye."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from closeout.core import ids
from closeout.core.problems import Problem
from closeout.core.runs import SURVIVED
from closeout.ports import (
    EVERY_DELIVERY,
    DayTally,
    DeliveryFilter,
    DeliveryId,
    DeliveryView,
    ListPage,
    LogLine,
    LogWindow,
    Operation,
    RunFilter,
    RunView,
    StepView,
)
from closeout.testing import deliveries
from tests.memory_problems import causes_of

NOW = 1_790_000_000.0
STACK = "aws/cloudformation-delete-stack"
ARN = "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-17/51af3dc0"


def change(verb: str, resource: str, reason: str, **more: Any) -> dict[str, Any]:
    """Return one line of a plan as it is recorded."""
    return {
        "verb": verb,
        "resource": resource,
        "reason": reason,
        "part_of": None,
        "objects": 0,
        "bytes": 0,
        **more,
    }


PLAN = (
    change("delete", "stack preview-17", "it exists, CREATE_COMPLETE", identity={"stack_id": ARN}),
    change("delete", "bucket preview-17-assets", "part of the stack", part_of="stack preview-17", identity={"type": "AWS::S3::Bucket", "physical_id": "preview-17-assets", "stack_id": ARN}),
    change("delete", "function preview-17-api", "part of the stack", part_of="stack preview-17"),
    change("keep", "table preview-17-audit", "its DeletionPolicy is Retain"),
)  # fmt: skip
OBJECTS = (
    change(
        "delete",
        "s3://acme-previews/pr-17/",
        "412 object versions under the prefix",
        objects=412,
        bytes=38_400_000,
    ),
)


def step(id_: str, state: str, **more: Any) -> StepView:
    """Return a step."""
    values: dict[str, Any] = {
        "name": id_,
        "uses": STACK,
        "attempts": 1,
        "summary": None,
        "reason": None,
        "left": (),
        "changes": None,
        "started_at": NOW,
        "ended_at": None,
        "timeout": 3_600.0,
    }
    if more.get("changes") is not None and "outcomes" not in more:
        word = {"success": "done", "failure": "untouched", "running": "under-way", "waiting": "under-way"}
        values["outcomes"] = tuple(
            "kept" if each["verb"] == "keep" else word.get(state, "pending") for each in more["changes"]
        )
    return StepView(id=id_, state=state, **{**values, **more})


class World:
    """`Views` over runs that a test has added."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, int], RunView] = {}
        self.lines: dict[str, list[LogLine]] = {}
        self.recorded: dict[str, list[Operation]] = {}
        self.bodies: dict[DeliveryId, bytes] = {}
        self.problems: list[Problem] = []
        self.tallies: list[DayTally] = []
        self.pause: str | None = None
        self.numbers = iter(range(1, 1000))

    def add(
        self,
        name: str,
        state: str,
        verdict: str | None = None,
        *,
        steps: Sequence[StepView] = (),
        payload: dict[str, Any] | None = None,
        lines: Sequence[tuple[str | None, str]] = (),
        **more: Any,
    ) -> str:
        """Add a run; return its execution."""
        number = next(self.numbers)
        attempt = more.pop("attempt", 1)
        run_id = more.pop("run_id", None) or ids.run_id(f"guid-{number}", name)
        execution = f"{run_id}-{attempt}"
        values: dict[str, Any] = {
            "event": "pull_request",
            "action": "closed",
            "repository": "acme/shop",
            "number": 17,
            "guid": f"8f2b6a10-9c1d-11ef-{number:04x}-2e5c1a7b9d00",
            "key": f"{name}|501001|17",
            "requested_by": None,
            "accepted_at": NOW - 2,
            "started_at": NOW if state != "queued" else None,
            "finished_at": NOW + 96.4 if state == "finished" else None,
            "summary": None,
            "reason": None,
            "status": None,
            "timeout": 10_800.0,
            "queue_timeout": 86_400.0,
        }
        self.runs[run_id, attempt] = RunView(
            id=run_id,
            execution=execution,
            attempt=attempt,
            automation=name,
            state=state,
            verdict=verdict,
            delivery=number,
            steps=tuple(steps),
            **{**values, **more},
        )
        body = (
            payload
            if payload is not None
            else deliveries.pull_request(title="Show the basket's total in the header")
        )
        self.bodies[number] = json.dumps(body).encode()
        self.lines.setdefault(run_id, [])
        for where, text in lines:
            self.log(run_id, where, text)
        return execution

    def log(self, run_id: str, where: str | None, text: str) -> None:
        """Write a line."""
        kept = self.lines[run_id]
        kept.append(LogLine(len(kept) + 1, where, NOW + len(kept) * 1.7, text))

    def change(self, execution: str, **values: Any) -> None:
        """Change a run."""
        key = ids.parse_execution(execution)
        self.runs[key] = self.runs[key]._replace(**values)

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return one run."""
        latest = max((number for name, number in self.runs if name == run_id), default=1)
        return self.runs.get((run_id, attempt or latest))

    def operations(self, run_id: str, attempt: int | None = None) -> list[Operation]:
        """Return what a test has put in."""
        return self.recorded.get(run_id, [])

    def log_window(
        self,
        run_id: str,
        attempt: int,
        *,
        after: int | None = None,
        before: int | None = None,
        search: str = "",
        limit: int,
        characters: int,
    ) -> LogWindow:
        """Return a part of its lines."""
        lines = [line for line in self.lines[run_id] if search.lower() in line.text.lower()]
        if after is not None:
            later = [line for line in lines if line.id > after]
            return LogWindow(later[:limit], len(later[limit:]))
        earlier = [line for line in lines if before is None or line.id < before]
        return LogWindow(earlier[-limit:], len(earlier[:-limit]))

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView:
        """Return its delivery."""
        return DeliveryView(
            delivery_id,
            f"guid-{delivery_id}",
            "400001",
            "pull_request",
            "closed",
            "acme/shop",
            17,
            24_000,
            "github",
            NOW - 2.1,
            (),
        )

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return its payload."""
        return self.bodies[delivery_id]

    def paused(self) -> str | None:
        """Return who paused, if a test did."""
        return self.pause

    def open_problems(self) -> Sequence[Problem]:
        """Return the problems that a test has put in."""
        return self.problems

    def problem_count(self, most: int) -> int:
        """Return how many there are."""
        return min(len(self.problems), most)

    def problem_causes(self, most: int) -> Sequence[tuple[Problem, int]]:
        """Return some of them."""
        return causes_of(self.problems, most)

    def days(self, since: float) -> Sequence[DayTally]:
        """Return the days that a test has put in, since a moment's day."""
        first = datetime.fromtimestamp(since, UTC).date()
        return [one for one in self.tallies if date.fromisoformat(one.day) >= first]

    def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]:
        """Return its latest runs, as far as a few fields of the filter tell."""
        latest = {run.id: run for run in self.runs.values()}
        fields = ("automation", "state", "verdict", "repository", "number")
        found = [
            run
            for run in reversed(latest.values())
            if all(getattr(wanted, each) in (None, getattr(run, each)) for each in fields)
        ]
        start = int(cursor or 0)
        older = str(start + limit) if len(found) > start + limit else None
        return ListPage(found[start : start + limit], str(start - limit) if start else None, older)

    def deliveries(
        self, limit: int | None = None, wanted: DeliveryFilter = EVERY_DELIVERY
    ) -> list[DeliveryView]:
        """Return a delivery for each run, the newest first."""
        runs = [run for run in self.runs.values() if wanted.number in (None, run.number)]
        return [self.delivery(run.delivery)._replace(runs=(run.id,)) for run in reversed(runs)][:limit]

    def delivery_page(self, wanted: DeliveryFilter, cursor: str | None, limit: int) -> ListPage[DeliveryView]:
        """Return a delivery for each run."""
        del cursor
        return ListPage(self.deliveries(limit, wanted), None, None)

    def stats(self) -> dict[str, Any]:
        """Return how many steps ended."""
        return {"step_durations": {(run.automation, "stack"): (1, 2.0) for run in self.runs.values()}}


LOG = (
    (None, "run started, attempt 1: preview-cleanup"),
    (None, "matched: pull_request closed, base branch 'develop', in acme/shop"),
    (None, "status pending: starting 3 steps"),
    ("stack", "plan: delete stack preview-17 (2 resources with it, 1 kept)"),
    ("stack", "live check: #17 is closed"),
    ("stack", "delete-stack arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-17/51af3dc0"),
    ("stack", "DELETE_FAILED: bucket preview-17-assets (The bucket you tried to delete is not empty)"),
    ("stack", "live check: #17 is closed"),
    ("stack", "emptied preview-17-assets: 61 versions, 4 delete markers"),
    ("stack", "delete-stack again, DELETE_COMPLETE after 41 s"),
    ("stack", "verified: nothing of the plan is left"),
    ("objects", "plan: delete s3://acme-previews/pr-17/ (412 object versions, 38.4 MB)"),
)


def success(world: World) -> str:
    """Add a run that succeeded."""
    return world.add(
        "preview-cleanup",
        "finished",
        "success",
        summary="3/3 steps: deleted stack preview-17; deleted 412 object versions; comment updated",
        lines=(*LOG, ("objects", "deleted 412 object versions"), (None, "status success: 3/3 steps")),
        steps=(
            step("stack", "success", name="Delete the preview's stack", summary="deleted stack preview-17, kept 1 resource", changes=PLAN, ended_at=NOW + 74.2, attempts=2),
            step("objects", "success", name="Delete its uploads", uses="aws/s3-delete-objects", summary="deleted 412 object versions, 38.4 MB", changes=OBJECTS, started_at=NOW + 74.3, ended_at=NOW + 94),
            step("comment", "success", name="Say so on the pull request", uses="github/comment", summary="comment updated", changes=(), started_at=NOW + 94, ended_at=NOW + 94.8),
        ),
    )  # fmt: skip


def failure(world: World) -> str:
    """Add a run that left something, after it had survived a crash."""
    refused = "bucket preview-17-assets is still there: its policy denies s3:DeleteBucket to the role CloudFormation acts with"
    left = (
        {"resource": "stack preview-17", "reason": "it is DELETE_FAILED"},
        {"resource": "bucket preview-17-assets", "reason": "DELETE_FAILED: Access Denied (s3:DeleteBucket)"},
    )
    execution = world.add(
        "preview-cleanup",
        "finished",
        "failure",
        status="delivered",
        accepted_at=NOW - 64,
        summary=f"1 of 3 steps failed; Delete the preview's stack: {refused}",
        lines=(*LOG[:5], (None, SURVIVED), *LOG[5:7], ("stack", "failure: bucket preview-17-assets is still there"), *LOG[11:]),
        steps=(
            step("stack", "failure", name="Delete the preview's stack", reason=refused, code="action-failed", left=left, changes=PLAN, outcomes=("left", "left", "done", "kept"), ended_at=NOW + 52),
            step("objects", "success", name="Delete its uploads", uses="aws/s3-delete-objects", summary="deleted 412 object versions, 38.4 MB", changes=OBJECTS, started_at=NOW + 53, ended_at=NOW + 74),
            step("comment", "skipped", name="Say so on the pull request", uses="github/comment", summary="its `if` is false", started_at=NOW + 74, ended_at=NOW + 74),
        ),
    )  # fmt: skip
    world.recorded[ids.parse_execution(execution)[0]] = [
        operation("grace", 1, "sleep", NOW + 1, NOW + 6),
        operation("stack/delete-1", 2, "wait", NOW + 7, NOW + 8),
        operation("stack/end-1", 3, "wait", NOW + 8, NOW + 49, tries=12),
        operation("objects/delete", 4, "wait", NOW + 54, NOW + 73),
    ]
    return execution


def operation(
    name: str, position: int, kind: str, began: float, ended: float | None, **more: Any
) -> Operation:
    """Return what a run has recorded."""
    state = "waiting" if ended is None else "ok"
    values: dict[str, Any] = {"result": None, "tries": 1, "wake": None, **more}
    return Operation(name, position, kind, state, started_at=began, ended_at=ended, **values)


def again(world: World) -> str:
    """Add a second, successful attempt at a failed run; return the first one's execution."""
    first = failure(world)
    run_id, _ = ids.parse_execution(first)
    world.add(
        "preview-cleanup",
        "finished",
        "success",
        attempt=2,
        run_id=run_id,
        requested_by="alex@ops-1",
        summary="deleted stack preview-17",
        steps=(step("stack", "success", summary="deleted stack preview-17", changes=PLAN, ended_at=NOW + 9),),
    )
    return first


def waiting(world: World) -> str:
    """Add a run that waits."""
    return world.add(
        "preview-cleanup",
        "waiting",
        reason="stack/deleted: stack preview-17 is DELETE_IN_PROGRESS (function preview-17-api)",
        lines=LOG[:6],
        steps=(
            step("stack", "waiting", name="Delete the preview's stack", reason="stack preview-17 is DELETE_IN_PROGRESS (function preview-17-api)", changes=PLAN),
            step("objects", "pending", name="Delete its uploads", uses="aws/s3-delete-objects", started_at=None),
            step("comment", "pending", name="Say so on the pull request", uses="github/comment", started_at=None),
        ),
    )  # fmt: skip


def running(world: World) -> str:
    """Add a run that is running."""
    return world.add(
        "preview-cleanup",
        "running",
        lines=LOG,
        steps=(
            step("stack", "success", name="Delete the preview's stack", summary="deleted stack preview-17, kept 1 resource", changes=PLAN, ended_at=NOW + 74.2),
            step("objects", "running", name="Delete its uploads", uses="aws/s3-delete-objects", changes=OBJECTS, started_at=NOW + 74.3),
            step("comment", "pending", name="Say so on the pull request", uses="github/comment", started_at=None),
        ),
    )  # fmt: skip
