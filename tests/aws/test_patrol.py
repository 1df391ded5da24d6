"""Patrol on the deployed stack: what its webhook did not tell is found, started once, and carried out by the worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.patrol.coverage import coverage
from closeout.ports import RunFilter, RunView
from closeout.stack.patrol import BUSY, EVERYTHING
from closeout.testing import deliveries
from tests.aws.test_stack_commands import closeout
from tests.aws.world import World

REPOSITORY = "acme/patrolled"


@pytest.fixture(scope="module")
def watched(world: World) -> Iterator[World]:
    """Yield the stack, with each repository that its configuration names, after patrol has begun with all of them."""
    loaded = load(world.folder / "closeout.yaml", builtin(), modules=False)
    github = world.github.world
    there = {one.full_name for one in github.repositories.values()}
    lacking = set(coverage(loaded.automations).repositories) - there - {REPOSITORY}
    added = [github.add_repository(name).id for name in sorted(lacking)]
    world.add_repository(REPOSITORY)
    world.open(70, repository=REPOSITORY)  # its delivery tells patrol that the hook is this stack's
    world.github.sender.settle()
    assert patrol(world, scheduled(world))["errors"] == []
    time.sleep(1.1)  # what is closed in the second of the beginning was closed before
    yield world
    for one in added:
        del github.repositories[one]  # other tests make them, each with an id of its own


def scheduled(world: World) -> dict[str, Any]:
    """Return the event with which the schedule invokes patrol, as it is deployed."""
    events = world.cloud.client("events")
    rules = events.list_rules()["Rules"]
    (rule,) = (one for one in rules if one.get("ScheduleExpression") and "Patrol" in one["Name"])
    assert rule["ScheduleExpression"] == "rate(1 day)"
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"] == world.outputs["PatrolAlias"]
    event: dict[str, Any] = json.loads(target["Input"])
    return event


def patrol(world: World, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke patrol and return its report."""
    found = ended(world, invoke(world, event))
    assert found["Status"] == "SUCCEEDED", found
    report: dict[str, Any] = json.loads(found["Result"])
    return report


def invoke(world: World, event: Mapping[str, Any]) -> str:
    """Invoke patrol's function; return the ARN of its execution."""
    started = world.cloud.client("lambda").invoke(
        FunctionName=world.outputs["PatrolAlias"], InvocationType="Event", Payload=json.dumps(event).encode()
    )
    return str(started["DurableExecutionArn"])


def ended(world: World, arn: str) -> dict[str, Any]:
    """Wait for an execution's end, and return what Lambda says of it."""
    client = world.cloud.client("lambda")
    found: dict[str, Any] = world.until(
        lambda: client.get_durable_execution(DurableExecutionArn=arn), lambda one: one["Status"] != "RUNNING"
    )
    return found


def close_unheard(world: World, number: int) -> None:
    """Close a pull request that has a preview, while nobody answers at the hook's address."""
    world.open(number, repository=REPOSITORY)
    world.make_stack(f"preview-patrolled-{number}")
    world.github.sender.settle()
    (hook,) = world.github.world.repository(REPOSITORY).hooks.values()
    url, hook.url = hook.url, "http://127.0.0.1:1/webhook"
    world.github.world.change_pull(REPOSITORY, number, "closed")
    world.github.sender.settle()
    hook.url = url


@pytest.fixture(autouse=True)
def without_faults(watched: World) -> Iterator[None]:
    """Leave no fault to the next test."""
    yield
    watched.github.faults.clear()


def runs_of(world: World, number: int) -> list[RunView]:
    """Return the runs about a pull request."""
    return world.views.runs(wanted=RunFilter(repository=REPOSITORY, number=number))


def torn_down(world: World, number: int) -> str | None:
    """Return by which way a pull request's only run was heard of, once it has deleted the preview."""
    (run,) = runs_of(world, number)
    assert world.ended(run.id)["verdict"] == "success"
    assert not world.has_stack(f"preview-patrolled-{number}")
    return run.heard


def test_what_the_webhook_did_not_tell_is_torn_down_once(watched: World) -> None:
    """The hook is unheard while the pull request closes; patrol starts the run, and a second patrol nothing."""
    close_unheard(watched, 71)
    assert runs_of(watched, 71) == []
    report = patrol(watched, EVERYTHING)
    assert report["errors"] == []
    assert (report["deliveries"]["recovered"], report["closings"]) == (1, {"seen": 1, "started": 0})
    assert torn_down(watched, 71) == "delivery-log"
    again = patrol(watched, EVERYTHING)
    assert (again["errors"], again["deliveries"]["recovered"], again["closings"]["started"]) == ([], 0, 0)
    assert len(runs_of(watched, 71)) == 1


def test_a_patrol_that_could_not_ask_is_made_up_for_by_the_next(watched: World) -> None:
    """By the command, with its exit codes: 4 while GitHub throttles, 1 when it started something, 0 when all is known."""
    close_unheard(watched, 72)
    (hook,) = watched.github.world.repository(REPOSITORY).hooks.values()
    faults = watched.github.faults
    faults.add("status", path=rf".*/hooks/{hook.id}/deliveries", status=404, times=0)
    faults.add("rate-limit", path=f"/repos/{REPOSITORY}/pulls", times=0)
    told = json.loads(closeout(watched, "patrol", "--json", code=4))
    assert any("/pulls" in error for error in told["errors"])
    assert runs_of(watched, 72) == []
    faults.clear()
    faults.add("status", path=rf".*/hooks/{hook.id}/deliveries", status=404, times=0)
    told = json.loads(closeout(watched, "patrol", "--json", code=4))
    assert told["closings"]["started"] == 1
    assert torn_down(watched, 72) == "closed-list"
    faults.clear()
    closeout(watched, "patrol", "--once", code=1)  # the log that it can read again has the delivery
    closeout(watched, "patrol", code=0)
    assert len(runs_of(watched, 72)) == 1


def test_a_person_can_have_a_delivery_replayed_that_patrol_left_alone(watched: World) -> None:
    """Patrol's function reads it from GitHub and stores it; the run starts when the person has confirmed its plan."""
    repository = watched.github.world.repository(REPOSITORY)
    (hook,) = repository.hooks.values()
    url, events = hook.url, hook.events
    hook.url, hook.events = "http://127.0.0.1:1/webhook", (*events, "push")
    guid = watched.github.emit(repository, "push", deliveries.push(repository=REPOSITORY))
    watched.github.sender.settle()
    hook.url, hook.events = url, events
    assert patrol(watched, EVERYTHING)["deliveries"]["ignored"] == 1
    (row,) = json.loads(closeout(watched, "deliveries", "list", "--ignored", "--json"))
    assert (row["guid"], row["event"], row["repository"], row["hook"]) == (
        guid, "push", REPOSITORY, str(hook.id)
    )  # fmt: skip
    assert guid in closeout(watched, "deliveries", "list", "--ignored")
    watched.github.faults.add("rate-limit", path=rf".*/hooks/{hook.id}/deliveries/.*", times=0)
    closeout(watched, "deliveries", "replay", guid, "--yes", code=4)
    watched.github.faults.clear()
    closeout(watched, "deliveries", "replay", guid, code=3)
    assert [
        one for one in watched.views.runs(wanted=RunFilter(repository=REPOSITORY)) if one.event == "push"
    ] == []
    told = json.loads(closeout(watched, "deliveries", "replay", guid, "--yes", "--json"))
    assert watched.ended(str(told["outcome"]).removesuffix("-1"))["verdict"] == "success"
    (run,) = (
        one for one in watched.views.runs(wanted=RunFilter(repository=REPOSITORY)) if one.event == "push"
    )
    assert (run.heard, run.automation) == ("delivery-log", "patrolled-push")
    assert json.loads(closeout(watched, "deliveries", "list", "--ignored", "--json")) == []


def test_patrols_that_meet_do_not_work_together(watched: World) -> None:
    """The second one does nothing, and says so; the command waits and asks again."""
    hold = watched.github.faults.add("hold", path=f"/repos/{REPOSITORY}/pulls")
    first = invoke(watched, EVERYTHING)
    watched.until(lambda: hold.hits, lambda hits: hits == 1)
    assert patrol(watched, scheduled(watched)) == BUSY
    watched.github.faults.clear()
    assert json.loads(ended(watched, first)["Result"])["errors"] == []
    assert patrol(watched, scheduled(watched))["errors"] == []


@pytest.mark.parametrize(
    "event",
    [{}, {"clean": {}}, {"recover": {"guid": 1}}, {"patrol": {}, "clean": {}}, {"patrol": "everything"}],
)
def test_any_other_event_is_an_error(watched: World, event: dict[str, Any]) -> None:
    """Nothing is done that nobody understood."""
    found = ended(watched, invoke(watched, event))
    assert found["Status"] == "FAILED"
    assert "says nothing that can be done" in json.dumps(found.get("Error"))


def test_patrols_role_may_list_and_not_delete(watched: World) -> None:
    """Whoever got hold of its session cannot delete a preview, lift the pause or start another function."""
    keys = watched.credentials_of("patrol")

    def client(service: str) -> Any:
        return watched.cloud.client(service, **keys)

    watched.make_stack("preview-patrolled-73")
    assert client("cloudformation").list_stacks()["StackSummaries"]
    table = watched.outputs["TableName"]
    item = {"pk": {"S": "settings"}, "sk": {"S": "pause"}}
    refused: list[Callable[[], Any]] = [
        lambda: client("cloudformation").delete_stack(StackName="preview-patrolled-73"),
        lambda: client("dynamodb").put_item(TableName=table, Item=item),
        lambda: client("dynamodb").delete_item(TableName=table, Key=item),
        lambda: client("lambda").invoke(FunctionName=watched.function("Ended")),
        lambda: client("secretsmanager").put_secret_value(
            SecretId=watched.outputs["GitHubTokenSecretName"], SecretString="x"
        ),
    ]
    for call in refused:
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            call()
    assert watched.has_stack("preview-patrolled-73")
