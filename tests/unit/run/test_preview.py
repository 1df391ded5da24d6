"""What `closeout plan` shows, made by the functions that a run plans with."""

from __future__ import annotations

import json

from closeout.run import preview
from tests.unit.run.world import Scene, World


def test_an_empty_plan_says_what_is_not_there() -> None:
    """And where, so that a wrong name can be told from what is gone."""
    scene = Scene(world=World(resources=set()))
    (row,) = preview.plan(scene.deps(), [scene.automation], scene.event, scene.payload)
    assert [(step["changes"], step["absent"]) for step in row["steps"]] == [
        ([], "there is no thing preview-17 in 123456789012/eu-central-1: nothing to delete")
    ]


def test_a_function_is_shown_as_the_one_call_that_it_is() -> None:
    """What it does cannot be seen without calling it, and an empty plan would look like nothing."""
    called: list[str] = []
    scene = Scene(functions={"m:f": lambda _run: called.append("m:f")}).with_automation(
        function="m:f", steps=()
    )
    ((row,),) = (
        one["steps"] for one in preview.plan(scene.deps(), [scene.automation], scene.event, scene.payload)
    )
    assert [(change["verb"], change["resource"]) for change in row["changes"]] == [("call", "m:f")]
    assert "cannot be seen before it runs" in json.dumps(row)
    assert called == []
