"""A repository that was renamed after the event, and the configuration after it: a further attempt still matches."""

from __future__ import annotations

import pytest

from tests.unit.run.world import Scene, pull_payload, unreachable

BY_ID = f"/repositories/{pull_payload()['repository']['id']}"


def renamed(attempt: int, now: str = "acme/renamed") -> Scene:
    """A run whose payload says acme/shop, under a file that lists another name; GitHub says how it is called now."""
    scene = Scene(attempt=attempt).with_automation(repositories=("acme/renamed",))
    scene.world.answers[BY_ID] = {"full_name": now}
    return scene


def test_a_further_attempt_matches_by_the_current_name() -> None:
    """What it deletes is still named by the payload."""
    scene = renamed(2)
    assert scene.play().verdict == "success"
    assert scene.world.resources == set()


@pytest.mark.parametrize(("attempt", "now"), [(1, "acme/renamed"), (2, "acme/other")])
def test_a_repository_that_is_not_listed_is_skipped(attempt: int, now: str) -> None:
    """A first attempt was matched when it was accepted, so nothing is asked for it."""
    scene = renamed(attempt, now)
    ending = scene.play()
    assert (ending.verdict, scene.world.resources != set()) == ("skipped", True)
    assert "matches none of acme/renamed" in ending.summary
    assert (f"GET {BY_ID}" in scene.world.log) is (attempt == 2)


def test_while_github_does_not_answer_the_run_waits() -> None:
    """No answer is neither a match nor a mismatch."""
    scene = renamed(2)
    scene.world.faults[f"GET {BY_ID}"] = [unreachable(), unreachable()]
    assert scene.play().verdict == "success"
    assert scene.world.resources == set()
