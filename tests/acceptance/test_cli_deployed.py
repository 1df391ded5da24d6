"""What a rerun or a replay on a stack goes by: what is deployed, shown before the question, and never a file of here."""

from __future__ import annotations

import json
import zlib

import pytest

from closeout.core.automation import Automation
from closeout.stack import table as layout
from tests.acceptance.stack_world import CONFIG
from tests.acceptance.test_cli_stack import STACK, Scene, scene

__all__ = ["scene"]

CLEANUP = "  preview-cleanup:\n"
DRY = CONFIG.replace(CLEANUP, CLEANUP + "    mode: dry-run\n")
ADDED = (
    CONFIG
    + """\
  goodbye:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - { uses: python, with: { function: 'nowhere.at:all' }, destructive: false }
"""
)


def finished(scene: Scene) -> tuple[str, str]:
    """A run that has finished, and the delivery that it is of."""
    execution = scene.accept()
    scene.bench.drive(execution)
    run = scene.ask("runs", "show", execution.removesuffix("-1"))
    return str(run["id"]), str(run["delivery"])


def definition(scene: Scene, execution: str) -> Automation:
    """The automation that an execution was stored with."""
    record = scene.bench.store.read(execution)
    assert record is not None
    return Automation.from_canonical(scene.bench.store.load(record).execution.definition)


def commands(run_id: str, delivery: str) -> dict[str, tuple[str, ...]]:
    return {
        "rerun": ("runs", "rerun", run_id, "--stack", STACK),
        "replay": ("deliveries", "replay", delivery, "--stack", STACK),
    }


@pytest.mark.parametrize("command", ["rerun", "replay"])
def test_the_next_attempt_is_what_is_deployed(scene: Scene, command: str) -> None:
    """The file here says `apply`, the stack is in dry-run mode by now: the stack counts."""
    run_id, delivery = finished(scene)
    scene.deploys(DRY)
    scene.world.closeout(*commands(run_id, delivery)[command], "--yes")
    assert definition(scene, f"{run_id}-1").mode == "apply"
    assert definition(scene, f"{run_id}-2").mode == "dry-run"
    assert [start[1] for start in scene.starts.started] == [f"{run_id}-2"]


@pytest.mark.parametrize("command", ["rerun", "replay"])
def test_the_plan_that_is_shown_is_that_of_what_is_deployed(scene: Scene, command: str) -> None:
    """With when that was; no file is there, and the secrets that one would name are not either."""
    run_id, delivery = finished(scene)
    scene.world.preview()
    scene.deploys(DRY)
    scene.world.config.unlink()
    scene.world.environment.pop("CLOSEOUT_GITHUB_TOKEN", None)
    done = scene.world.closeout(*commands(run_id, delivery)[command], check=False)
    assert done.returncode == 3, "nobody is there to say yes"
    assert ", as deployed 20" in done.stderr
    assert "preview-cleanup (dry run)" in done.stderr
    assert "delete stack preview-17" in done.stderr
    assert scene.starts.started == []


def test_a_replay_matches_what_is_deployed_and_plans_python_without_it(scene: Scene) -> None:
    """An automation that is only there starts; its function is not looked for on this machine."""
    run_id, delivery = finished(scene)
    scene.deploys(ADDED)
    told = scene.world.closeout("deliveries", "replay", delivery, "--stack", STACK, check=False)
    assert "call nowhere.at:all" in told.stderr
    assert "no module" not in told.stderr
    answer = scene.ask("deliveries", "replay", delivery, "--yes")
    started = answer["outcome"].split(", ")
    assert f"{run_id}-2" in started
    assert sorted(definition(scene, one).name for one in started) == ["goodbye", "preview-cleanup"]


def test_what_github_cannot_be_asked_is_said_and_not_taken_for_no_match(scene: Scene) -> None:
    """These credentials may not read the stack's token: whether the paths match is not known here."""
    run_id, _ = finished(scene)
    scene.deploys(CONFIG.replace("branches: [develop]", "branches: [develop], paths: ['src/**']"))
    done = scene.world.closeout("runs", "rerun", run_id, "--stack", STACK, check=False)
    assert "The plan cannot be shown here: " in done.stderr
    assert "does not match" not in done.stderr


@pytest.mark.parametrize("command", ["rerun", "replay"])
def test_a_file_that_is_named_must_be_what_is_deployed(scene: Scene, command: str) -> None:
    """Not taken in silence, and not passed over either; one that only a variable names is none that was asked for."""
    run_id, delivery = finished(scene)
    named = (*commands(run_id, delivery)[command], "--yes", "--config", str(scene.world.config))
    scene.deploys(ADDED.replace(CLEANUP, CLEANUP + "    max-changes: 7\n"))
    done = scene.world.closeout(*named, check=False)
    assert done.returncode == 2
    assert "is not what is deployed in ledger-stack (different: goodbye, preview-cleanup)" in done.stderr
    assert scene.starts.started == []
    scene.world.environment["CLOSEOUT_CONFIG"] = str(scene.world.config)
    scene.world.closeout(*commands(run_id, delivery)[command], "--yes")
    assert len(scene.starts.started) >= 1
    scene.bench.drive(f"{run_id}-2")
    scene.deploys(CONFIG)
    scene.world.closeout(*named)
    assert definition(scene, f"{run_id}-3").max_changes == 50


@pytest.mark.parametrize("command", ["rerun", "replay"])
@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["asks", "yes"])
def test_a_stack_that_does_not_say_what_it_runs_is_to_be_deployed_again(
    scene: Scene, command: str, yes: tuple[str, ...]
) -> None:
    """An earlier closeout deployed it; a file of here would only be a guess."""
    run_id, delivery = finished(scene)
    scene.bench.dynamo.delete_item(TableName=scene.bench.name, Key=layout.DEPLOYED_KEY)
    done = scene.world.closeout(*commands(run_id, delivery)[command], *yes, check=False)
    assert done.returncode == 4
    assert "Deploy it again with this version" in " ".join(done.stderr.split())
    assert scene.starts.started == []


def test_a_later_version_is_not_passed_on_in_part(scene: Scene) -> None:
    """What this one does not know would be missing in the run that it makes."""
    run_id, _ = finished(scene)
    found = scene.bench.table.get(layout.DEPLOYED_KEY)
    assert found is not None
    value = json.loads(zlib.decompress(layout.from_item(found)["data"]))
    value["automations"][0]["moon"] = "full"
    packed = zlib.compress(json.dumps(value).encode())
    item = layout.deployed_item(packed, "later", 1.0)
    scene.bench.dynamo.put_item(TableName=scene.bench.name, Item=item)
    done = scene.world.closeout("runs", "rerun", run_id, "--stack", STACK, "--yes", check=False)
    assert done.returncode == 4
    assert "A later closeout deployed the stack" in " ".join(done.stderr.split())
    assert scene.starts.started == []


def test_a_form_that_the_worker_does_not_know_is_not_written(scene: Scene) -> None:
    """A newer command would put its own keys into the automation: its run would wait for its definition, and fail."""
    run_id, _ = finished(scene)
    found = scene.bench.table.get(layout.DEPLOYED_KEY)
    assert found is not None
    value = json.loads(zlib.decompress(layout.from_item(found)["data"]))
    del value["automations"][0]["public_logs"]
    packed = zlib.compress(json.dumps(value).encode())
    item = layout.deployed_item(packed, "earlier", 1.0)
    scene.bench.dynamo.put_item(TableName=scene.bench.name, Item=item)
    done = scene.world.closeout("runs", "rerun", run_id, "--stack", STACK, "--yes", check=False)
    assert done.returncode == 4
    assert "An earlier closeout deployed the stack" in " ".join(done.stderr.split())
    assert scene.starts.started == []
