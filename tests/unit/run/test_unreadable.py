"""Runs whose payload or definition became unreadable: nothing is done, and no status stays pending."""

from __future__ import annotations

import pytest

from closeout.engine.durable import Suspended
from closeout.ports import Ending, RunFunction
from closeout.run.finalize import make_finalizer
from closeout.run.workflow import make_run_function
from closeout.testing.durable import play
from tests.mortal import Killed
from tests.unit.run.world import Scene, World, unreachable

WHY = "the body of its delivery is damaged"


def interrupted(scene: Scene, at: str) -> Scene:
    """Play a run until the operation `at`; from then on its payload cannot be read."""
    scene.durable.kill = lambda name, when: (name, when) == (at, "before")
    for _ in range(10):
        try:
            make_run_function(scene.deps())(scene.durable.replay(), scene.execution())
        except Killed:
            break
        except Suspended:
            scene.clock.advance(60.0)
    scene.durable.kill = lambda _name, _when: False
    scene.unreadable = WHY
    return scene


def resumed(scene: Scene, function: RunFunction | None = None) -> Ending:
    """Play the rest of it."""
    return play(function or make_run_function(scene.deps()), scene.durable, scene.execution())


@pytest.mark.parametrize("by", ["the run itself", "the handler of failed executions"])
def test_a_pending_status_ends_as_failure_on_its_commit(by: str) -> None:
    """The record of `pending` names the commit, since the payload no longer can."""
    scene = interrupted(Scene(), "delete-1/plan")
    assert [state for state, _ in scene.world.statuses][-1:] == ["pending"], scene.durable.calls
    own = by == "the run itself"
    ending = resumed(scene, None if own else make_finalizer(scene.deps(), "FAILED"))
    assert ending == Ending("failure", f"the run cannot be read from the ledger: {WHY}")
    assert scene.world.statuses[-1] == ("failure", "the run cannot be read from the ledger")
    assert len(set(scene.world.places)) == 1
    assert not [entry for entry in scene.world.log if entry.startswith("delete")]


def test_a_run_without_a_status_posts_none() -> None:
    """No status is pending, and it is unknown whether its `if` is true."""
    scene = interrupted(Scene(), "match")
    assert resumed(scene).verdict == "failure"
    assert scene.world.statuses == []


def test_a_posted_final_status_is_not_contradicted() -> None:
    """The run had deleted and reported it; the process died before the ending was stored."""
    scene = Scene()
    assert scene.play().verdict == "success"
    said = list(scene.world.statuses)
    scene.unreadable = WHY
    assert resumed(scene).verdict == "success"
    assert scene.world.statuses == said


@pytest.mark.parametrize("by", ["the run itself", "the handler of failed executions"])
def test_a_cancel_does_not_keep_the_status_pending(by: str) -> None:
    """The first attempt to post receives it, and uses it up."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.durable.cancel()
    own = by == "the run itself"
    ending = resumed(scene, None if own else make_finalizer(scene.deps(), "FAILED"))
    assert ending == Ending("failure", f"the run cannot be read from the ledger: {WHY}")
    assert scene.world.statuses[-1] == ("failure", "the run cannot be read from the ledger")


def test_a_cancelled_run_without_a_status_posts_none() -> None:
    """Nothing could stay pending."""
    scene = interrupted(Scene(), "match")
    scene.durable.cancel()
    assert resumed(scene) == Ending("failure", f"the run cannot be read from the ledger: {WHY}")
    assert scene.world.statuses == []


def test_a_status_that_github_refuses_is_reported_in_the_run() -> None:
    """After an hour of trying."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.world.faults["status failure"] = [unreachable() for _ in range(20)]
    assert resumed(scene).summary.endswith("(status not delivered: no answer)")


def test_the_commit_of_a_status_may_be_unknown() -> None:
    """`pending` may have arrived without an answer: the run says that it may stay."""
    world = World(faults={"status pending": [unreachable() for _ in range(3)]})
    scene = interrupted(Scene(world=world), "delete-1/plan")
    assert resumed(scene).summary.endswith("; its status on GitHub may stay pending")
