"""`protect.tags` over a whole run: read once at the plan, and again only for a newer rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from closeout.core.errors import GuardRefused, ServiceError
from closeout.core.plan import Change
from closeout.ports import Clients
from closeout.run import planning
from tests.unit.run.test_run import deletes
from tests.unit.run.world import AUTOMATION, DELETE, Scene, World

KEEP = {"keep": "*"}


def read_tags(changes: Sequence[Change], clients: Clients) -> Sequence[Change]:
    """The bucket of the preview is tagged, where it is still there."""
    world: World = clients.aws("x")
    world.call("read tags")
    return [
        dataclasses.replace(change, tags={"keep": "yes"} if change.resource.endswith("bucket") else {})
        for change in changes
    ]


TAGGED = dataclasses.replace(DELETE, read_tags=read_tags)


def tagged_scene(**changes: object) -> Scene:
    """A preview whose bucket is tagged."""
    return Scene(actions={"test/delete": TAGGED}).with_automation(**changes)


@pytest.mark.parametrize("mode", ["apply", "dry-run"])
def test_one_tagged_resource_refuses_the_whole_plan(mode: str) -> None:
    """In a dry run as well."""
    scene = tagged_scene(protect_tags=KEEP, mode=mode)
    ending = scene.play()
    assert "preview-17/bucket is protected (tag keep=yes)" in ending.summary
    assert deletes(scene.world) == []


def test_a_plan_without_a_run_is_refused_as_well() -> None:
    """`closeout plan` reads the same tags."""
    scene = tagged_scene(protect_tags=KEEP)
    row = planning.preview(scene.deps(), scene.automation, "pull_request", scene.payload)
    assert row["steps"][0]["error"]["code"] == "guard-refused"


def test_without_a_rule_no_tag_is_read() -> None:
    """It would need permissions that nobody granted."""
    scene = tagged_scene()
    assert scene.play().verdict == "success"
    assert "read tags" not in scene.world.log


def test_tags_are_read_once_for_a_plan() -> None:
    """A large stack has hundreds of resources, and a teardown many calls."""
    scene = tagged_scene(protect_tags={"other": "*"})
    assert scene.play().verdict == "success"
    assert scene.world.log.count("read tags") == 1


def test_a_rule_that_came_while_the_run_waited_reads_the_tags_again() -> None:
    """The plan was recorded without them."""
    scene = tagged_scene()

    def edited(call: str) -> None:
        if call == "status pending" and "plan" in scene.world.log:
            scene.current = dataclasses.replace(AUTOMATION, protect_tags=KEEP)

    scene.world.before = edited
    ending = scene.play()
    assert "is protected (tag keep=yes)" in ending.summary
    assert scene.world.log.count("read tags") == 1
    assert deletes(scene.world) == []


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ServiceError("slow", service="s3", operation="x", reason="SlowDown", transient=True), "success"),
        (GuardRefused("the tags of x cannot be read"), "failure"),
    ],
    ids=["throttled", "refused"],
)
def test_tags_that_cannot_be_read_delay_or_refuse(error: Exception, verdict: str) -> None:
    """They are never read as none."""
    scene = tagged_scene(protect_tags={"other": "*"})
    scene.world.faults["read tags"] = [error]
    assert scene.play().verdict == verdict
    assert bool(deletes(scene.world)) is (verdict == "success")
