"""`closeout orphans`: the real command between a fake GitHub and an emulated AWS, over accounts in which others live too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from closeout.adapters.clock import SystemClock
from closeout.cli import exits
from closeout.ledger.sqlite import Ledger
from closeout.patrol.marks import REPOSITORY as REPOSITORY_MARK
from closeout.patrol.marks import repository_marks
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from closeout.testing.github.webhooks import stamp
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine

KEEP = CONFIG.replace(
    "    repositories: [acme/shop]\n",
    "    repositories: [acme/shop]\n"
    "    if: \"!event.pull_request.labels.exists(label, label.name == 'keep-preview')\"\n",
)
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def machine(tmp_path: Path, cloud: FakeAws) -> Iterator[Machine]:
    """A machine without a server."""
    cloud.reset()
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        yield Machine(tmp_path, cloud, github, KEEP)


def pull(machine: Machine, number: int, *, opened: float, closed: float | None, **options: object) -> None:
    """A pull request that was opened, and maybe closed, so many seconds ago."""
    now = time.time()
    world = machine.github.world
    made = world.open_pull(REPOSITORY, number=number, **({"base": "develop"} | options))
    made.times["created_at"] = stamp(now - opened)
    if closed is not None:
        world.change_pull(REPOSITORY, number, "closed")
        made.times["closed_at"] = stamp(now - closed)


def stack(machine: Machine, name: str) -> None:
    """A stack that is created now."""
    body = json.dumps({"Resources": {"Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}}})
    machine.client("cloudformation").create_stack(StackName=name, TemplateBody=body)


def test_only_what_a_closed_pull_request_left_behind_is_an_orphan(machine: Machine) -> None:
    """Open, kept by a label, of another base, of another team, made before or long after: none of these is."""
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    pull(machine, 18, opened=5 * DAY, closed=None)
    pull(machine, 19, opened=5 * DAY, closed=HOUR, labels=("keep-preview",))
    pull(machine, 20, opened=5 * DAY, closed=HOUR, base="main")
    pull(machine, 21, opened=500 * DAY, closed=400 * DAY)
    pull(machine, 22, opened=-HOUR, closed=-2 * HOUR)
    for name in ("preview-17", "preview-18", "preview-19", "preview-20", "preview-21", "preview-22"):
        stack(machine, name)
    for foreign in ("preview-812", "preview-017", "preview-17-old", "api-preview-17", "CDKToolkit"):
        stack(machine, foreign)
    before = len(machine.aws.requests())
    done = machine.closeout("orphans", "--json", check=False)
    told = json.loads(done.stdout)
    assert done.returncode == exits.FAILED
    (orphan,) = told["orphans"]
    assert set(orphan) == {"resource", "repository", "pull_request", "automation", "created", "age_seconds"}
    assert [orphan[key] for key in ("resource", "repository", "pull_request", "automation")] == [
        "preview-17",
        REPOSITORY,
        17,
        "preview-cleanup",
    ]
    assert 0 <= orphan["age_seconds"] < 600
    assert {row["resource"]: row["reason"] for row in told["unknown"]} == {
        "preview-19": "its `if` is false: !event.pull_request.labels.exists(label, label.name == 'keep-preview')",
        "preview-20": "no base matched: base branch 'main' matches none of develop; it had no other base",
        "preview-21": "it was created later than 1d after the pull request was closed",
        "preview-22": "it was created before the pull request was opened",
        "preview-812": "acme/shop has no pull request 812",
    }
    calls = {entry["operation"] for entry in machine.aws.requests()[before:]}
    assert calls == {"GetCallerIdentity", "ListStacks"}
    asked = {entry["method"] for entry in machine.github.requests() if entry["path"] != "/graphql"}
    assert asked == {"GET"}


def test_a_person_reads_a_table_of_80_columns(machine: Machine) -> None:
    """Orphans, then the reasons of what is unknown, then the counts; the code says whether there is any."""
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    pull(machine, 18, opened=5 * DAY, closed=None)
    stack(machine, "preview-18")
    none = machine.closeout("orphans")
    assert none.stdout == "no orphans, 0 unknown, 1 of open pull requests.\n"
    stack(machine, "preview-17")
    stack(machine, "preview-812")
    shown = machine.closeout("orphans", check=False)
    assert shown.returncode == exits.FAILED
    head, row, *rest = shown.stdout.splitlines()
    assert head.split() == ["RESOURCE", "PULL", "REQUEST", "STATE", "AUTOMATION", "CREATED", "AGE"]
    assert row.split()[:4] == ["preview-17", "acme/shop#17", "closed", "preview-cleanup"]
    assert rest == [
        "unknown: preview-812: acme/shop has no pull request 812",
        "1 orphan, 1 unknown, 1 of open pull requests.",
    ]
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("fault", "path"), [("rate-limit", "/repos/acme/shop/pulls"), ("half", "/repos/acme/shop")]
)
def test_what_github_does_not_say_is_unknown(machine: Machine, fault: str, path: str) -> None:
    """An error is never read as closed: nothing is an orphan, and the code says that the audit is not whole."""
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    stack(machine, "preview-17")
    machine.github.faults.add(fault, path=path)
    done = machine.closeout("orphans", "--json", check=False)
    told = json.loads(done.stdout)
    assert done.returncode == exits.UNAVAILABLE
    assert told["orphans"] == []
    assert [row["resource"] for row in told["unknown"]] == ["preview-17"]
    assert "Not asked: GitHub: GET /repos/acme/shop" in " ".join(done.stderr.split())


def test_what_aws_does_not_say_is_told(machine: Machine) -> None:
    """An audit of the wrong account finds nothing, and does not say that there is nothing."""
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    machine.aws.fault(service="cloudformation", operation="ListStacks", code="AccessDenied", status=403)
    done = machine.closeout("orphans", "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)) == (exits.UNAVAILABLE, {"orphans": [], "unknown": []})
    machine.aws.fault(service="cloudformation", operation="ListStacks", code="AccessDenied", status=403)
    shown = machine.closeout("orphans", check=False).stdout
    assert shown == "Not a complete audit: no orphans, 0 unknown, 0 of open pull requests.\n"
    assert "ListStacks" in done.stderr


def test_clean_starts_one_run_for_each_after_a_confirmation(machine: Machine) -> None:
    """The oldest first and no more than the limit, of the orphan's automation alone; what is not an orphan stays."""
    other = (
        KEEP[KEEP.index("  preview-cleanup") :].replace("preview-cleanup", "others").replace("preview-", "x-")
    )
    machine.config.write_text(KEEP + other)
    for number in (17, 18):
        pull(machine, number, opened=5 * DAY, closed=HOUR)
        stack(machine, f"preview-{number}")
    stack(machine, "preview-812")
    machine.start()
    try:
        refused = machine.closeout("orphans", "--db", str(machine.db), "--clean", check=False)
        assert refused.returncode == exits.REFUSED
        assert refused.stderr.count(" would do:") == 2
        assert "delete stack preview-17" in refused.stderr
        assert machine.runs() == []
        asked = machine.closeout(
            "orphans", "--db", str(machine.db), "--clean", "--limit", "1", "--yes", "--json", check=False
        )
        told = json.loads(asked.stdout)
        assert [row["target"] for row in told["requests"]] == ["acme/shop#17 preview-cleanup"]
        (run,) = machine.finished()
    finally:
        machine.kill()
    assert (run["verdict"], run["automation"], run["number"]) == ("success", "preview-cleanup", 17)
    listed = json.loads(machine.closeout("runs", "list", "--db", str(machine.db), "--json").stdout)
    assert [row["heard"] for row in listed] == ["inventory"]
    left = machine.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])[
        "StackSummaries"
    ]
    assert {row["StackName"] for row in left} == {"preview-18", "preview-812"}


def test_the_rights_of_an_audit_are_printed(machine: Machine) -> None:
    """A role that only lists, for whoever wants to look before anything may be deleted."""
    told = json.loads(machine.closeout("permissions", "--audit", "--json").stdout)
    (role,) = told["roles"]
    assert role["policy"]["Statement"] == [
        {"Effect": "Allow", "Action": ["cloudformation:ListStacks"], "Resource": ["*"]}
    ]
    assert [one["actions"] for one in told["github"]] == [["pull_requests:read"]]


@pytest.mark.parametrize("mode", ["report", "repair", "off"])
def test_patrol_tells_of_orphans_and_starts_nothing_from_before_it_began(machine: Machine, mode: str) -> None:
    """By default it tells. What was closed before the first patrol is history, in any mode."""
    text = KEEP.replace("    steps:", f"    patrol: {mode}\n    steps:")
    machine.config.write_text(text if mode != "report" else KEEP)
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    stack(machine, "preview-17")
    stack(machine, "preview-812")
    before = len(machine.aws.requests())
    code, told, notes = patrol(machine)
    assert told["errors"] == []
    assert heard(machine) == []
    if mode == "off":
        assert (code, told["orphans"]["found"]) == (exits.OK, 0)
        assert len(machine.aws.requests()) == before
        return
    assert (code, told["orphans"]) == (exits.FAILED, {"found": 1, "started": 0, "unknown": 1})
    assert "preview-17 was left behind by acme/shop#17" in notes
    assert ("closed before it began" in notes) == (mode == "repair")


def test_patrol_repairs_what_was_closed_since_it_began(machine: Machine) -> None:
    """If the automation says so: one run, which it leaves to the next server; then that run is waited for."""
    machine.config.write_text(KEEP.replace("    steps:", "    patrol: repair\n    steps:"))
    pull(machine, 17, opened=5 * DAY, closed=HOUR)
    patrol(machine)
    with Ledger(machine.db, clock=SystemClock()) as ledger:
        ((_, mark),) = repository_marks(ledger.marks(REPOSITORY_MARK)).items()
        begun = replace(mark, beginnings={"preview-cleanup": int(time.time() - DAY)})
        ledger.save_mark(REPOSITORY_MARK, str(mark.id), begun.to_json())
    stack(machine, "preview-17")
    code, told, _ = patrol(machine)
    assert (code, told["orphans"]) == (exits.FAILED, {"found": 1, "started": 1, "unknown": 0})
    assert heard(machine) == [("preview-cleanup", "inventory", "queued")]
    assert patrol(machine)[1]["orphans"] == {"found": 0, "started": 0, "unknown": 1}


def patrol(machine: Machine) -> tuple[int, Any, str]:
    """Patrol once, without a server; return the exit code, what is told to a program, and what to a person."""
    done = machine.closeout("patrol", "--once", "--db", str(machine.db), "--json", check=False)
    return done.returncode, json.loads(done.stdout), " ".join(done.stderr.split())


def heard(machine: Machine) -> list[tuple[str, str, str]]:
    """The runs of the ledger: automation, how it was heard, state."""
    listed = json.loads(machine.closeout("runs", "list", "--db", str(machine.db), "--json").stdout)
    return [(run["automation"], run["heard"], run["state"]) for run in listed]
