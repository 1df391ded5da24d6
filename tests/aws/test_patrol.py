"""Patrol on the deployed stack: what its webhook did not tell is found, started once, and carried out by the worker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.patrol.coverage import coverage
from tests.aws.world import World

REPOSITORY = "acme/patrolled"


@pytest.fixture(scope="module")
def watched(world: World) -> World:
    """Return the stack, with each repository that its configuration names, after patrol has begun with all of them."""
    loaded = load(world.folder / "closeout.yaml", builtin(), modules=False)
    there = {one.full_name for one in world.github.world.repositories.values()}
    for name in set(coverage(loaded.automations).repositories) - there:
        world.github.world.add_repository(name)
    assert patrol(world, scheduled(world))["errors"] == []
    return world


def scheduled(world: World) -> dict[str, Any]:
    """Return the event with which the schedule invokes patrol, as it is deployed."""
    events = world.cloud.client("events")
    (rule,) = (one for one in events.list_rules()["Rules"] if one.get("ScheduleExpression"))
    assert rule["ScheduleExpression"] == "rate(1 day)"
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == world.outputs["PatrolAlias"]
    event: dict[str, Any] = json.loads(target["Input"])
    return event


def patrol(world: World, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke patrol and wait for its report."""
    client = world.cloud.client("lambda")
    arn = client.invoke(
        FunctionName=world.outputs["PatrolAlias"], InvocationType="Event", Payload=json.dumps(event).encode()
    )["DurableExecutionArn"]
    ended = world.until(
        lambda: client.get_durable_execution(DurableExecutionArn=arn), lambda one: one["Status"] != "RUNNING"
    )
    assert ended["Status"] == "SUCCEEDED", ended
    report: dict[str, Any] = json.loads(ended["Result"])
    return report


def test_what_the_webhook_did_not_tell_is_torn_down_once(watched: World) -> None:
    """The hook is unheard while the pull request closes; patrol starts the run, and a second patrol nothing."""
    watched.open(71, repository=REPOSITORY)
    watched.make_stack("preview-patrolled-71")
    watched.github.world.change_pull(REPOSITORY, 71, "closed")
    report = patrol(watched, {"patrol": {"everything": True}})
    assert report["errors"] == []
    assert report["closings"] == {"seen": 1, "started": 1}
    (run,) = [one for one in watched.views.runs(repository=REPOSITORY) if one.number == 71]
    assert watched.ended(run.id)["verdict"] == "success"
    assert not watched.has_stack("preview-patrolled-71")
    again = patrol(watched, {"patrol": {"everything": True}})
    assert (again["errors"], again["closings"]["started"]) == ([], 0)
    assert len([one for one in watched.views.runs(repository=REPOSITORY) if one.number == 71]) == 1
