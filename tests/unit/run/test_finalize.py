"""Runs whose execution Lambda gave up: no status stays pending as long as it can still be posted."""

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
def test_a_final_status_is_retried_all_night(status: int, unreadable: str | None) -> None:
    """GitHub was down, or the token had expired and was replaced in the morning."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.unreadable = unreadable
    scene.world.faults["status failure"] = [refused(status) for _ in range(60)]
    began = scene.clock.now()
    ending = play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution())
    assert scene.clock.now() - began > 8 * HOUR
    assert scene.world.statuses[-1][0] == "failure"
    assert "not delivered" not in ending.summary


def test_a_status_that_github_permanently_refuses_ends_the_run_and_is_logged() -> None:
    """The repository is gone, or the commit has a thousand statuses."""
    scene = interrupted(Scene(), "delete-1/plan")
    scene.unreadable = None
    scene.world.faults["status failure"] = [refused(404)]
    ending = play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution())
    assert ending.summary.endswith("(status not delivered: GitHub said 404)")


def test_a_run_without_a_readable_token_fails_instead_of_waiting() -> None:
    """A waiting run notifies nobody; a failed one is counted, and says what is wrong."""
    scene = Scene()
    scene.world.faults["status success"] = [refused(401)]
    assert scene.play().summary.endswith("(status not delivered: GitHub said 401)")


def test_an_unreadable_run_without_a_status_leaves_none_pending() -> None:
    """The summary does not claim that one may be pending."""
    scene = Scene(unreadable=WHY)
    for ending in (
        scene.play(),
        play(make_finalizer(scene.deps(), "FAILED"), scene.durable, scene.execution()),
    ):
        assert (ending.verdict, ending.summary) == ("failure", f"{UNREADABLE}: {WHY}")
    assert scene.world.log == []


def test_a_cancel_before_the_first_status_does_not_count_as_a_posted_one() -> None:
    """The record of `pending` then ends with the cancel, before anything was sent."""
    scene = Scene(unreadable=WHY)
    scene.durable.cancel()
    assert "may stay pending" not in scene.play().summary
    assert scene.world.log == []
