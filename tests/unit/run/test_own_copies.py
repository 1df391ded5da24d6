"""User code that changes its input changes nothing for later steps."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from closeout.actions.general import python
from tests.unit.run.test_run import deletes, function_scene
from tests.unit.run.world import DELETE, Scene, pull_payload, step


def wreck(value: Any) -> None:
    """Change everything that can be reached from a value."""
    if isinstance(value, dict):
        for item in list(value.values()):
            wreck(item)
        for key in list(value):
            if not isinstance(value[key], (dict, list)):
                value[key] = 18 if isinstance(value[key], int) else "other"
        value["added"] = "by the step"
    elif isinstance(value, list):
        for item in value:
            wreck(item)
        value.append("added")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each call of the function saw first; then it wrecks it, and fails once."""
    calls: list[Any] = []

    def spoil(context: Any, **arguments: Any) -> None:
        calls.append((context.event["repository"]["name"], repr(arguments)))
        wreck(context.event)
        wreck(arguments)
        if len(calls) == 1:
            raise ValueError("once more")

    module = types.ModuleType("spoiling")
    module.spoil = spoil  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spoiling", module)
    return calls


def test_a_step_that_changes_the_event_does_not_choose_what_the_next_one_deletes(seen: list[Any]) -> None:
    """`if`, names and the live check of later steps come from the payload as it was delivered."""
    name = "${{ event.repository.name }}-${{ event.pull_request.number }}"
    scene = Scene(actions={"test/delete": DELETE, "python": python.ACTION}).with_automation(
        steps=(
            step(
                uses="python",
                id="spoil",
                retry_backoff=0.0,
                inputs={"function": "spoiling:spoil", "args": {"texts": ["${{ event.repository.name }}"]}},
            ),
            step(name, id="delete-1", condition="event.repository.name == 'shop'"),
        )
    )
    scene.world.resources = {"shop-17", "other-18"}
    ending = scene.play()
    assert seen == [("shop", "{'texts': ['shop']}")] * 2, "the second try starts from the original as well"
    assert deletes(scene.world) == ["delete shop-17"], ending
    assert scene.world.resources == {"other-18"}


def test_a_function_that_changes_the_event_is_checked_against_the_original() -> None:
    """An `@on` function sees its own changes; the live check and the status do not."""

    def spoil(run: Any) -> None:
        run.event["pull_request"]["number"] = 18
        run.event["pull_request"]["id"] = 1800
        run.event["pull_request"]["head"]["sha"] = "b" * 40
        assert run.event["pull_request"]["number"] == 18
        run.record("it", lambda: None)

    scene = function_scene(spoil)
    assert scene.play().verdict == "success"
    assert {commit for _, commit, _ in scene.world.places} == {pull_payload()["pull_request"]["head"]["sha"]}
