"""Guarded calls whose effect cannot be verified later: their begin is stored between the guards and the call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.spec import Action, Inputs, Work
from closeout.core.plan import Change
from closeout.core.runs import Outcome
from closeout.engine.durable import LATE
from closeout.ports import Json, Operation, PullRequest
from tests.unit.run.world import DELETE, Scene, World


def _apply(change: Change, inputs: Inputs, work: Work) -> Json:
    world: World = work.clients.aws("x")

    def script() -> Json:
        world.call("script")
        world.resources.clear()

    def on_interrupted() -> Json:
        world.call("cut off")
        world.resources.clear()

    work.change("script", script, on_interrupted)
    return {"summary": "done"}


SCRIPT: Action = replace(DELETE, apply=_apply)


def scene() -> Scene:
    """A step whose call leaves no trace."""
    return Scene(actions={"test/delete": SCRIPT})


def begun(played: Scene) -> list[str]:
    """Return a list that is filled with the names of operations as their begins are stored."""
    names: list[str] = []
    save = played.durable.save

    def logged(operation: Operation, *outcomes: Outcome, **meaning: Any) -> None:
        if operation.state == "waiting" and "marked" in (operation.result or ""):
            names.append(operation.name)
        save(operation, *outcomes, **meaning)

    played.durable.save = logged  # type: ignore[method-assign]
    return names


def test_the_begin_is_stored_after_the_guards() -> None:
    """While a guard holds the call no begin is stored, so a process that dies meanwhile leaves no doubt."""
    played = scene()
    names = begun(played)
    asked = iter(["ops", "ops", None])
    played.paused = lambda: next(asked, None)
    assert played.play().verdict == "success"
    assert len(names) == 1
    assert played.world.log.count("script") == 1
    assert "cut off" not in played.world.log


def test_a_call_whose_end_was_not_stored_counts_as_interrupted() -> None:
    """The guards are asked first in the next process too."""
    played = scene()
    names = begun(played)
    lives = iter((True,))
    played.durable.kill = lambda at, when: at in names and when == "after" and next(lives, False)
    assert played.play().verdict == "success"
    log = [call for call in played.world.log if call in ("read pull request", "script", "cut off")]
    assert log == ["read pull request", "script", "read pull request", "cut off"]


def test_guards_are_asked_again_if_storing_the_begin_took_long() -> None:
    """The ledger refused writes for a while, and meanwhile the pull request was reopened."""
    played = scene()
    save = played.durable.save

    def slow(operation: Operation, *outcomes: Outcome, **meaning: Any) -> None:
        if "marked" in (operation.result or "") and operation.wake is None:
            played.clock.advance(LATE + 1)
            played.world.pull = PullRequest(1700, 17, "open", 1)
        save(operation, *outcomes, **meaning)

    played.durable.save = slow  # type: ignore[method-assign]
    assert played.play().verdict == "cancelled"
    assert "script" not in played.world.log
    assert "cut off" not in played.world.log


@pytest.mark.parametrize("happens", ["a cancel", "the end of the run's time"])
def test_a_reopening_during_a_long_listing_prevents_the_call(happens: str) -> None:
    """Listing a prefix of a hundred thousand versions takes minutes."""
    played = Scene()

    def look() -> None:
        if happens == "a cancel":
            played.durable.cancel()
        else:
            played.clock.advance(played.automation.timeout + 1)

    def apply(change: Change, inputs: Inputs, work: Work) -> Json:
        work.change("delete", played.world.resources.clear, look=look)
        return {"summary": "done"}

    played.actions = {"test/delete": replace(DELETE, apply=apply)}
    before = set(played.world.resources)
    assert played.play().verdict == ("cancelled" if happens == "a cancel" else "failure")
    assert played.world.resources == before


def test_a_long_read_comes_before_the_guards() -> None:
    """On each attempt; not while closeout is paused, and a pause during it prevents the call."""
    asked = iter(["ops", None, "ops", None, None])

    def apply(change: Change, inputs: Inputs, work: Work) -> Json:
        world: World = work.clients.aws("x")
        work.change("delete", world.resources.clear, look=lambda: world.call("list"))
        return {"summary": "done"}

    played = Scene(actions={"test/delete": replace(DELETE, apply=apply)})
    played.paused = lambda: next(asked, None)
    assert played.play().verdict == "success"
    log = [call for call in played.world.log if call in ("list", "account", "read pull request")]
    assert log[-4:] == ["list", "list", "account", "read pull request"]


def test_a_long_read_is_not_repeated_while_the_automation_is_gone() -> None:
    """A call that waits for the file would otherwise repeat it every half minute, for hours."""

    def apply(change: Change, inputs: Inputs, work: Work) -> Json:
        world: World = work.clients.aws("x")
        work.change("delete", world.resources.clear, look=lambda: world.call("list"))
        return {"summary": "done"}

    played = Scene(actions={"test/delete": replace(DELETE, apply=apply)})
    began = played.clock.now()
    played.gone = lambda: played.clock.now() < began + 600
    assert played.play().verdict == "success"
    assert played.clock.now() >= began + 600
    assert played.world.log.count("list") == 2, "before it was held, and once it goes on"
