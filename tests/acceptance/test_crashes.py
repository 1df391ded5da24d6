"""`kill -9` of the real server: at every call of a run, with the world changing meanwhile, and under load."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from closeout.core.runs import MAX_DEATHS
from closeout.ledger.sqlite import Views
from closeout.testing.aws import FakeAws
from closeout.testing.deliveries import pull_request, signed_headers
from tests.acceptance.machine import REPOSITORY, SECRET, Machine, machine
from tests.until import until

pytestmark = pytest.mark.slow

CALLS = (
    ("github", "POST", r".*/statuses/.*", 0),
    ("aws", "sts", "GetCallerIdentity", 0),
    ("aws", "cloudformation", "DescribeStacks", 0),
    ("aws", "cloudformation", "ListStackResources", 0),
    ("aws", "cloudformation", "GetTemplate", 0),
    ("github", "POST", r".*/statuses/.*", 1),
    ("aws", "sts", "GetCallerIdentity", 1),
    ("github", "GET", r".*/pulls/17", 0),
    ("aws", "cloudformation", "DescribeStacks", 1),
    ("aws", "cloudformation", "DeleteStack", 0),
    ("aws", "cloudformation", "DescribeStackEvents", 0),
    ("aws", "s3", "ListObjectVersions", 0),
    ("aws", "sts", "GetCallerIdentity", 2),
    ("github", "GET", r".*/pulls/17", 1),
    ("aws", "s3", "DeleteObjects", 0),
    ("aws", "cloudformation", "DeleteStack", 1),
    ("aws", "s3", "HeadBucket", 0),
    ("aws", "sqs", "GetQueueAttributes", 0),
    ("github", "POST", r".*/statuses/.*", 2),
)
"""Every kind of call that a delete-stack run makes, in order of appearance: held there, the server is killed.

The last number says how many calls of the kind pass before. `test_the_list_of_calls_is_complete` holds the list
against a run's journal.
"""

EFFECTS = [call for call in CALLS if call[1] == "POST" or call[2].startswith("Delete")]
"""Those that change something. To die before or after one that only reads is the same: its answer was never read."""


def hold(scene: Machine, call: tuple[str, str, str, int], *, after: bool) -> Any:
    """Have the fake keep this call; return a function that says whether it is being kept."""
    kind, first, second, skip = call
    if kind == "github":
        fault = scene.github.faults.add("hold", method=first, path=second, skip=skip, after=after, seconds=60)
        return lambda: fault.hits
    scene.aws.fault(service=first, operation=second, kind="hold", skip=skip, after=after, seconds=60)
    return lambda: [entry for entry in scene.aws.requests() if entry["held"]]


def release(scene: Machine) -> None:
    """Let go of what is held, without an answer to the dead."""
    scene.aws.clear_faults()
    scene.github.faults.clear()


def close(scene: Machine) -> str:
    sha = scene.open_pull()
    scene.github.sender.settle()
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    return sha


@pytest.mark.parametrize(
    ("call", "after"),
    [(call, False) for call in CALLS] + [(call, True) for call in EFFECTS],
    ids=lambda it: (
        f"{it[1]}-{it[2].strip('.*/')}-{it[3]}" if isinstance(it, tuple) else "after" if it else "before"
    ),
)
def test_killed_at_a_call_the_run_converges(tmp_path: Path, cloud: FakeAws, call: Any, after: bool) -> None:
    """Killed before or after the call had its effect, the next life finishes the job and the status says so."""
    cloud.reset()
    with machine(tmp_path, cloud) as scene:
        stack = scene.preview()
        held = hold(scene, call, after=after)
        sha = close(scene)
        until(f"the call {call}", held)
        scene.kill()
        release(scene)
        done_before = finished_operations(scene)
        scene.start()
        (run,) = scene.finished()
        assert run["verdict"] == "success", (run, scene.log())
        assert scene.is_gone(stack)
        assert scene.statuses(sha)[-1][0] == "success"
        done_after = finished_operations(scene)
        assert {name: done_after[name] for name in done_before} == done_before, (
            "a finished operation was repeated"
        )


def finished_operations(scene: Machine) -> dict[str, Any]:
    """Name → (result, when it ended) of every recorded operation: none of these may ever change again."""
    import sqlite3

    with sqlite3.connect(f"file:{scene.db}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT name, result, ended_at FROM operation WHERE state IN ('ok', 'error', 'cancelled')"
        ).fetchall()
    return {name: (result, ended) for name, result, ended in rows}


@pytest.mark.parametrize(
    "call", CALLS[3:16:2], ids=lambda call: f"{call[1]}-{call[2].strip('.*/')}-{call[3]}"
)
def test_reopened_while_the_server_is_down_nothing_more_is_deleted(
    tmp_path: Path, cloud: FakeAws, call: Any
) -> None:
    """The server dies in the middle, the pull request is reopened, the server comes back: not one more delete."""
    cloud.reset()
    with machine(tmp_path, cloud) as scene:
        scene.preview()
        held = hold(scene, call, after=False)
        sha = close(scene)
        until(f"the call {call}", held)
        scene.kill()
        scene.github.world.change_pull(REPOSITORY, 17, "reopened")
        release(scene)
        time.sleep(0.5)
        before = len(scene.aws.requests())
        scene.start()
        (run,) = scene.finished()
        assert run["verdict"] == "cancelled", (run, scene.log())
        deletes = [
            entry for entry in scene.aws.requests()[before:] if entry["operation"].startswith("Delete")
        ]
        assert deletes == []
        assert scene.statuses(sha)[-1][0] in ("success", "failure")


def test_a_new_stack_of_the_same_name_stays(tmp_path: Path, cloud: FakeAws) -> None:
    """Deleted, reopened, redeployed under the same name and closed state read late: the new StackId is not touched."""
    cloud.reset()
    with machine(tmp_path, cloud) as scene:
        old = scene.preview()
        held = hold(scene, ("aws", "cloudformation", "DeleteStack", 1), after=False)
        close(scene)
        until("the second delete", held)
        scene.kill()
        release(scene)
        cloudformation = scene.client("cloudformation")
        cloudformation.delete_stack(StackName=old)
        until("the old stack's end", lambda: scene.is_gone(old))
        new = scene.preview()
        scene.start()
        (run,) = scene.finished()
        status = cloudformation.describe_stacks(StackName=new)["Stacks"][0]["StackStatus"]
        assert status == "CREATE_COMPLETE", run
        targets = [entry["params"] for entry in scene.aws.requests() if entry["operation"] == "DeleteStack"]
        assert all(new not in str(params) for params in targets)


def test_the_list_of_calls_is_complete(scene: Machine) -> None:
    """Every kind of call that a run makes stands in CALLS, so none is left out of the kill tests."""
    scene.preview()
    seen = len(scene.aws.requests())
    close(scene)
    scene.finished()
    made = {("aws", entry["service"], entry["operation"]) for entry in scene.aws.requests()[seen:]}
    listed = {call[:3] for call in CALLS if call[0] == "aws"}
    assert made - listed == set(), "calls that no kill test covers"
    assert listed - made == set(), "calls that a run no longer makes"


LOAD_CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
automations:
  note:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    status: false
    steps:
      - uses: python
        destructive: false
        with: { function: 'notes:note' }
"""
NOTES = "def note(context):\n    context.log('noted')\n"


KILLER = """\
import os, signal, time

def use_up_the_memory(context):
    with open("calls", "a") as calls:
        print(context.attempt, file=calls)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_function_that_kills_the_server_fails_after_five_deaths_alone(
    tmp_path: Path, cloud: FakeAws
) -> None:
    """One bad step cannot keep the server down; each call after the first knows that it is not the first."""
    (tmp_path / "killer.py").write_text(KILLER)
    step = (
        "uses: python\n        destructive: false\n        with: { function: 'killer:use_up_the_memory' }\n"
    )
    with machine(tmp_path, cloud, LOAD_CONFIG.partition("uses:")[0] + step) as scene:
        assert deliver(scene, "guid", 17) == ("guid", 202)
        for _ in range(1 + MAX_DEATHS):
            assert scene.server is not None
            assert scene.server.wait(20) == -9
            scene.start()
        (run,) = scene.finished()
        assert run["verdict"] == "failure"
        assert run["steps"][0]["reason"].startswith(
            f"step python-1 ended closeout's process {MAX_DEATHS} times while it ran alone, and is not tried again"
        )
        assert (tmp_path / "calls").read_text() == "1\n2\n3\n4\n5\n6\n"
        said = scene.closeout("runs", "logs", run["id"], "--db", str(scene.db)).stdout
        assert said.count("may have run in part") == 1 + MAX_DEATHS
        assert "after a crash: 1 run takes a turn alone" in scene.log()


def deliver(scene: Machine, guid: str, number: int) -> tuple[str, int]:
    """Send one signed delivery as GitHub would; return the answer's status, 0 when none came."""
    import http.client

    body = json.dumps(pull_request("closed", repository=REPOSITORY, number=number)).encode()
    connection = http.client.HTTPConnection("127.0.0.1", scene.port, timeout=5)
    try:
        connection.request("POST", "/webhook", body, signed_headers("pull_request", body, SECRET, guid=guid))
        return guid, connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return guid, 0
    finally:
        connection.close()


def test_twenty_deaths_under_load_lose_nothing(tmp_path: Path, cloud: FakeAws) -> None:
    """What was acknowledged is kept and ends; no finished operation is repeated."""
    chance = random.Random(17)
    acknowledged: set[str] = set()
    (tmp_path / "notes.py").write_text(NOTES)
    with machine(tmp_path, cloud, LOAD_CONFIG) as scene, ThreadPoolExecutor(8) as pool:
        finished: dict[Any, Any] = {}
        for life in range(20):
            futures = [pool.submit(deliver, scene, f"guid-{life}-{n}", 1000 * life + n) for n in range(12)]
            time.sleep(chance.uniform(0.02, 0.35))
            scene.kill()
            acknowledged |= {guid for guid, status in (f.result() for f in futures) if status in (200, 202)}
            now = operations_by_run(scene)
            assert all(now[key] == value for key, value in finished.items()), "a finished operation changed"
            finished = now
            scene.start()
        views = Views(scene.db)
        until("the end of every run", lambda: all(run.state == "finished" for run in views.runs()), 60)
        kept = {delivery.guid for delivery in views.deliveries()}
        assert acknowledged
        assert acknowledged <= kept, f"lost: {sorted(acknowledged - kept)}"
        with_run = {run.guid for run in views.runs()}
        assert acknowledged <= with_run
        final = operations_by_run(scene)
        assert all(final[key] == value for key, value in finished.items())


def operations_by_run(scene: Machine) -> dict[Any, Any]:
    import sqlite3

    with sqlite3.connect(f"file:{scene.db}?mode=ro", uri=True) as connection:
        rows: Iterator[Any] = connection.execute(
            "SELECT * FROM operation WHERE state IN ('ok', 'error', 'cancelled')"
        )
        return {row[:2]: row[2:] for row in rows}
