"""GitHub fails in every way while a pull request is closed: nothing is deleted, and no secret leaves.

A preview for each fault. Whatever the API answers to "is it still closed?" (errors, limits, nonsense, half answers,
silence, another pull request, redirects to a stranger), no delete is sent; a control without a fault is deleted, so
that the others would have been seen. A stranger that redirects point to gets no call and no byte of a secret. What is
reopened while it waits is cancelled.

Red when sabotaged: read any 200 as closed (`adapters/github.py`); compare origins by another parser than the one that
connects; leave the live check out (`closeout/livecheck.py`).
"""

from __future__ import annotations

import time
from typing import Any

from closeout.ledger.sqlite import Views
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REGION, REPOSITORY, Machine, machine
from tests.hostile.report import Report
from tests.hostile.stage import Stage
from tests.hostile.strangers import LOCATIONS, Configured, Stranger, location
from tests.until import until

STACK = '{"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}'
KEY = "key-of-a-secret-header-0123456789"
CONTROL, REOPENED, REDIRECTED = 100, 190, 200
"""Numbers of pull requests; the faults stand between the first two, the redirects begin at the third."""
MET = 60.0
"""Seconds within which each fault must be met."""
SETTLED = 4.0
"""Seconds for which each fault is watched after it was met."""
TELL = """\
  tell:
    on: {{ pull_request: {{ types: [closed] }} }}
    repositories: [acme/shop]
    status: false
    steps:
      - uses: http/request
        destructive: false
        with:
          method: GET
          url: 'http://{address}/hook/${{{{ event.pull_request.number }}}}'
          secret-headers: {{ X-Api-Key: env:HOOK_KEY }}
"""
Fault = tuple[str, str, dict[str, Any]]
FAULTS: tuple[Fault, ...] = (
    ("500", "status", {"status": 500}),
    ("502 with a page", "status", {"status": 502, "body": "<html>Bad gateway</html>"}),
    ("503, come back in an hour", "status", {"status": 503, "headers": {"Retry-After": "3600"}}),
    ("403, rate limit", "rate-limit", {}),
    ("429", "rate-limit", {"status": 429, "headers": {"Retry-After": "60"}}),
    ("403", "status", {"status": 403, "body": {"message": "Resource not accessible"}}),
    ("401", "status", {"status": 401, "body": {"message": "Bad credentials"}}),
    ("404", "status", {"status": 404, "body": {"message": "Not Found"}}),
    ("410", "status", {"status": 410, "body": {"message": "Gone"}}),
    ("200 with a page", "text", {"status": 200, "body": "<html>Sign in</html>"}),
    ("200 with nothing", "text", {"status": 200, "body": ""}),
    ("200 with null", "status", {"status": 200, "body": "null"}),
    ("200 with a list", "status", {"status": 200, "body": [{"state": "closed"}]}),
    ("200 with the state alone", "status", {"status": 200, "body": {"state": "closed"}}),
    ("200 with deep nesting", "text", {"status": 200, "body": "[" * 100_000}),
    ("204", "status", {"status": 204}),
    ("304", "status", {"status": 304}),
    ("half an answer", "half", {}),
    ("a slow answer, byte by byte", "trickle", {"seconds": 0.2}),
    ("no answer", "never", {}),
    ("a reset", "drop", {}),
    ("another pull request", "status", {"status": 200, "body": {"id": 1, "number": 1, "state": "closed",
     "head": {"ref": "x"},
     "base": {"repo": {"id": 501_000, "full_name": REPOSITORY, "owner": {"id": 9_001}}}}}),
    ("no id", "status", {"status": 200, "body": {"id": None, "state": "closed", "base": {"repo": {"id": None}}}}),
    ("a state in capitals", "status", {"status": 200, "body": {"id": "1", "state": "CLOSED", "base": {"repo": {}}}}),
)  # fmt: skip


def run(stage: Stage, report: Report) -> None:
    """Play it on one machine."""
    secrets = (KEY, "fake-token-of-the-closeout-bot")
    with FakeAws(delete_seconds=0.1) as aws, Stranger(secrets) as stranger, Configured(
        lambda number, own: location(number - REDIRECTED, own, stranger) if number >= REDIRECTED else None
    ) as configured:  # fmt: skip
        config = CONFIG.replace(", empty-buckets: true", "") + TELL.format(address=configured.address)
        with machine(stage.folder, aws, config) as scene:
            scene.kill()
            scene.environment["HOOK_KEY"] = KEY
            scene.start()
            _play(scene, stranger, report)
        report.check(not stranger.secrets, f"{stranger.secrets} secrets were sent to another origin")
        report.check(not stranger.calls, f"another origin was called: {sorted(set(stranger.calls))[:5]}")
        report.check(
            configured.calls >= len(LOCATIONS), "the configured host was not called, so nothing was shown"
        )
        report.events.append(
            f"{len(LOCATIONS)} redirects to a stranger: {stranger.secrets} secrets in {len(stranger.calls)} calls"
        )


def _play(scene: Machine, stranger: Stranger, report: Report) -> None:
    faulty = {CONTROL + 1 + number: fault for number, fault in enumerate(FAULTS)}
    redirected = range(REDIRECTED, REDIRECTED + len(LOCATIONS))
    numbers = (CONTROL, REOPENED, *faulty, *redirected)
    stacks = {number: _preview(scene, number) for number in numbers}
    for number in numbers:
        scene.open_pull(number)
    scene.github.sender.settle()
    own = scene.github.url.removeprefix("http://")
    met = []
    for number, (_, kind, options) in faulty.items():
        met.append(scene.github.faults.add(kind, method="GET", path=_path(number), times=0, **options))
    for number in redirected:
        where = location(number - REDIRECTED, own, stranger)
        met.append(
            scene.github.faults.add(
                "redirect", method="GET", path=_path(number), times=0, status=307, location=where
            )
        )
    _update(scene, 3600.0)
    for number in numbers:
        scene.github.world.change_pull(REPOSITORY, number, "closed")
    end = time.monotonic() + MET
    while time.monotonic() < end and not all(fault.hits for fault in met):
        time.sleep(0.1)
    unmet = sum(not fault.hits for fault in met)
    report.check(not unmet, f"in {unmet} of {len(met)} runs GitHub was not asked whether it is still closed")
    _reopen(scene)
    time.sleep(SETTLED)
    _check(scene, stacks, faulty, report)


def _path(number: int) -> str:
    return rf".*/pulls/{number}"


def _preview(scene: Machine, number: int) -> str:
    stack = scene.client("cloudformation").create_stack(StackName=f"preview-{number}", TemplateBody=STACK)
    return str(stack["StackId"])


def _reopen(scene: Machine) -> None:
    views = Views(scene.db)
    until(
        "the wait of what is reopened",
        lambda: any(run.number == REOPENED and run.state == "waiting" for run in views.runs()),
        60.0,
    )
    scene.github.world.change_pull(REPOSITORY, REOPENED, "reopened")
    _update(scene, 0.0)


def _update(scene: Machine, seconds: float) -> None:
    """Have the stack of what is reopened be updated for so long: its run waits for that."""
    scene.aws.stack_status(
        f"preview-{REOPENED}", "UPDATE_IN_PROGRESS", seconds=seconds, then="UPDATE_COMPLETE", region=REGION
    )


def _check(scene: Machine, stacks: dict[int, str], faulty: dict[int, Fault], report: Report) -> None:
    views = Views(scene.db)

    def verdict(number: int) -> str | None:
        runs = (run for run in views.runs() if run.number == number and run.automation == "preview-cleanup")
        return next((run.verdict for run in runs), None)

    until("the end of control and reopened", lambda: verdict(CONTROL) and verdict(REOPENED), 60.0)
    report.check(verdict(CONTROL) == "success", "the control was not deleted, so nothing was shown")
    report.check(verdict(REOPENED) == "cancelled", f"reopened while it waited: {verdict(REOPENED)}")
    calls = [call for call in scene.aws.requests() if call["operation"].startswith("Delete")]
    told = " ".join(str(call["params"]) for call in calls)
    for number, stack in stacks.items():
        if number != CONTROL:
            what = faulty[number][0] if number in faulty else f"#{number}"
            report.check(stack not in told, f"GitHub, {what}: a delete was sent")
            report.check(verdict(number) != "success", f"GitHub, {what}: the run ended as success")
    report.events.append(f"{len(FAULTS)} faults, {len(calls)} delete sent (the control's)")
