"""A stack that is deployed again while a run waits: the run stays on its version and hears of the new file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.aws.test_runs import close
from tests.aws.test_stack_commands import closeout
from tests.aws.world import World

REPOSITORY = "acme/redeployed"
CONFIG = (Path(__file__).parent / "closeout.yaml").read_text("utf-8")
DRY = CONFIG.replace("  redeployed:\n", "  redeployed:\n    mode: dry-run\n")


def live_version(world: World) -> str:
    """The version of the worker that new runs begin on."""
    function, _, alias = world.outputs["WorkerAlias"].rpartition(":")
    answer = world.cloud.client("lambda").get_alias(FunctionName=function, Name=alias)
    return str(answer["FunctionVersion"])


def waiting(world: World, number: int) -> tuple[str, str]:
    """A run that waits in its grace, with its preview; and the commit that it tells."""
    world.make_stack(f"preview-redeployed-{number}")
    sha = world.open(number, repository=REPOSITORY)
    run = close(world, REPOSITORY, number)
    world.until(lambda: world.run(run), lambda seen: seen["state"] == "waiting")
    return run, sha


def test_a_dry_run_that_is_deployed_stops_a_run_that_waits(world: World) -> None:
    """Its own version says `apply`, and so does the file here, which a rerun does not go by."""
    run, sha = waiting(world, 71)
    before = live_version(world)
    world.deploy_again(DRY)
    assert live_version(world) != before
    world.cloud.skip(21 * 60)
    ended: dict[str, Any] = world.ended(run)
    said = "the automation is in dry-run mode now; nothing more was done"
    assert (ended["verdict"], said in ended["summary"]) == ("failure", True), ended
    assert world.has_stack("preview-redeployed-71")
    last = world.statuses(sha, repository=REPOSITORY)[-1]
    assert (last["state"], said in last["description"]) == ("failure", True)

    (world.folder / "closeout.yaml").write_text(CONFIG, "utf-8")
    told = json.loads(closeout(world, "runs", "rerun", run, "--yes", "--json"))
    assert told["outcome"] == f"{run}-2"
    again = world.until(lambda: world.run(run), lambda seen: seen["attempt"] == 2 and seen["verdict"])
    assert (again["verdict"], again["summary"]) == ("success", "dry run: would delete 2")
    assert world.has_stack("preview-redeployed-71")
