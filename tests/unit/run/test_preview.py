"""What `closeout plan` shows, made by the functions that plan a run."""

from __future__ import annotations

import json

from closeout.run import planning
from tests.unit.run.world import Scene, World, step


def test_an_empty_plan_says_what_does_not_exist() -> None:
    """And where, so that a wrong name differs from a deleted resource."""
    scene = Scene(world=World(resources=set()))
    row = planning.preview(scene.deps(), scene.automation, scene.event, scene.payload)
    assert [(step["changes"], step["absent"]) for step in row["steps"]] == [
        ([], "there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete")
    ]


def test_a_function_is_shown_as_one_call() -> None:
    """Its effect cannot be known without calling it, and an empty plan would look like none."""
    called: list[str] = []
    scene = Scene(functions={"m:f": lambda _run: called.append("m:f")}).with_automation(
        function="m:f", steps=()
    )
    (row,) = planning.preview(scene.deps(), scene.automation, scene.event, scene.payload)["steps"]
    assert [(change["verb"], change["resource"]) for change in row["changes"]] == [("call", "m:f")]
    assert "cannot be seen before it runs" in json.dumps(row)
    assert called == []


def test_the_limit_of_changes_is_for_all_steps_together() -> None:
    """As in a run: the second step is shown as refused, with the error's code."""
    scene = Scene().with_automation(steps=(step(), step(id="delete-2")), max_changes=3)
    row = planning.preview(scene.deps(), scene.automation, scene.event, scene.payload)
    first, second = row["steps"]
    assert [change["resource"] for change in first["changes"]] == ["preview-17", "preview-17/bucket"]
    assert "error" not in first
    assert (second["changes"], second["error"]["code"]) == ([], "guard-refused")
    assert "max-changes allows 3" in second["error"]["message"]


def test_a_step_whose_condition_is_false_is_shown_as_skipped() -> None:
    """It plans nothing."""
    scene = Scene().with_automation(steps=(step(condition="event.number == 18"), step(id="delete-2")))
    row = planning.preview(scene.deps(), scene.automation, scene.event, scene.payload)
    assert [(one["id"], one.get("reason"), len(one["changes"])) for one in row["steps"]] == [
        ("delete-1", "its `if` is false", 0),
        ("delete-2", None, 2),
    ]
