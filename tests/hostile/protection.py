"""Dangerous deletions that a file cannot always settle: each is refused by `check`, or it does not happen.

Protection that comes while a run waits and whose automation is gone or renamed; protected tags of buckets; two pull
requests of one branch or one commit; a script that changes the event for the next step. A control is deleted each
time, so that the others would have been seen.

Red when sabotaged: let a run whose automation is gone go on with what it was accepted with (`run/guards.py`); read no
tags of a stack's members; hand a step the payload itself.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from closeout.actions.registry import builtin
from closeout.config.load import check
from closeout.ledger.sqlite import Views
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import REGION, REPOSITORY, Machine, machine, template
from tests.hostile.report import Report
from tests.hostile.stage import Stage
from tests.until import until

HEAD = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
aws: { account: '123456789012', region: eu-central-1 }
"""
NUMBER = "${{ event.pull_request.number }}"
WATCHED = 6.0
"""Seconds for which a deletion that must not happen is waited for, after the control's has."""
CHANGER = """\
def change(context):
    event = context.event
    event["repository"]["name"] = event["pull_request"]["base"]["repo"]["name"] = "victim"
"""
QUEUE = '{"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}'


def automation(name: str, base: str, steps: str, more: str = "") -> str:
    """Return an automation for pull requests into one base branch."""
    return f"""\
  {name}:
    on: {{ pull_request: {{ types: [closed], branches: [{base}] }} }}
    repositories: [acme/shop]
{more}    steps:
{steps}"""


def step(uses: str, inputs: str, more: str = "") -> str:
    """Return one step."""
    return f"      - uses: {uses}\n        with: {{ {inputs} }}\n{more}"


def stack_step(name: str, more: str = "") -> str:
    """Return a step that deletes the stack of this name."""
    return step("aws/cloudformation-delete-stack", f"stack-name: '{name}'", more)


def run(stage: Stage, report: Report) -> None:
    """Play both parts, with one emulated AWS."""
    with FakeAws(delete_seconds=0.1) as aws:
        _edited(stage.room("edited"), aws, report)
        aws.reset()
        _misled(stage.room("misled"), aws, report)


# --- the file is edited while runs wait --------------------------------------------------------------------------

TEARDOWN = stack_step(f"preview-{NUMBER}")
BEFORE = "automations:\n" + "".join(
    automation(name, name, TEARDOWN) for name in ("removed", "renamed", "gone", "stays", "control")
)
AFTER = (
    "protect: { names: [preview-17, preview-18, preview-20] }\nautomations:\n"
    + automation("renamed-with-dry-run", "renamed", TEARDOWN, "    mode: dry-run\n")
    + automation("stays", "stays", TEARDOWN)
    + automation("control", "control", TEARDOWN)
)
EDITED = {
    17: ("removed", "protected in the edit that took its automation out"),
    18: ("renamed", "protected in the edit that renamed its automation"),
    19: ("gone", "whose automation is gone"),
    20: ("stays", "protected while it waited"),
    21: ("control", "the control"),
}


def _edited(folder: Path, aws: FakeAws, report: Report) -> None:
    with machine(folder, aws, HEAD + BEFORE) as scene:
        stacks = {number: _stack(scene, f"preview-{number}") for number in EDITED}
        for number, (base, _) in EDITED.items():
            scene.open_pull(number, base=base)
            _update(aws, number, seconds=3600.0)
        for number in EDITED:
            scene.github.world.change_pull(REPOSITORY, number, "closed")
        views = Views(scene.db)
        until(
            "five waiting runs",
            lambda: sum(run.state == "waiting" for run in views.runs()) == len(EDITED),
            60.0,
        )
        scene.stop()
        scene.config.write_text(HEAD + AFTER, encoding="utf-8")
        scene.start()
        for number in EDITED:
            _update(aws, number, seconds=0.0)
        until("the control's deletion", lambda: _gone(scene, stacks[21]), 60.0)
        time.sleep(WATCHED)
        for number, (_, what) in EDITED.items():
            report.check(number == 21 or not _gone(scene, stacks[number]), f"deleted: a preview {what}")
    report.events.append(f"{len(EDITED) - 1} runs whose file was edited")


def _update(aws: FakeAws, number: int, *, seconds: float) -> None:
    """Have a stack be updated for some seconds: a delete of it waits for that."""
    aws.stack_status(
        f"preview-{number}", "UPDATE_IN_PROGRESS", seconds=seconds, then="UPDATE_COMPLETE", region=REGION
    )


# --- what misleads by itself -------------------------------------------------------------------------------------


class Case(NamedTuple):
    """An automation for one base branch, the pull request closed, and what must be there afterwards."""

    base: str
    number: int
    what: str
    steps: str
    head: dict[str, Any]
    protect: str = ""


ALLOWED = "        allow-untrusted: [event.pull_request.head.ref]\n"
SHA = "ab" * 20
CASES = (
    Case("ref", 31, "of an open pull request of the same branch",
         stack_step("preview-${{ event.pull_request.head.ref }}", ALLOWED), {"head": "topic"}),
    Case("sha", 32, "of an open pull request of the same commit",
         stack_step("preview-${{ event.pull_request.head.sha }}"), {"sha": SHA}),
    Case("bucket", 33, "in a bucket with a protected tag",
         step("aws/s3-delete-objects", f"bucket: tagged, prefix: 'pr/{NUMBER}/'"), {},
         "protect: { tags: { keep: '*' } }\n"),
    Case("member", 34, "in a stack's bucket with a protected tag",
         step("aws/cloudformation-delete-stack", f"stack-name: 'member-{NUMBER}', empty-buckets: true"), {},
         "protect: { tags: { keep: '*' } }\n"),
    Case("python", 35, "of another repository, by a changed event",
         step("python", "function: 'changer:change'") + stack_step("${{ event.repository.name }}-" + NUMBER), {}),
)  # fmt: skip
CONTROL = automation("control", "control", stack_step(f"control-{NUMBER}"))


def _misled(folder: Path, aws: FakeAws, report: Report) -> None:
    (folder / "changer.py").write_text(CHANGER, encoding="utf-8")
    taken = [case for case in CASES if _passes(folder, case)]
    protect = next((case.protect for case in taken if case.protect), "")
    automations = "".join(automation(f"case-{case.base}", case.base, case.steps) for case in taken)
    with machine(folder, aws, f"{HEAD}{protect}automations:\n{automations}{CONTROL}") as scene:
        there = _world(scene)
        for case in taken:
            scene.open_pull(case.number, base=case.base, **case.head)
        scene.open_pull(21, base="control")
        scene.open_pull(41, base="ref", head="topic")
        scene.open_pull(42, base="sha", sha=SHA)
        for number in (*(case.number for case in taken), 21):
            scene.github.world.change_pull(REPOSITORY, number, "closed")
        until("the control's deletion", lambda: _gone(scene, there["control"]), 60.0)
        time.sleep(WATCHED)
        for case in taken:
            report.check(_stands(scene, case, there), f"deleted: a preview {case.what}")
    report.events.append(f"{len(CASES)} misleading steps, of which `check` refused {len(CASES) - len(taken)}")


def _passes(folder: Path, case: Case) -> bool:
    """Tell whether `closeout check` takes the case by itself."""
    path = folder / "closeout.yaml"
    text = f"{HEAD}{case.protect}automations:\n{automation('case', case.base, case.steps)}"
    path.write_text(text, encoding="utf-8")
    return not any(finding.severity == "error" for finding in check(path, builtin()))


def _world(scene: Machine) -> dict[str, str]:
    """Make what the cases aim at; return StackIds by the case's base branch."""
    s3 = scene.client("s3")
    s3.create_bucket(Bucket="tagged", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="tagged", Key="pr/33/file", Body=b"x")
    stacks = {
        "ref": _stack(scene, "preview-topic"),
        "sha": _stack(scene, f"preview-{SHA}"),
        "python": _stack(scene, "victim-35"),
        "control": _stack(scene, "control-21"),
        "member": _stack(scene, "member-34", template("member-34-assets")),
    }
    s3.put_object(Bucket="member-34-assets", Key="file", Body=b"x")
    for bucket in ("tagged", "member-34-assets"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "keep", "Value": "yes"}]})
    return stacks


def _stands(scene: Machine, case: Case, stacks: dict[str, str]) -> bool:
    bucket = {"bucket": "tagged", "member": "member-34-assets"}.get(case.base)
    if bucket is None:
        return not _gone(scene, stacks[case.base])
    try:
        return bool(scene.client("s3").list_objects_v2(Bucket=bucket).get("Contents"))
    except scene.client("s3").exceptions.NoSuchBucket:
        return False


def _stack(scene: Machine, name: str, text: str = QUEUE) -> str:
    return str(scene.client("cloudformation").create_stack(StackName=name, TemplateBody=text)["StackId"])


def _gone(scene: Machine, stack: str) -> bool:
    found = scene.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return str(found["StackStatus"]).startswith("DELETE_")
