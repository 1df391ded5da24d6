"""`closeout patrol --once` and the timer of `serve`: what GitHub did not tell is found, with a server and without one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.cli import exits
from closeout.testing import deliveries
from closeout.testing.github import FakeGitHub
from tests.acceptance.cli_process import Result
from tests.acceptance.forked import run
from tests.acceptance.machine import SECRET, Machine
from tests.until import until

CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
automations:
  clean:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps: [{ uses: shell, with: { run: 'echo $N >> gone', env: { N: '${{ event.pull_request.number }}' } } }]
"""


class Clock:
    """GitHub's clock: time goes on, and sometimes jumps."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class NoAws:
    """There is none."""

    url = "http://127.0.0.1:9"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Machine]:
    """A machine without a server, and a GitHub with one pull request that was closed before closeout came."""
    with FakeGitHub(now=Clock()) as github:
        github.world.add_repository("acme/shop", id=501_001)
        close(github, 7)
        made = Machine(tmp_path, NoAws(), github, CONFIG)  # type: ignore[arg-type]
        yield made
        if made.server is not None:
            made.kill()


def close(github: FakeGitHub, number: int) -> None:
    """Open a pull request and close it, some seconds after whatever happened before."""
    assert isinstance(github.world.now, Clock)
    github.world.now.ahead += 5
    github.world.open_pull("acme/shop", number=number)
    github.world.change_pull("acme/shop", number, "closed")


def patrol(scene: Machine, *options: str) -> Result:
    """Run the command."""
    arguments = ["patrol", "--config", str(scene.config), "--db", str(scene.db), "--once", *options]
    done = run(arguments, folder=scene.folder, environment=scene.environment, stdin="", seconds=30)
    return Result(done.returncode, done.stdout, done.stderr)


def report(**given: dict[str, int]) -> dict[str, Any]:
    """Return what `--json` prints when nothing else happened."""
    deliveries = {"seen": 0, "recovered": 0, "ignored": 0, "gaps": 0} | given.get("deliveries", {})
    closings = {"seen": 0, "started": 0} | given.get("closings", {})
    orphans = {"found": 0, "started": 0, "unknown": 0}
    return {"deliveries": deliveries, "closings": closings, "orphans": orphans, "errors": []}


def command(scene: Machine, name: str, *options: str) -> Result:
    """Run `closeout deliveries`."""
    arguments = ["deliveries", name, "--config", str(scene.config), "--db", str(scene.db), *options]
    done = run(arguments, folder=scene.folder, environment=scene.environment, stdin="", seconds=30)
    return Result(done.returncode, done.stdout, done.stderr)


def gone(scene: Machine) -> list[str]:
    """Return the numbers that the automation cleaned up after."""
    file = scene.folder / "gone"
    return file.read_text().split() if file.exists() else []


def runs(scene: Machine) -> list[Any]:
    """Return `runs list --json`."""
    arguments = ["runs", "list", "--db", str(scene.db), "--json"]
    done = run(arguments, folder=scene.folder, environment=scene.environment, stdin="", seconds=30)
    found: list[Any] = json.loads(done.stdout)
    return found


def test_without_a_server_it_looks_by_itself_and_the_next_server_runs_what_it_found(scene: Machine) -> None:
    """What was closed before the first look stays; what is closed after it goes."""
    first = patrol(scene, "--json")
    assert (first.code, first.json) == (exits.OK, report())
    assert "patrol begins here" in first.err
    close(scene.github, 25)
    found = patrol(scene, "--json")
    assert (found.code, found.json) == (exits.FAILED, report(closings={"seen": 1, "started": 1})), found.err
    assert [(one["state"], one["heard"], one["number"]) for one in runs(scene)] == [
        ("queued", "closed-list", 25)
    ]
    assert patrol(scene, "--json").code == exits.OK
    scene.start()
    until("the run", lambda: gone(scene) == ["25"])
    until("its end", lambda: runs(scene)[0]["verdict"] == "success")


def test_a_server_starts_with_a_patrol_and_makes_one_when_asked(scene: Machine) -> None:
    """The server was off while #25 was closed, and no delivery comes for #26 either."""
    patrol(scene)
    close(scene.github, 25)
    scene.start()
    until("the run of #25", lambda: gone(scene) == ["25"])
    close(scene.github, 26)
    asked = patrol(scene, "--json")
    assert (asked.code, asked.json["closings"]["started"]) == (exits.FAILED, 1), asked.err
    until("the run of #26", lambda: gone(scene) == ["25", "26"])
    assert patrol(scene).code == exits.OK


def test_what_the_hook_could_not_deliver_comes_from_its_log(scene: Machine) -> None:
    """With the payload that GitHub sent; the list then finds nothing more."""
    scene.start()
    hook = scene.github.add_hook(
        "acme/shop", url=scene.hook_url, secret=SECRET, events=("pull_request", "push")
    )
    assert patrol(scene).code == exits.OK
    hook.url = "http://127.0.0.1:9/webhook"
    close(scene.github, 25)
    scene.github.sender.settle()
    hook.url = scene.hook_url
    found = patrol(scene, "--json")
    expected = report(deliveries={"seen": 2, "recovered": 1, "ignored": 1}, closings={"seen": 1})
    assert (found.code, found.json) == (exits.FAILED, expected), found.err
    until("the run of #25", lambda: gone(scene) == ["25"])
    assert runs(scene)[0]["heard"] == "delivery-log"


def test_a_person_can_have_a_delivery_replayed_that_patrol_left_alone(scene: Machine) -> None:
    """A push that did not arrive starts nothing by itself, and its run when somebody asks for it."""
    push = "  push:\n    on: { push: {} }\n    repositories: [acme/shop]\n    status: false\n    unguarded: true\n"
    scene.config.write_text(
        CONFIG + push + "    steps: [{ uses: shell, with: { run: 'echo pushed >> gone' } }]\n"
    )
    scene.start()
    hook = scene.github.add_hook("acme/shop", url=scene.hook_url, secret=SECRET, events=("push",))
    assert patrol(scene).code == exits.OK
    assert isinstance(scene.github.world.now, Clock)
    scene.github.world.now.ahead += 5
    hook.url = "http://127.0.0.1:9/webhook"
    shop = scene.github.world.repository("acme/shop")
    scene.github.emit(shop, "push", deliveries.push(repository="acme/shop"))
    scene.github.sender.settle()
    hook.url = scene.hook_url
    assert patrol(scene, "--json").json["deliveries"]["ignored"] == 1
    (row,) = command(scene, "list", "--ignored", "--json").json
    assert (row["event"], row["repository"], row["hook"]) == ("push", "acme/shop", str(hook.id))
    assert "no live check" in row["reason"]
    assert "1 more did not arrive" in command(scene, "list").err
    shown = command(scene, "replay", row["guid"])
    assert (shown.code, "shell" in shown.err, runs(scene)) == (exits.REFUSED, True, []), shown.err
    done = command(scene, "replay", row["guid"], "--yes")
    assert done.code == exits.OK, done.err
    until("the run", lambda: gone(scene) == ["pushed"])
    until("its end", lambda: runs(scene)[0]["verdict"] == "success")
    assert runs(scene)[0]["heard"] == "delivery-log"
    assert command(scene, "list", "--ignored", "--json").json == []
    assert command(scene, "replay", row["guid"], "--yes").code != exits.OK, "it is in the ledger now"


def test_a_patrol_that_hangs_holds_up_no_delivery_and_survives_a_kill(scene: Machine) -> None:
    """GitHub does not answer its call; a webhook comes, and then the process is killed."""
    patrol(scene)
    close(scene.github, 25)
    held = scene.github.faults.add("hold", path=r"/repos/acme/shop/issues/events")
    scene.start()
    scene.github.faults.wait(held)
    scene.github.add_hook("acme/shop", url=scene.hook_url, secret=SECRET)
    close(scene.github, 26)
    until("the end of #26, which was told", lambda: [one["verdict"] for one in runs(scene)] == ["success"])
    scene.kill()  # an operation under way would run again
    scene.github.faults.clear()
    scene.start()
    until("the run of #25", lambda: gone(scene) == ["26", "25"])
    until("their end", lambda: [one["verdict"] for one in runs(scene)] == ["success", "success"])
    assert sorted((one["number"], one["heard"]) for one in runs(scene)) == [
        (25, "closed-list"),
        (26, "webhook"),
    ]


def test_what_cannot_be_asked_is_told_and_starts_nothing(scene: Machine) -> None:
    """A repository that the token does not see is not one without closings."""
    patrol(scene)
    close(scene.github, 25)
    scene.github.faults.add("status", path=r"/repos/acme/shop/pulls", status=404, times=0)
    failed = patrol(scene, "--json")
    assert (failed.code, failed.json["closings"], len(failed.json["errors"])) == (
        exits.UNAVAILABLE,
        {"seen": 0, "started": 0},
        1,
    )
    scene.github.faults.clear()
    assert patrol(scene).code == exits.FAILED


def test_a_fortnight_without_the_server_an_empty_log_and_every_seventh_call_failing(scene: Machine) -> None:
    """Each closing since the beginning is torn down once, nothing else is touched, and the gap in the log is told."""
    github = scene.github
    scene.start()
    github.add_hook("acme/shop", url=scene.hook_url, secret=SECRET, events=("pull_request",))
    close(github, 8)
    until("the run of #8", lambda: [one["verdict"] for one in runs(scene)] == ["success"])
    assert patrol(scene, "--json").json["errors"] == []
    scene.kill()
    be_away(github, range(25, 31))
    for number in range(60):  # each sees the calls that no earlier one hits
        github.faults.add("status", status=502, skip=3 + 6 * number, times=1)
    scene.start()
    until("a patrol without an error", lambda: patrol(scene, "--json").code == exits.OK)
    until("the runs", lambda: len(gone(scene)) == 7, seconds=60)
    until("their ends", lambda: [one["verdict"] for one in runs(scene)] == ["success"] * 7, seconds=60)
    assert sum(fault.hits for fault in github.faults) > 3
    assert sorted(gone(scene)) == ["25", "26", "27", "28", "29", "30", "8"]
    assert {one["heard"] for one in runs(scene) if one["number"] != 8} == {"closed-list"}
    log = (scene.folder / "server.log").read_text()
    assert "delivery log ends before the last known delivery" in log, log


def be_away(github: FakeGitHub, numbers: range) -> None:
    """Let people close pull requests for a fortnight, of which the hook's log keeps nothing. One stays open, one went into `main`."""
    assert isinstance(github.world.now, Clock)
    github.world.open_pull("acme/shop", number=50)
    github.world.open_pull("acme/shop", number=51, base="main")
    github.world.change_pull("acme/shop", 51, "closed")
    for number in numbers:
        github.world.now.ahead += 14 * 86_400 / len(numbers)
        close(github, number)
    github.sender.settle()
    github.world.repository("acme/shop").deliveries.clear()


def test_it_needs_once_and_a_token(scene: Machine) -> None:
    """Each is said in one sentence."""
    arguments = ["patrol", "--config", str(scene.config), "--db", str(scene.db)]
    done = run(arguments, folder=scene.folder, environment=scene.environment, stdin="", seconds=30)
    assert (done.returncode, "--once" in done.stderr) == (exits.USAGE, True)
    scene.config.write_text(
        CONFIG.replace(", github: env:CLOSEOUT_GITHUB_TOKEN", "").replace(
            "    steps", "    status: false\n    steps"
        )
    )
    asked = patrol(scene, "--json")
    assert (asked.code, "secrets.github" in asked.json["errors"][0]) == (exits.UNAVAILABLE, True)
