"""Runs whose execution Lambda has given up: no status stays pending as long as somebody may still bring it."""

from __future__ import annotations

import pytest

from closeout.core.errors import ServiceError
from closeout.run.finalize import UNREADABLE, make_finalizer
from closeout.testing.durable import play
from tests.unit.run.test_unreadable import WHY, interrupted
from tests.unit.run.world import Scene

HOUR = 3600.0


def refused(status: int) -> ServiceError:
    """GitHub's answer."""
    return ServiceError(
        f"GitHub said {status}",
        service="github",
        operation="POST",
        reason=str(status),
        transient=status >= 500,
        http_status=status,
    )


@pytest.mark.parametrize("status", [502, 401, 403])
@pytest.mark.parametrize("unreadable", [None, WHY])
def test_a_final_status_is_tried_through_the_night(status: int, unreadable: str | None) -> None:
    """GitHub was down, or the token had expired and somebody stored another one in the morning."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.unreadable = unreadable
    scene.world.faults["status failure"] = [refused(status) for _ in range(60)]
    began = scene.clock.now()
    ending = play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution())
    assert scene.clock.now() - began > 8 * HOUR
    assert scene.world.statuses[-1][0] == "failure"
    assert "not delivered" not in ending.summary


def test_what_github_will_never_take_ends_the_run_and_is_told() -> None:
    """The repository is gone, or the commit has a thousand statuses."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.unreadable = None
    scene.world.faults["status failure"] = [refused(404)]
    ending = play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution())
    assert ending.summary.endswith("(status not delivered: GitHub said 404)")


def test_a_run_of_its_own_does_not_wait_for_a_token() -> None:
    """Nobody is told of a run that waits; one that failed is counted, and says what is wrong."""
    scene = Scene()
    scene.world.faults["status success"] = [refused(401)]
    assert scene.play().summary.endswith("(status not delivered: GitHub said 401)")


def test_an_unreadable_run_that_never_posted_a_status_leaves_none_behind() -> None:
    """Nothing is pending on GitHub, and the summary does not say that something may be."""
    scene = Scene(unreadable=WHY)
    for ending in (
        scene.play(),
        play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution()),
    ):
        assert (ending.verdict, ending.summary) == ("failure", f"{UNREADABLE}: {WHY}")
    assert scene.world.log == []


def test_a_cancel_that_arrives_first_is_not_taken_for_a_posted_status() -> None:
    """The record of `pending` then ends with the cancel, before anything was sent."""
    scene = Scene(unreadable=WHY)
    scene.durable.cancel()
    assert "may stay pending" not in scene.play().summary
    assert scene.world.log == []
