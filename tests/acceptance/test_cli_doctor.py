"""`closeout doctor` and `closeout drill` beside a real server and without one, as a person and a program read them."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.checks.registry import CHECKS
from closeout.cli import exits
from closeout.config.load import load
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.ledger.dynamodb.table import Table
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.cli_process import Result
from tests.acceptance.forked import run
from tests.acceptance.machine import SECRET, Machine
from tests.acceptance.stack_world import FIRST, OUTPUTS, STACK, StackWorld, stack_world
from tests.ledger_table import deploy

CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
automations:
  clean:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps: [{ uses: shell, with: { run: 'true' } }]
"""


class NoAws:
    """There is none."""

    url = "http://127.0.0.1:9"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Machine]:
    """A machine without a server, and a GitHub with a repository."""
    with FakeGitHub() as github:
        github.world.add_repository("acme/shop", id=501_001)
        github.world.add_organization("acme")
        made = Machine(tmp_path, NoAws(), github, CONFIG)  # type: ignore[arg-type]
        yield made
        if made.server is not None:
            made.kill()


def call(scene: Machine, command: str, *options: str, **more: str) -> Result:
    """Run the command."""
    arguments = [command, "--config", str(scene.config), "--db", str(scene.db), *options]
    environment = {**scene.environment, "COLUMNS": "80", **more}
    done = run(arguments, folder=scene.folder, environment=environment, stdin="", seconds=60)
    return Result(done.returncode, done.stdout, done.stderr)


def states(result: Result) -> dict[str, Any]:
    """Return the state of each check in `--json`."""
    return {one["id"]: one["state"] for one in result.json["checks"]}


def metrics(scene: Machine) -> dict[str, str]:
    """Return the samples of the server's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_before_the_first_start_the_doctor_says_what_it_cannot_know(scene: Machine) -> None:
    """Nothing is wrong, and the URL is unknown: exit code 4, no ledger, and a line for all that waits."""
    told = call(scene, "doctor")
    assert (told.code, told.err, scene.db.exists()) == (exits.UNAVAILABLE, "", False)
    assert "✓ the token can post commit statuses in 1 repository" in told.out
    assert "? closeout's public URL is not known yet [public-url-known]" in told.out
    assert "fix:    write `public-url` into the file, or start `closeout serve` once" in told.out
    assert "more checks could not run: first fix public-url-known." in told.out
    assert [line for line in told.out.splitlines() if len(line) > 80 and str(scene.folder) not in line] == []
    rows = call(scene, "doctor", "--json").json["checks"]
    assert [row["id"] for row in rows] == [check.id for check in CHECKS]
    assert {tuple(row) for row in rows} == {("id", "group", "ok", "state", "what", "breaks", "fix", "cause")}


def test_a_drill_is_the_servers_and_its_ping_shows_a_wrong_secret(scene: Machine) -> None:
    """The command has no secret itself. Once the secret is right, all is fine, for the doctor too."""
    scene.start()
    hook = scene.github.add_hook("acme/shop", url=scene.hook_url, secret="another", events=("pull_request",))
    nothing = {"CLOSEOUT_WEBHOOK_SECRET": "", "CLOSEOUT_GITHUB_TOKEN": ""}
    told = call(scene, "drill", **nothing)
    assert told.code == exits.FAILED, told.out
    text = " ".join(told.out.split())
    assert f"✗ acme/shop: webhook {hook.id} has another secret than closeout's, or none" in text
    assert (
        "[hook-secret] breaks: every delivery is refused fix: enter the secret of `secrets.webhook`" in text
    )
    assert "\n1 wrong, " in told.out
    assert metrics(scene)['closeout_check_failed{check="hook-secret"}'] == "1"
    hook.secret = SECRET
    again = call(scene, "drill", "--json", **nothing)
    assert (again.code, set(states(again).values())) == (exits.OK, {"fine", "skipped"}), again.out
    assert metrics(scene)['closeout_check_failed{check="hook-secret"}'] == "0"
    asked = call(scene, "doctor", "--json")
    assert (asked.code, states(asked)["hook-secret"], states(asked)["hook-ping"]) == (
        exits.OK,
        "fine",
        "skipped",
    )
    refused = call(scene, "doctor", **nothing)
    assert (refused.code, "[secret-webhook]" in refused.out) == (exits.FAILED, True)


def test_without_a_server_a_drill_is_made_by_the_command(scene: Machine) -> None:
    """It finds that nobody would answer."""
    scene.start()
    scene.github.add_hook("acme/shop", url=scene.hook_url, secret=SECRET, events=("pull_request",))
    scene.stop()
    told = call(scene, "drill", "--json")
    assert (told.code, states(told)["server"]) == (exits.FAILED, "wrong")
    assert [row["cause"] for row in told.json["checks"] if row["id"] == "hook-answers"] == ["server"]


def test_a_broken_file_is_one_finding(scene: Machine) -> None:
    """It is a result like others, not an error of the command."""
    scene.config.write_text("version: 2\n")
    told = call(scene, "doctor", "--json")
    assert told.code == exits.FAILED
    assert [row["id"] for row in told.json["checks"] if row["ok"] is False] == ["configuration"]
    assert json.dumps(told.json).count("closeout check") >= 1


def test_before_the_first_start_a_public_url_that_is_silent_waits_for_the_server(scene: Machine) -> None:
    """DNS and certificates come after that."""
    scene.config.write_text(CONFIG.replace("automations:", "public-url: http://127.0.0.1:9\nautomations:"))
    assert "fix:    start `closeout serve`; if this stays," in call(scene, "doctor").out


def test_a_repository_that_is_not_there_is_told_once(scene: Machine) -> None:
    """What cannot be asked of it names the finding, on one line for all checks of the group."""
    scene.config.write_text(CONFIG.replace("acme/shop", "acme/shup"))
    done = call(scene, "doctor")
    assert done.code == exits.FAILED
    assert "404 Not Found; it does not exist, or the token may not" in " ".join(done.out.split())
    assert done.out.count("no repository that is named in full can be read") == 1
    assert "fix:    first fix `github-repositories`" in done.out


# --- a stack ----------------------------------------------------------------------------------------------


def functions(world: StackWorld) -> None:
    """Make the function whose role the stack's runs have, and patrol's, which looks once a day."""
    role = "arn:aws:iam::123456789012:role/worker"
    client = world.client("lambda")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    world.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=trust)
    code = {"ZipFile": b"PK\x05\x06" + b"\0" * 18}
    patrol = {"deliveries": None, "state": 86_400.0, "a-later-key": 1}
    for name, variables in (("worker", {}), ("patrol", {"CLOSEOUT_PATROL": json.dumps(patrol)})):
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="h.h",
            Code=code,
            Environment={"Variables": variables},
            Publish=True,
        )
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")


def test_a_stack_is_drilled_with_its_own_token_and_its_workers_role(tmp_path: Path, cloud: FakeAws) -> None:
    """The webhook leads to it, the ping is answered, and IAM is asked about the worker and not about the caller."""
    with stack_world(tmp_path, cloud) as world:
        automations = load(world.config, builtin()).automations
        deploy(world.client("dynamodb"), OUTPUTS["TableName"], automations, world.github.url)
        functions(world)
        marks = DynamoMarks(Table(world.client("dynamodb"), OUTPUTS["TableName"]))
        marks.save_mark("report", "lists", {"ended_at": time.time() - 2 * 3_600.0, "errors": []})
        hook = world.github.add_hook(
            "acme/shop", url=world.hook_url, secret=FIRST, events=("pull_request", "delete")
        )
        world.github.world.add_repository("other/thing")
        world.github.add_hook("other/thing", url=world.hook_url, secret=FIRST, events=("push",))

        def drilled() -> tuple[int, dict[str, Any]]:
            done = world.closeout("drill", "--stack", STACK, "--json", check=False)
            return done.returncode, {one["id"]: one for one in json.loads(done.stdout)["checks"]}

        code, found = drilled()
        assert (
            code,
            {one["what"] for one in found.values() if one["ok"] is not True and one["state"] != "skipped"},
        ) == (
            exits.OK,
            set(),
        )
        assert {"hook-secret", "hook-ping", "aws-account", "aws-permissions", "paused", "clock"} <= set(found)
        assert not {"disk", "ledger", "server", "secret-webhook"} & set(found)
        assert [found[name]["state"] for name in ("patrol-lists", "patrol-logs")] == ["fine", "skipped"]
        hook.secret = "another"
        cloud.application.simulation.denied.add("cloudformation:DeleteStack")
        world.closeout("pause", "--stack", STACK)
        marks.save_mark(
            "report", "lists", {"ended_at": time.time() - 3 * 86_400.0, "errors": ["acme/shop: 500"]}
        )
        code, found = drilled()
        assert (code, {name for name, one in found.items() if one["ok"] is False}) == (
            exits.FAILED,
            {"hook-secret", "aws-permissions", "paused", "patrol-lists", "patrol-errors"},
        )
        assert "role/worker lacks cloudformation:DeleteStack" in found["aws-permissions"]["what"]
        world.config.write_text(world.config.read_text().replace("branches: [develop]", "branches: [main]"))
        other = world.closeout("drill", "--stack", STACK, "--config", str(world.config), check=False)
        assert (other.returncode, "is not what is deployed" in other.stderr) == (exits.USAGE, True)
        refused = world.closeout("drill", "--stack", STACK, "--db", "x.db", check=False)
        assert (refused.returncode, "either --db" in refused.stderr) == (exits.USAGE, True)
