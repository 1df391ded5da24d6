"""Whole runs, line by line: what they log, what they ask of GitHub and AWS in which order, and how long they take.

An operator must be able to trust each line, so none may be lost, repeated or misleading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from closeout.core.errors import ServiceError
from tests.unit.run.world import Scene, World, pull_payload, step, unreachable

BEGUN = f"run {'r' * 26}, attempt 1: preview-cleanup"
MATCHED = "matched: preview-cleanup on pull_request"
PENDING = "status pending: starting 1 step"
PLAN = ["plan: delete preview-17 (test)", "plan: delete preview-17/bucket (test)"]
NONE = "plan: there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete"
DELETING = "status pending: 1/1 deleting preview-17"
VERIFIED = "verified in the account: nothing of the plan is left"
LEFT = ["still there: preview-17 (still there)", "still there: preview-17/bucket (still there)"]
DELETED = ["success: deleted preview-17", "status success: deleted preview-17"]
ASK = ["status pending", "account", "plan"]
GUARDS = ["account", "read pull request"]
DELETE = ["delete preview-17", "poll", "verify"]


class Told(NamedTuple):
    """How a run ended, after how many seconds, with which lines and which calls."""

    verdict: str
    seconds: float
    lines: list[str]
    calls: list[str]


def two(**world: Any) -> Scene:
    """Return a scene with two steps."""
    second = step("logs-${{ event.pull_request.number }}", id="delete-2")
    return Scene(world=World(resources={"preview-17", "logs-17"}, **world)).with_automation(
        steps=(step(), second)
    )


def failing(call: str, *errors: Exception) -> Scene:
    """Return a scene in which a call fails so often."""
    return Scene(world=World(faults={call: list(errors)}))


def paused(times: int) -> Scene:
    """Return a scene that is paused when it is asked so often."""
    answers = iter(["paused by ada: upgrade"] * times)
    return Scene(paused=lambda: next(answers, None))


def reopened() -> Scene:
    """Return a scene with an open pull request."""
    scene = Scene()
    scene.world.pull = scene.world.pull._replace(state="open")
    return scene


def function() -> Scene:
    """Return a scene with a function."""
    body = {"m:f": lambda run: run.record("drop", lambda: run.log("dropping")) or "done"}
    return Scene(functions=body).with_automation(function="m:f", steps=())


RUNS: dict[str, tuple[Callable[[], Scene], Told]] = {
    "does not match": (
        lambda: Scene(payload=pull_payload(base={"ref": "main", "repo": pull_payload()["repository"]})),
        Told("skipped", 0.0, [BEGUN, "base branch 'main' matches none of develop"], []),
    ),
    "dry run": (
        lambda: Scene().with_automation(mode="dry-run"),
        Told(
            "success",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                "success: dry run: would delete 2",
                "status success: dry run: would delete 2",
            ],
            [*ASK, "status success"],
        ),
    ),
    "reopened": (
        reopened,
        Told(
            "cancelled",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                "cancelled: acme/shop#17 is open again",
                "status success: acme/shop#17 is open again; nothing was deleted",
            ],
            [*ASK, "status pending", *GUARDS, "status success"],
        ),
    ),
    "two steps": (
        two,
        Told(
            "success",
            0.0,
            [
                BEGUN,
                MATCHED,
                "status pending: starting 2 steps",
                "plan: delete preview-17 (test)",
                "status pending: 1/2 deleting preview-17",
                VERIFIED,
                "success: deleted preview-17",
                "plan: delete logs-17 (test)",
                "status pending: 2/2 deleting logs-17",
                VERIFIED,
                "success: deleted logs-17",
                "status success: 2/2 steps: deleted preview-17; deleted logs-17",
            ],
            [
                *ASK,
                "status pending",
                *GUARDS,
                *DELETE,
                "account",
                "plan",
                "status pending",
                *GUARDS,
                "delete logs-17",
                "poll",
                "verify",
                "status success",
            ],
        ),
    ),
    "the first step fails": (
        lambda: two(undeletable={"preview-17"}),
        Told(
            "failure",
            60.0,
            [
                BEGUN,
                MATCHED,
                "status pending: starting 2 steps",
                "plan: delete preview-17 (test)",
                "status pending: 1/2 deleting preview-17",
                *LEFT[:1] * 12,
                "failure: still there after deleted preview-17: preview-17",
                "plan: delete logs-17 (test)",
                "status pending: 2/2 deleting logs-17",
                VERIFIED,
                "success: deleted logs-17",
                "status failure: 1 of 2 steps failed; delete-1: still there after deleted preview-17: preview-17",
            ],
            [
                *ASK,
                "status pending",
                *GUARDS,
                *DELETE,
                *["verify"] * 11,
                "account",
                "plan",
                "status pending",
                *GUARDS,
                "delete logs-17",
                "poll",
                "verify",
                "status failure",
            ],
        ),
    ),
    "GitHub is away": (
        lambda: failing("read pull request", unreachable(), unreachable()),
        Told(
            "success",
            2.6,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                "waiting: cannot read the pull request, so nothing is changed: no answer",
                VERIFIED,
                *DELETED,
            ],
            [*ASK, "status pending", "account", "account", *GUARDS, *DELETE, "status success"],
        ),
    ),
    "AWS is away": (
        lambda: failing("delete preview-17", unreachable("aws")),
        Told(
            "success",
            1.0,
            [BEGUN, MATCHED, PENDING, *PLAN, DELETING, "waiting: no answer", VERIFIED, *DELETED],
            [*ASK, "status pending", *GUARDS, *GUARDS, *DELETE, "status success"],
        ),
    ),
    "AWS refuses": (
        lambda: failing(
            "delete preview-17", ServiceError("denied", service="aws", operation="x", reason="AccessDenied")
        ),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                *LEFT,
                "failure: denied",
                "status failure: delete-1: denied",
            ],
            [*ASK, "status pending", *GUARDS, "verify", "status failure"],
        ),
    ),
    "AWS is away for the plan": (
        lambda: failing("plan", unreachable("aws")),
        Told(
            "success",
            1.0,
            [BEGUN, MATCHED, PENDING, *PLAN, DELETING, VERIFIED, *DELETED],
            [
                "status pending",
                "account",
                "account",
                "plan",
                "status pending",
                *GUARDS,
                *DELETE,
                "status success",
            ],
        ),
    ),
    "GitHub takes no status": (
        lambda: failing("status pending", unreachable()),
        Told(
            "success",
            1.0,
            [
                BEGUN,
                MATCHED,
                "GitHub did not take the status pending: no answer",
                PENDING,
                *PLAN,
                DELETING,
                VERIFIED,
                *DELETED,
            ],
            [*ASK, "status pending", *GUARDS, *DELETE, "status success"],
        ),
    ),
    "paused": (
        lambda: paused(3),
        Told(
            "success",
            5.2,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                "waiting: paused: paused by ada: upgrade",
                "status pending: paused: paused by ada: upgrade",
                VERIFIED,
                *DELETED,
            ],
            [*ASK, "status pending", "status pending", *GUARDS, *DELETE, "status success"],
        ),
    ),
    "another account": (
        lambda: Scene(world=World(account_id="210987654321")),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                "failure: the credentials belong to AWS account 210987654321, the configuration says 123456789012; nothing was done",
                "status failure: delete-1: the credentials belong to AWS account 210987654321, the configuration says 123456789012; nothing was done",
            ],
            ["status pending", "account", "status failure"],
        ),
    ),
    "a rerun": (
        lambda: Scene(attempt=2),
        Told(
            "success",
            0.0,
            [
                "run rrrrrrrrrrrrrrrrrrrrrrrrrr, attempt 2: preview-cleanup",
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                VERIFIED,
                *DELETED,
            ],
            [*ASK, "status pending", *GUARDS, *DELETE, "status success"],
        ),
    ),
    "no token": (
        lambda: Scene(has_token=False),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                "no status is posted, since no `secrets.github` is configured",
                "failure: delete-1 is destructive and no `secrets.github` is configured, so GitHub cannot be asked whether the pull request is still closed; nothing was done",
                "failure: delete-1: delete-1 is destructive and no `secrets.github` is configured, so GitHub cannot be asked whether the pull request is still closed; nothing was done",
            ],
            [],
        ),
    ),
    "its turn never came": (
        lambda: Scene(queue_expired=True),
        Told(
            "failure",
            0.0,
            [BEGUN, MATCHED, "status failure: waited 1d for its turn and was not started"],
            ["status failure"],
        ),
    ),
    "unreadable": (lambda: Scene(unreadable="the body is not JSON"), Told("failure", 0.0, [], [])),
    "the automation is gone": (
        lambda: Scene(gone=lambda: True),
        Told(
            "cancelled",
            10800.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                "waiting: automation preview-cleanup is gone from the configuration; nothing more is changed unless it comes back",
                "status pending: automation preview-cleanup is gone from the configuration; nothing more is changed unless it comes back",
                "cancelled: automation preview-cleanup is gone",
                "status error: automation preview-cleanup is gone; nothing was deleted",
            ],
            [*ASK, "status pending", "status pending", "status error"],
        ),
    ),
    "protected": (
        lambda: Scene(file_protects=("preview-*",)),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                "failure: preview-17 is protected (`protect` pattern 'preview-*'); nothing was done",
                "status failure: delete-1: preview-17 is protected (`protect` pattern 'preview-*'); nothing was done",
            ],
            [*ASK, "status failure"],
        ),
    ),
    "its condition is false": (
        lambda: Scene().with_automation(condition="event.number == 18"),
        Told("skipped", 0.0, [BEGUN, "its `if` is false"], []),
    ),
    "stop on failure": (
        lambda: two(undeletable={"preview-17"}).with_automation(on_failure="stop"),
        Told(
            "failure",
            60.0,
            [
                BEGUN,
                MATCHED,
                "status pending: starting 2 steps",
                "plan: delete preview-17 (test)",
                "status pending: 1/2 deleting preview-17",
                *LEFT[:1] * 12,
                "failure: still there after deleted preview-17: preview-17",
                "skipped: an earlier step failed and `on-failure` is `stop`",
                "status failure: 1 of 2 steps failed; delete-1: still there after deleted preview-17: preview-17",
            ],
            [*ASK, "status pending", *GUARDS, *DELETE, *["verify"] * 11, "status failure"],
        ),
    ),
    "grace": (
        lambda: Scene().with_automation(grace=60.0),
        Told(
            "success",
            60.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                "status pending: waiting 1m before anything is changed",
                DELETING,
                VERIFIED,
                *DELETED,
            ],
            [*ASK, "status pending", "status pending", *GUARDS, *DELETE, "status success"],
        ),
    ),
    "too many": (
        lambda: Scene().with_automation(max_changes=1),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                "failure: 2 resources planned, max-changes allows 1; nothing was done. Is the name right? Then raise max-changes",
                "status failure: delete-1: 2 resources planned, max-changes allows 1; nothing was done. Is the name right? Then raise max-changes",
            ],
            [*ASK, "status failure"],
        ),
    ),
    "function": (
        function,
        Told(
            "success",
            0.0,
            [BEGUN, MATCHED, PENDING, "record drop", "dropping", "success: done", "status success: done"],
            ["status pending", "read pull request", "status success"],
        ),
    ),
    "every step is skipped": (
        lambda: Scene().with_automation(steps=(step(condition="event.number == 18"),)),
        Told(
            "success",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                "skipped: its `if` is false",
                "status success: nothing to do: every step was skipped",
            ],
            ["status pending", "status success"],
        ),
    ),
    "something was expected": (
        lambda: Scene(world=World(resources=set())).with_automation(steps=(step(expect="present"),)),
        Told(
            "failure",
            0.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                NONE,
                "failure: there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete, but the step has `expect: present`: correct the name that it makes",
                "status failure: delete-1: there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete, but the step has `expect: present`: correct the…",
            ],
            [*ASK, "status failure"],
        ),
    ),
    "late": (
        lambda: Scene(world=World(resources=set()), attempt=2).with_automation(late=True),
        Told(
            "success",
            0.0,
            [
                "run rrrrrrrrrrrrrrrrrrrrrrrrrr, attempt 2: preview-cleanup",
                MATCHED,
                PENDING,
                NONE,
                "success: there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete",
                "status success: deployed after the pull request was closed; nothing was there: there is no thing preview-17 in 123456789012/eu-central-1",
            ],
            [*ASK, "status success"],
        ),
    ),
    "no time left": (
        lambda: failing("read pull request", *[unreachable()] * 99).with_automation(timeout=120.0),
        Told(
            "failure",
            120.0,
            [
                BEGUN,
                MATCHED,
                PENDING,
                *PLAN,
                DELETING,
                "waiting: cannot read the pull request, so nothing is changed: no answer",
                *LEFT,
                "failure: the run's time is up; nothing more was done (cannot read the pull request, so nothing is changed: no answer)",
                "status failure: delete-1: the run's time is up; nothing more was done (cannot read the pull request, so nothing is changed: no answer)",
            ],
            [*ASK, "status pending", *["account"] * 9, "account", "verify", "status failure"],
        ),
    ),
}

PLANNED = "begin match pending delete-1/plan"
WHOLE = f"{PLANNED} delete-1/status delete-1/delete delete-1/gone delete-1/verify delete-1/end final"
OPERATIONS = {
    "does not match": "begin match",
    "dry run": f"{PLANNED} delete-1/end final",
    "reopened": f"{PLANNED} delete-1/status delete-1/delete delete-1/end final",
    "two steps": f"{PLANNED} delete-1/status delete-1/delete delete-1/gone delete-1/verify delete-1/end delete-2/plan delete-2/status delete-2/delete delete-2/gone delete-2/verify delete-2/end final",
    "the first step fails": f"{PLANNED} delete-1/status delete-1/delete delete-1/gone delete-1/verify delete-1/left delete-1/end delete-2/plan delete-2/status delete-2/delete delete-2/gone delete-2/verify delete-2/end final",
    "AWS refuses": f"{PLANNED} delete-1/status delete-1/delete delete-1/left delete-1/end final",
    "another account": f"{PLANNED} delete-1/end final",
    "no token": f"{PLANNED} delete-1/end final",
    "its turn never came": "begin match final",
    "unreadable": "pending",
    "the automation is gone": f"{PLANNED} delete-1/status delete-1/delete delete-1/end final",
    "protected": f"{PLANNED} delete-1/end final",
    "its condition is false": "begin match",
    "stop on failure": f"{PLANNED} delete-1/status delete-1/delete delete-1/gone delete-1/verify delete-1/left delete-1/end delete-2/end final",
    "grace": f"{PLANNED} grace-status grace delete-1/status delete-1/delete delete-1/gone delete-1/verify delete-1/end final",
    "too many": f"{PLANNED} delete-1/end final",
    "function": "begin match pending function/mode function/drop function/end final",
    "every step is skipped": "begin match pending delete-1/if delete-1/end final",
    "something was expected": f"{PLANNED} delete-1/expect delete-1/end final",
    "late": f"{PLANNED} delete-1/end deleted-before final",
    "no time left": f"{PLANNED} delete-1/status delete-1/delete delete-1/left delete-1/end final",
}
"""The names under which a run has recorded its operations, where it did not record all of `WHOLE`. Runs in progress
have recorded them, so a name must not change.
"""


@pytest.mark.parametrize("name", RUNS)
def test_a_run_logs_and_calls_exactly_this(name: str) -> None:
    """In this order, and nothing else."""
    make, told = RUNS[name]
    scene = make()
    began = scene.clock.now()
    ending = scene.play()
    seconds = round(scene.clock.now() - began, 1)
    assert Told(ending.verdict, seconds, scene.world.lines, scene.world.log) == told
    assert " ".join(scene.durable.operations) == OPERATIONS.get(name, WHOLE)
