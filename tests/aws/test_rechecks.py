"""Rechecks on the deployed stack: the worker schedules them, patrol's function looks, and the worker deletes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from closeout.core.ids import short_digest
from closeout.ledger.dynamodb.starts import start_by_name
from closeout.ports import RunFilter
from closeout.run.recheck import BY
from closeout.stack.table import durable_name
from closeout.wiring.stack import open_stack
from closeout.wiring.stack_rechecks import RecheckStarts
from tests.aws.world import World

REPOSITORY = "acme/late"


@pytest.fixture(scope="module")
def late(world: World) -> World:
    """The stack, with a repository whose previews are deployed late."""
    world.add_repository(REPOSITORY)
    return world


def executions(world: World) -> dict[str, dict[str, Any]]:
    """Return the executions of patrol's function by their names."""
    function, _, alias = world.outputs["PatrolAlias"].rpartition(":")
    listed = world.cloud.client("lambda").list_durable_executions_by_function(
        FunctionName=function, Qualifier=alias
    )["DurableExecutions"]
    return {one["DurableExecutionName"]: one for one in listed}


def torn_down(world: World, number: int) -> str:
    """Open and close a pull request that has no preview yet; return its run once that has ended."""
    world.open(number, repository=REPOSITORY)
    world.close(number, repository=REPOSITORY)
    (run,) = world.views.runs(wanted=RunFilter(repository=REPOSITORY, number=number))
    assert world.ended(run.id)["verdict"] == "success"
    return run.id


def recheck_now(world: World, number: int, minute: int) -> None:
    """Look at once, as the guard asks for a deploy that is too late; wait until that has ended."""

    def now() -> float:
        return minute * 60.0

    invoke = partial(start_by_name, world.cloud.client("lambda"), now)
    RecheckStarts(invoke, world.outputs["PatrolAlias"], now, print).recheck_now(REPOSITORY, number)

    name = _named(world, f"hurry-{short_digest(f'{REPOSITORY}#{number}')}-{minute}")
    ended = world.until(
        lambda: executions(world).get(name), lambda found: found is not None and found["Status"] != "RUNNING"
    )
    assert ended["Status"] == "SUCCEEDED", ended


def test_what_was_deployed_late_is_found_and_deleted(late: World) -> None:
    """By a further attempt of the typed deletes alone; where nothing is there, nothing is started."""
    run = torn_down(late, 81)
    scheduled = late.until(lambda: executions(late), lambda found: _named(late, f"recheck-{run}-1") in found)
    assert scheduled[_named(late, f"recheck-{run}-1")]["Status"] == "RUNNING"
    recheck_now(late, 81, 1)
    assert late.run(run)["attempt"] == 1
    late.make_stack("preview-late-81")
    recheck_now(late, 81, 2)
    ended = late.ended(f"{run}-2")
    assert (ended["verdict"], ended["requested_by"]) == ("success", BY)
    assert ended["summary"].startswith("deployed after the pull request was closed")
    assert [step["id"] for step in ended["steps"]] == ["stack"]
    assert not late.has_stack("preview-late-81")
    assert [note["what"] for note in late.notes(81, REPOSITORY)] == ["begin", "end"], "its script ran once"
    late.until(lambda: executions(late), lambda found: _named(late, f"recheck-{run}-2") in found)


def test_a_pull_request_that_is_open_again_keeps_its_preview(late: World) -> None:
    """Its next closing has rechecks of its own."""
    run = torn_down(late, 82)
    late.make_stack("preview-late-82")
    late.github.world.change_pull(REPOSITORY, 82, "reopened")
    recheck_now(late, 82, 3)
    assert (late.run(run)["attempt"], late.has_stack("preview-late-82")) == (1, True)


def test_an_orphan_that_somebody_confirmed_is_deleted(late: World) -> None:
    """By a run that patrol's function starts, of the typed deletes alone."""
    run = torn_down(late, 83)
    late.make_stack("preview-late-83")
    stack = open_stack(late.cdk.stack)
    assert stack.clean(f"{REPOSITORY}#83 late", "ann@host") == f"{run}-2"
    assert late.ended(f"{run}-2")["requested_by"] == "ann@host"
    assert not late.has_stack("preview-late-83")
    assert [note["what"] for note in late.notes(83, REPOSITORY)] == ["begin", "end"]


def _named(world: World, name: str) -> str:
    return durable_name(world.outputs["PatrolAlias"], name)
