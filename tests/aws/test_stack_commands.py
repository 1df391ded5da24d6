"""What a user of the deployed stack does from the command line: token, webhook, rotation under load, runs, pause."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from closeout.testing import deliveries
from tests.aws.deployment import ROOT
from tests.aws.world import TOKEN, World

STACK = "closed-pr-event-stack"
REPOSITORY = "acme/notes"


def closeout(world: World, *arguments: str, stdin: str = "", code: int = 0) -> str:
    """Run the real CLI on the stack; return its standard output."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CLOSEOUT_")},
        "PYTHONPATH": f"{ROOT / 'src'}:{Path(__file__).parent / 'code'}",
        "AWS_REGION": world.outputs["Region"],
        "CLOSEOUT_CONFIG": str(world.folder / "closeout.yaml"),
        "COLUMNS": "80",
    }
    done = subprocess.run(
        [sys.executable, "-m", "closeout", *arguments, "--stack", STACK],
        env=environment, cwd=world.folder, input=stdin, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def hooked(world: World) -> Iterator[World]:
    """The stack with a webhook that `closeout webhook create` made at its output URL, and removed at the end."""
    url = world.outputs["WebhookUrl"].removesuffix("/webhook")
    # What DNS does: the output's address leads to where the emulator answers.
    world.github.sender.names[url] = world.cloud.webhook(world.outputs["ApiId"], path="")
    told = closeout(world, "secret", "set", "github", "--json", stdin=TOKEN)
    assert json.loads(told)["secret"] == world.outputs["GitHubTokenSecretName"]
    made = json.loads(closeout(world, "webhook", "create", REPOSITORY, "--json"))
    assert made["ping"]["status_code"] == 200
    assert made["events"] == ["pull_request"]
    yield world
    closeout(world, "webhook", "delete", REPOSITORY, "--yes")


def hook_of(world: World) -> Any:
    """The hook at the stack's output URL."""
    hooks = world.github.world.repository(REPOSITORY).hooks.values()
    (hook,) = [hook for hook in hooks if hook.url == world.outputs["WebhookUrl"]]
    return hook


def test_a_closed_pull_request_arrives_through_the_created_hook(hooked: World) -> None:
    """From GitHub's event to the run's end, read with `runs … --stack`."""
    sha = hooked.open(601, repository=REPOSITORY)
    hooked.close(601, repository=REPOSITORY)
    listed = json.loads(closeout(hooked, "runs", "list", "--repository", REPOSITORY, "--json"))
    (run,) = [run for run in listed if run["number"] == 601]
    out = closeout(hooked, "runs", "logs", run["id"], "--follow")
    shown = json.loads(closeout(hooked, "runs", "show", run["id"], "--json"))
    assert shown["verdict"] == "success"
    assert [step["state"] for step in shown["steps"]] == ["success"]
    assert out.strip()
    assert hooked.statuses(sha, repository=REPOSITORY)[-1]["state"] == "success"
    seen = json.loads(closeout(hooked, "deliveries", "show", str(run["delivery"]), "--json"))
    assert run["id"] in seen["runs"]

    again = json.loads(closeout(hooked, "runs", "rerun", run["id"], "--yes", "--json"))
    assert again["outcome"] == f"{run['id']}-2"
    assert hooked.ended(run["id"])["attempt"] == 2
    replayed = json.loads(closeout(hooked, "deliveries", "replay", seen["id"], "--yes", "--json"))
    assert replayed["outcome"] == f"{run['id']}-3"
    assert hooked.ended(run["id"])["attempt"] == 3
    assert len(hooked.notes(601)) == 6


def test_pause_is_written_and_taken_back(hooked: World) -> None:
    """The switch is in the stack's table."""
    closeout(hooked, "pause", "--reason", "a test")
    assert "a test" in str(hooked.ledger.switch.paused())
    closeout(hooked, "resume")
    assert hooked.ledger.switch.paused() is None


class Load:
    """Deliveries through the hook all the while, and bad signatures beside them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._deliver, self._flood)]
        self.guids: list[str] = []
        self.bad: list[int] = []

    def _deliver(self) -> None:
        repository = self._world.github.world.repository(REPOSITORY)
        payload = deliveries.pull_request("labeled", repository=REPOSITORY, labels=("x",))
        while not self._ending.is_set():
            self.guids.append(self._world.github.emit(repository, "pull_request", payload))
            time.sleep(0.25)

    def _flood(self) -> None:
        while not self._ending.is_set():
            self.bad.append(self._world.deliver({"a": 1}, secret="guessed").status)
            time.sleep(0.05)

    def __enter__(self) -> Self:
        """Begin, and wait until both are under way."""
        for thread in self._threads:
            thread.start()
        self._world.until(lambda: (len(self.guids), len(self.bad)), lambda seen: min(seen) > 2)
        return self

    def __exit__(self, *_: object) -> None:
        """End, and wait until everything was answered."""
        self._ending.set()
        for thread in self._threads:
            thread.join(30)
        assert self._world.github.sender.settle(30)


def test_the_secret_is_rotated_under_load_and_no_delivery_is_refused(hooked: World) -> None:
    """The deployed receiver takes both values: every delivery is stored, every bad signature is 401."""
    hook = hook_of(hooked)
    with Load(hooked) as load:
        told = json.loads(closeout(hooked, "webhook", "rotate-secret", REPOSITORY, "--json"))
        time.sleep(1.0)
    current = hooked.cloud.client("secretsmanager").get_secret_value(
        SecretId=hooked.outputs["WebhookSecretName"]
    )
    assert told["generated"] is True
    assert told["hooks"] == [{"target": REPOSITORY, "hook": hook.id, "ping": 200}]
    assert hook.secret == current["SecretString"] != hooked.secret
    kept = [one for one in hooked.github.world.repository(REPOSITORY).deliveries if one["hook_id"] == hook.id]
    sent = [one for one in kept if one["guid"] in set(load.guids)]
    assert len(sent) == len(load.guids) > 5
    assert {one["status_code"] for one in kept} <= {200, 202}
    assert set(load.bad) == {401}

    again = json.loads(closeout(hooked, "webhook", "rotate-secret", REPOSITORY, "--json"))
    assert (again["generated"], again["version"]) == (False, told["version"])
