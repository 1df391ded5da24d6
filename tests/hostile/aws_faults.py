"""AWS fails in every way while previews are deleted: nothing that is left is called success, nothing protected goes.

A preview (a versioned bucket and a queue) for each fault: throttling, denials, nonsense with status 200, answers that
are lost, deletes that were under way already, events that come late, resources that cannot be deleted. A run may end
as success only if stack and bucket are really gone; those that can be finished are; and no reason is a bare Python
error. Protected stacks stand afterwards.

Red when sabotaged: call a plan done that lists a leftover (`run/step.py`); read a denied look as "absent"
(`actions/aws/physical.py`); leave `protect` out (`run/guards.py`).
"""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

from closeout.ledger.sqlite import Views
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine, machine
from tests.hostile.report import Report
from tests.hostile.stage import Stage

WATCHED = 40.0
"""Seconds for which runs may go on; those that wait for an answer that never comes are looked at then."""
PROTECT = "protect: { names: ['preview-9*'], tags: { keep: '*' } }\nautomations:"
BARE = re.compile(r"\b(KeyError|TypeError|AttributeError|IndexError|ValueError|NoneType|Traceback)\b")
ALWAYS = 1_000_000
DENIED = {"code": "AccessDenied", "status": 403, "message": "User is not authorized"}
NONSENSE = {"code": "None", "status": 200, "message": "nonsense"}
"""An error's body under status 200: XML in which nothing stands that the call is to give."""


class Case(NamedTuple):
    """What goes wrong with one preview. `ends`: it must end as success, in spite of all; else it must not."""

    name: str
    operation: str
    ends: bool
    options: dict[str, Any]
    contains: str = "preview-{number}"


def _always(name: str, operation: str, **options: Any) -> Case:
    return Case(name, operation, False, {"times": ALWAYS, **options})


CASES = (
    Case("throttled thrice", "DescribeStacks", True, {"times": 3}),
    Case("a delete throttled", "DeleteStack", True, {"times": 2}),
    Case("the answer to a delete lost", "DeleteStack", True, {"kind": "drop", "after": True}),
    Case("a delete answered with nonsense", "DeleteStack", True, {"kind": "garble", "after": True}),
    Case("500 once", "ListStackResources", True, {"code": "InternalFailure", "status": 500}),
    Case("the answer to DeleteObjects lost", "DeleteObjects", True, {"kind": "drop", "after": True}),
    _always("denied", "DescribeStacks", **DENIED),
    _always("denied", "ListStackResources", **DENIED),
    _always("denied", "DeleteStack", **DENIED),
    _always("denied", "DescribeStackEvents", **DENIED),
    _always("denied", "ListObjectVersions", **DENIED),
    _always("denied", "DeleteObjects", **DENIED),
    _always("denied", "HeadBucket", **DENIED),
    _always("denied", "GetQueueAttributes", **DENIED),
    _always("a proxy's page", "DescribeStacks", kind="garble"),
    _always("a proxy's page", "ListStackResources", kind="garble"),
    _always("a proxy's page", "ListObjectVersions", kind="garble"),
    _always("a proxy's page", "GetQueueAttributes", kind="garble"),
    _always("nonsense", "DescribeStacks", **NONSENSE),
    _always("nonsense", "ListStackResources", **NONSENSE),
    _always("nonsense", "DescribeStackEvents", **NONSENSE),
    _always("nonsense", "ListObjectVersions", **NONSENSE),
    _always("nonsense", "GetQueueAttributes", **NONSENSE),
    _always("500", "HeadBucket", code="InternalFailure", status=500),
    _always("still there", "HeadBucket", code="None", status=200),
)
FIRST = 300
JOINED, UNDELETABLE = 810, 820
"""The first of six whose delete is under way already; one with a queue that cannot be deleted."""
PROTECTED = (901, 902, 830)
"""By name, by name, by tag."""


def run(stage: Stage, report: Report) -> None:
    """Play it on one machine."""
    config = CONFIG.replace("automations:", PROTECT)
    with FakeAws(delete_seconds=0.5) as aws, machine(stage.folder, aws, config) as scene:
        cases = {FIRST + position: case for position, case in enumerate(CASES)}
        joined = tuple(range(JOINED, JOINED + 6))
        stacks = {
            number: scene.preview(number, objects=1)
            for number in (*cases, *joined, UNDELETABLE, *PROTECTED[:2])
        }
        stacks[PROTECTED[2]] = _tagged(scene, PROTECTED[2])
        for number in stacks:
            scene.open_pull(number)
        for number, case in cases.items():
            contains = case.contains.format(number=number)
            aws.fault(service="*", operation=case.operation, contains=contains, **case.options)
        aws.undeletable(f"preview-{UNDELETABLE}", "Jobs", "the queue is held by a test")
        late: Any = getattr(aws, "delay_events", None)
        if report.check(late is not None, "the emulator cannot let events come late"):
            late(1.0)
        for number in stacks:
            if number in joined:
                scene.client("cloudformation").delete_stack(StackName=f"preview-{number}")
                time.sleep(0.1)
            scene.github.world.change_pull(REPOSITORY, number, "closed")
        wanted = {*joined, UNDELETABLE, *PROTECTED, *(number for number, case in cases.items() if case.ends)}
        runs = _watch(scene, wanted)
        names = {number: f"{case.operation}, {case.name}" for number, case in cases.items()}
        _check(scene, report, stacks, runs, names)
        for number in (*joined, *(number for number, case in cases.items() if case.ends)):
            verdict = runs[number].verdict
            name = names.get(number, "a delete already under way")
            report.check(
                verdict == "success", f"AWS, {name}: {verdict or runs[number].state} ({runs[number].summary})"
            )
        for number, case in cases.items():
            ended = runs[number].verdict if number in runs else None
            report.check(case.ends or ended != "success", f"AWS, {names[number]}: called success")
        report.events.append(f"{len(stacks)} previews, {len(cases)} faults, {len(joined)} deletes joined")


def _tagged(scene: Machine, number: int) -> str:
    stack = scene.client("cloudformation").create_stack(
        StackName=f"preview-{number}",
        TemplateBody='{"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}',
        Tags=[{"Key": "keep", "Value": "yes"}],
    )
    return str(stack["StackId"])


def _watch(scene: Machine, wanted: set[int]) -> dict[int, Any]:
    """Wait until the runs of these have ended, then a little for the others; return the runs by number."""
    views = Views(scene.db)
    end = time.monotonic() + WATCHED
    while time.monotonic() < end:
        runs = {int(run.number or 0): run for run in views.runs()}
        if all(number in runs and runs[number].verdict for number in wanted):
            break
        time.sleep(0.3)
    time.sleep(2.0)
    return {int(run.number or 0): run for run in views.runs()}


def _check(
    scene: Machine, report: Report, stacks: dict[int, str], runs: dict[int, Any], names: dict[int, str]
) -> None:
    """Compare what each run said with what is there."""
    scene.aws.clear_faults()
    there = {stack["StackId"]: stack["StackStatus"] for stack in _stacks(scene)}
    buckets = {bucket["Name"] for bucket in scene.client("s3").list_buckets()["Buckets"]}
    for number, stack in stacks.items():
        name = names.get(number, f"#{number}")
        if not report.check(number in runs, f"AWS, {name}: no run"):
            continue
        found = runs[number]
        left = (
            there.get(stack, "DELETE_COMPLETE") != "DELETE_COMPLETE" or f"preview-{number}-assets" in buckets
        )
        report.check(
            found.verdict != "success" or not left, f"AWS, {name}: called success, and something is left"
        )
        said = f"{found.summary} {found.reason} {[step.reason for step in found.steps]}"
        report.check(not BARE.search(said), f"AWS, {name}: a bare error: {said[:160]}")
    deletes = str([call["params"] for call in scene.aws.requests() if call["operation"].startswith("Delete")])
    for number in PROTECTED:
        report.check(stacks[number] not in deletes, f"the protected preview-{number} was deleted")
        report.check(
            runs[number].verdict == "failure", f"the protected preview-{number}: {runs[number].verdict}"
        )
    report.check(runs[UNDELETABLE].verdict == "failure", f"undeletable: {runs[UNDELETABLE].verdict}")


def _stacks(scene: Machine) -> list[Any]:
    cloudformation = scene.client("cloudformation")
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return [stack for page in pages for stack in page["Stacks"]]
