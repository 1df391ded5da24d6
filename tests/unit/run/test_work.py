"""What an action learns about the step that it works for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.spec import Inputs, Limit, Work
from closeout.core.plan import Change
from closeout.ports import Json
from tests.unit.run.world import DELETE, Scene, step


def told(scene: Scene) -> Mapping[str, Any]:
    """Play a run whose action notes what it is told."""
    seen: dict[str, Any] = {}

    def apply(change: Change, inputs: Inputs, work: Work) -> Json:
        def call() -> Json:
            seen.update(
                automation=work.automation,
                step=work.step,
                attempt=work.attempt,
                run_id=work.run_id,
                execution=work.execution,
                retry=(work.retry.attempts, work.retry.backoff.first),
                remaining=work.limit().seconds,
                now=work.now(),
                event=work.event,
            )
            return {}

        work.change("call", call)
        return DELETE.apply(change, inputs, work)

    scene.actions = {"test/delete": replace(DELETE, apply=apply)}
    assert scene.play().verdict == "success"
    return seen


def test_an_action_knows_its_run_and_step() -> None:
    """A comment's marker, an idempotency key and a script's variables depend on them."""
    scene = Scene().with_automation(steps=(step(retry_attempts=7, retry_backoff=3.0, timeout=50.0),))
    scene.attempt = 2
    seen = told(scene)
    assert (seen["automation"], seen["step"], seen["attempt"]) == ("preview-cleanup", "delete-1", 2)
    assert (seen["run_id"], seen["execution"]) == ("r" * 26, "r" * 26 + "-2")
    assert seen["retry"] == (7, 3.0)
    assert seen["remaining"] == 50.0
    assert seen["event"] == scene.payload


def test_the_remaining_time_is_the_runs_if_that_is_less() -> None:
    """Or the engine's, whose invocation has only so much left."""
    assert told(Scene().with_automation(steps=(step(timeout=600.0),), timeout=40.0))["remaining"] == 40.0
    assert told(Scene(longest_call=Limit(30.0, "of the invocation")))["remaining"] == 30.0


@pytest.mark.parametrize(("operation", "more"), [("record", ()), ("wait_until", (1.0,))])
def test_nothing_is_read_after_the_runs_time_limit(operation: str, more: tuple[float, ...]) -> None:
    """An action may read for hours between its calls."""
    scene = Scene()
    read: list[str] = []

    def apply(change: Change, inputs: Inputs, work: Work) -> Json:
        scene.clock.advance(scene.automation.timeout + 1)
        getattr(work, operation)("read", lambda: read.append("read"), *more)
        return {"summary": "done"}

    scene.actions = {"test/delete": replace(DELETE, apply=apply)}
    assert scene.play().summary == "delete-1: the run's time is up; nothing more was done"
    assert read == []
