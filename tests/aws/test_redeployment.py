"""A stack that is deployed again: while a run waits, while receiver and worker differ, and after a failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.aws.test_runs import close
from tests.aws.test_stack_commands import STACK, closeout
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


def test_a_deployment_that_failed_is_tried_again(world: World) -> None:
    """The update publishes a version, fails and is rolled back; the version goes with it, so the same code is deployed then.

    Lambda publishes code and configuration only once. A version that stayed would make each further try fail.
    """
    before = live_version(world)
    variables = json.loads(world.cdk.context["environment"])
    world.cdk.context["environment"] = json.dumps({**variables, "SECOND": "try"})
    published = update_that_fails(world)
    assert (live_version(world), published in versions(world)) == (before, False)

    waits, _ = waiting(world, 73)
    assert f":{before}/durable-execution/" in str(world.ledger.attempts.in_lambda(f"{waits}-1").arn)

    world.cdk.deploy()
    assert live_version(world) not in (before, published)
    assert before in versions(world), "the run that waits is pinned to it"
    world.cloud.skip(21 * 60)
    assert world.ended(waits)["verdict"] == "success"


def update_that_fails(world: World) -> str:
    """Update the stack to what is here with a resource that fails; return the version that was published before it did.

    A chore that does not exist is such a resource: its function answers FAILED.
    """
    cloudformation = world.cloud.client("cloudformation")
    template = world.cdk.template()
    resources = template["Resources"]
    (version,) = [name for name in resources if name.startswith("FunctionsWorkerCurrentVersion")]
    (chore,) = [name for name in resources if name.startswith("ChoresPublished")]
    resources["Fails"] = {**resources[chore], "DependsOn": [version]}
    resources["Fails"]["Properties"] = {**resources[chore]["Properties"], "Chore": "fail"}
    bucket = f"cdk-hnb659fds-assets-{world.cloud.account}-{world.cloud.region}"
    world.cloud.client("s3").put_object(Bucket=bucket, Key="fails.json", Body=json.dumps(template).encode())
    cloudformation.update_stack(
        StackName=STACK,
        TemplateURL=f"https://s3.{world.cloud.region}.amazonaws.com/{bucket}/fails.json",
        Capabilities=["CAPABILITY_IAM"],
    )
    ended = world.until(
        lambda: cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"],
        lambda status: not str(status).endswith("_IN_PROGRESS"),
    )
    assert ended == "UPDATE_ROLLBACK_COMPLETE"
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=STACK)
    events = [event for page in pages for event in page["StackEvents"]]
    reasons = [event.get("ResourceStatusReason") for event in events if "FAILED" in event["ResourceStatus"]]
    assert any("there is no chore 'fail'" in str(reason) for reason in reasons), reasons
    # CREATE_COMPLETE on AWS; ministack calls each resource of an update so.
    wanted = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    made = next(e for e in events if e["LogicalResourceId"] == version and e["ResourceStatus"] in wanted)
    return str(made["PhysicalResourceId"]).rpartition(":")[2]


def versions(world: World) -> list[str]:
    """The versions of the worker that there are."""
    function = world.outputs["WorkerAlias"].rpartition(":")[0]
    pages = (
        world.cloud.client("lambda")
        .get_paginator("list_versions_by_function")
        .paginate(FunctionName=function)
    )
    return [str(one["Version"]) for page in pages for one in page["Versions"]]


class Redeployed(NamedTuple):
    """The stack with a dry run deployed over it; the run waited meanwhile. The versions are the worker's."""

    waits: str
    sha: str
    old: str
    new: str


@pytest.fixture(scope="module")
def dry(world: World) -> Iterator[Redeployed]:
    """Yield the stack, redeployed once for all tests that need it: each deployment takes half a minute."""
    waits, sha = waiting(world, 71)
    old = live_version(world)
    world.deploy_again(DRY)
    new = live_version(world)
    assert old != new
    yield Redeployed(waits, sha, old, new)
    world.deploy_again(CONFIG)


def test_a_new_receiver_and_the_old_worker_agree_on_a_run(world: World, dry: Redeployed) -> None:
    """The alias moves last, so for a moment the new receiver starts runs on the old version: they do what it accepted."""
    point(world, dry.old)
    try:
        world.make_stack("preview-redeployed-72")
        world.open(72, repository=REPOSITORY)
        run = close(world, REPOSITORY, 72)
        ended = world.ended(run)
        assert f":{dry.old}/durable-execution/" in str(world.ledger.attempts.in_lambda(f"{run}-1").arn)
    finally:
        point(world, dry.new)
    assert (ended["verdict"], ended["summary"]) == ("success", "dry run: would delete 2")
    assert world.has_stack("preview-redeployed-72")


def test_a_dry_run_that_is_deployed_stops_a_run_that_waits(world: World, dry: Redeployed) -> None:
    """Its own version says `apply`, and so does the file here, which a rerun does not go by."""
    world.cloud.skip(21 * 60)
    ended: dict[str, Any] = world.ended(dry.waits)
    said = "the automation is in dry-run mode now; nothing more was done"
    assert (ended["verdict"], said in ended["summary"]) == ("failure", True), ended
    assert world.has_stack("preview-redeployed-71")
    last = world.statuses(dry.sha, repository=REPOSITORY)[-1]
    assert (last["state"], said in last["description"]) == ("failure", True)

    (world.folder / "closeout.yaml").write_text(CONFIG, "utf-8")
    told = json.loads(closeout(world, "runs", "rerun", dry.waits, "--yes", "--json"))
    assert told["outcome"] == f"{dry.waits}-2"
    again = world.until(lambda: world.run(dry.waits), lambda seen: seen["attempt"] == 2 and seen["verdict"])
    assert (again["verdict"], again["summary"]) == ("success", "dry run: would delete 2")
    assert world.has_stack("preview-redeployed-71")


def point(world: World, version: str) -> None:
    """Point the alias at a version, as CloudFormation does at the end of an update."""
    function, _, alias = world.outputs["WorkerAlias"].rpartition(":")
    world.cloud.client("lambda").update_alias(FunctionName=function, Name=alias, FunctionVersion=version)
