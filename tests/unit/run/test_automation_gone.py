"""A run whose automation was taken out of the file, or renamed, while it waited."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.run.test_run import deletes, function_scene
from tests.unit.run.world import AUTOMATION, Scene, step

START = 1_700_000_000.0


def gone_from(scene: Scene, call: str) -> Scene:
    """Take the automation out of the file at the first outside call of this name."""

    def before(name: str) -> None:
        if name == call:
            scene.gone = lambda: True

    scene.world.before = before
    return scene


@pytest.mark.parametrize("call", ["status pending", "account", "plan"], ids=["begin", "before", "planned"])
def test_a_run_whose_automation_is_gone_changes_nothing_and_ends_in_an_error(call: str) -> None:
    """It waits until its own time limit, says so in log and status, and the commit's status ends as `error`."""
    scene = gone_from(Scene(), call)
    ending = scene.play()
    assert (ending.verdict, ending.summary) == (
        "cancelled",
        "automation preview-cleanup is gone; nothing was deleted",
    )
    assert deletes(scene.world) == []
    assert START + AUTOMATION.timeout <= scene.clock.now() < START + AUTOMATION.timeout + 60
    waits = "automation preview-cleanup is gone from the configuration; nothing more is changed unless it comes back"
    assert scene.world.lines.count(f"waiting: {waits}") == 1
    assert scene.world.statuses[-2:] == [("pending", waits), ("error", ending.summary)]


def test_a_run_whose_automation_returns_continues() -> None:
    """A file that is repaired within the run's time costs only the wait."""
    scene = Scene()
    scene.gone = lambda: scene.clock.now() < START + 600
    assert scene.play().verdict == "success"
    assert deletes(scene.world) == ["delete preview-17"]
    assert scene.clock.now() >= START + 600


def test_an_automation_that_returns_stricter_applies() -> None:
    """Renamed and renamed back, with a dry run in between."""
    scene = Scene()
    scene.gone = lambda: scene.clock.now() < START + 600
    scene.current = dataclasses.replace(AUTOMATION, mode="dry-run")
    ending = scene.play()
    assert deletes(scene.world) == []
    assert "dry-run mode now" in ending.summary


@pytest.mark.parametrize("call", ["status pending", "plan"], ids=["at the plan", "before the call"])
def test_the_files_protection_holds_for_a_run_whose_automation_is_gone(call: str) -> None:
    """`protect` that came in the same edit refuses at once: it belongs to the file, not to the automation."""
    scene = Scene()

    def before(name: str) -> None:
        if name == call:
            scene.gone = lambda: True
            scene.file_protects = ("preview-*",)

    scene.world.before = before
    ending = scene.play()
    assert deletes(scene.world) == []
    assert "preview-17 is protected (`protect` pattern 'preview-*')" in ending.summary


def test_a_run_whose_automation_is_gone_says_what_it_had_deleted() -> None:
    """The first step is done, the second waits; the status names what is already deleted."""
    scene = Scene()
    scene.world.resources = {"preview-17", "other-17"}
    scene.with_automation(steps=(step(), step("other-${{ event.number }}", id="delete-2")))
    gone_from(scene, "verify")
    ending = scene.play()
    assert scene.world.resources == {"other-17"}
    assert scene.world.statuses[-1] == (
        "error",
        "automation preview-cleanup is gone; already gone or going: preview-17",
    )
    assert ending.verdict == "cancelled"


def test_a_step_that_is_not_destructive_waits_as_well() -> None:
    """A script that the file no longer has is not run either."""
    scene = Scene().with_automation(steps=(step(destructive=False),))
    gone_from(scene, "plan")
    assert scene.play().verdict == "cancelled"
    assert deletes(scene.world) == []


@pytest.mark.parametrize("destructive", [True, False])
def test_a_function_whose_automation_is_gone_is_not_called(destructive: bool) -> None:
    """Its name is no longer among the functions, which does not end the run any sooner."""
    calls: list[str] = []
    scene = function_scene(lambda run: run.record("it", lambda: calls.append("it")))
    scene.with_automation(destructive_function=destructive)
    scene.gone = lambda: True
    ending = scene.play()
    assert calls == []
    assert (ending.verdict, ending.summary[:36]) == ("cancelled", "automation preview-cleanup is gone; ")
    assert scene.world.statuses[-1][0] == "error"
