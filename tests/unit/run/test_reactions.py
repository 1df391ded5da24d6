"""Steps that react to the steps before them, with GitHub Actions' meaning."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.general.python import ACTION as PYTHON
from closeout.actions.general.shell import ACTION as SHELL
from closeout.config.typed_deletes import typed
from closeout.core.automation import Step
from closeout.core.errors import ActionFailed
from closeout.run import planning
from tests.mortal import Killed
from tests.unit.run.world import DELETE, Scene, World, step

FREE: dict[str, Any] = {"destructive": False, "account": None, "region": None, "retry_attempts": 1}
ACTIONS = {"test/delete": DELETE, "shell": SHELL, "python": PYTHON}


def script(run: str, id: str = "script", **more: Any) -> Step:  # noqa: A002 - the word of the file
    inputs = {"run": run, "env": more.pop("env", {})}
    return step(id=id, uses="shell", inputs=inputs, **{**FREE, **more})


def scene(*steps: Step, **more: Any) -> Scene:
    return Scene(actions=ACTIONS, world=more.pop("world", World())).with_automation(steps=steps, **more)


def ends(played: Scene) -> dict[str, str]:
    """How each step ended, by id."""
    names = [name for name in played.durable.operations if name.endswith("/end")]
    return {name.removesuffix("/end"): str(played.durable.result(name)["state"]) for name in names}


def broken() -> World:
    """A world in which the deletion of the preview fails."""
    return World(faults={"delete preview-17": [ActionFailed("no")] * 9})


@pytest.mark.parametrize("on_failure", ["continue", "stop"])
@pytest.mark.parametrize("fails", [True, False])
def test_status_functions_decide_alone(on_failure: str, fails: bool) -> None:
    """Even if `on-failure: stop` skips the steps without them."""
    played = scene(
        step(),
        script("true", "plain"),
        script("true", "on-failure", condition="failure()"),
        script("true", "on-success", condition="success()"),
        script("true", "always", condition="always() && steps['delete-1'].outcome in ['failure', 'success']"),
        world=broken() if fails else World(),
        on_failure=on_failure,
    )
    ending = played.play()
    after = {True: "success", False: "skipped"}
    assert ends(played) == {
        "delete-1": "failure" if fails else "success",
        "plain": after[not (fails and on_failure == "stop")],
        "on-failure": after[fails],
        "on-success": after[not fails],
        "always": "success",
    }
    assert ending.verdict == ("failure" if fails else "success")


def test_a_script_passes_values_to_later_steps() -> None:
    """As environment variables, which are not commands; the page's address too."""
    played = scene(
        script(
            'echo "rows=7" >> "$GITHUB_OUTPUT"; printf "log<<E\\na\\nb\\nE\\n" >> "$CLOSEOUT_OUTPUT"', "first"
        ),
        script(
            'test "$ROWS-$WHERE" = "7-http://localhost/runs/rrrrrrrrrrrrrrrrrrrrrrrrrr" && test "$LOG" = "a\nb"',
            "second",
            condition="steps.first.outputs.rows == '7'",
            env={
                "ROWS": "${{ steps.first.outputs.rows }}",
                "LOG": "${{ steps.first.outputs.log }}",
                "WHERE": "${{ run.url }}",
            },
        ),
    )
    assert played.play().verdict == "success", played.world.lines
    assert ends(played) == {"first": "success", "second": "success"}


def test_a_python_step_passes_its_result_on() -> None:
    """The entries of a dict by name, anything else as `result`."""
    played = scene(
        step(id="a", uses="python", inputs={"function": f"{__name__}:counted"}, **FREE),
        step(id="b", uses="python", inputs={"function": f"{__name__}:named"}, **FREE),
        script("true", "c", condition="steps.a.outputs.rows == 7 && steps.b.outputs.result == 'x'"),
    )
    played.play()
    assert ends(played) == {"a": "success", "b": "success", "c": "success"}


def counted(_context: object) -> dict[str, int]:
    """Return two entries."""
    return {"rows": 7, "other": 1}


def named(_context: object) -> str:
    """Return no dict."""
    return "x"


def tells(_context: object) -> dict[str, Any]:
    """Return an entry that holds a secret, and one that does not."""
    return {"token": [{"of": "hunter2" * 2}], "rows": 7}


def test_a_malformed_output_fails_its_script() -> None:
    """A later step never sees half of it."""
    played = scene(
        script('echo "no output" >> "$GITHUB_OUTPUT"'), script("true", "after", condition="failure()")
    )
    assert played.play().summary.endswith("line 1 of its outputs is not NAME=value")
    assert ends(played) == {"script": "failure", "after": "success"}


def test_a_missing_output_is_a_failure_and_not_empty() -> None:
    """`has` tests for it; a failed step has no outputs."""
    played = scene(
        script('echo "a=1" >> "$GITHUB_OUTPUT"; false', "first"),
        script("true", "asks", condition="steps.first.outputs.a == '1'"),
        script("true", "careful", condition="!has(steps.first.outputs.a)"),
    )
    played.play()
    assert ends(played) == {"first": "failure", "asks": "failure", "careful": "success"}


def test_an_output_with_a_secret_reaches_no_step() -> None:
    """It is stored as `***`, and `rm -r $NAME` would expand that to every file."""
    played = scene(
        script('printf "token=pre-%s%s\\nrows=7\\n" hunter2 hunter2 >> "$GITHUB_OUTPUT"', "first"),
        script("true", "second", env={"T": "${{ steps.first.outputs.token }}"}),
        script("true", "third", env={"T": "${{ steps.first.outputs.rows }}"}),
        step(id="call", uses="python", inputs={"function": f"{__name__}:tells"}, **FREE),
        script("true", "last", condition="!has(steps.call.outputs.token) && steps.call.outputs.rows == 7"),
    )
    played.play()
    assert ends(played) == {
        "first": "success",
        "second": "failure",
        "third": "success",
        "call": "success",
        "last": "success",
    }
    assert "hunter2hunter2" not in str(played.durable.operations)
    assert "hunter2hunter2" not in str(played.world.lines)
    assert "the output `token` holds a secret" in str(played.world.lines)


def test_a_dry_run_names_what_depends_on_unknown_outputs() -> None:
    """Nothing ran, so there are no outputs; how a step ended is known."""
    played = scene(
        script('echo "a=1" >> "$GITHUB_OUTPUT"', "first"),
        script("true", "second", env={"A": "${{ steps.first.outputs.a }}"}),
        script("true", "third", condition="steps.first.outcome == 'success'"),
        script("true", "fourth", condition="steps.second.outputs.b == '1'"),
        mode="dry-run",
    )
    assert played.play().verdict == "success"
    result = played.durable.result
    assert result("second/end")["summary"] == "dry run: depends on what first would give"
    assert result("third/end")["summary"] == "dry run: would run 1"
    assert result("fourth/end")["summary"] == "dry run: depends on what second would give"


def test_a_preview_names_it_too() -> None:
    """`closeout plan` shows the rest."""
    shown = scene(
        script('echo "a=1" >> "$GITHUB_OUTPUT"', "first"),
        script("true", "second", condition="steps.first.outputs.a == '1'"),
        script("true", "third", condition="failure()"),
        script("true", "fourth", env={"URL": "${{ run.url }}", "HOW": "${{ steps.second.outcome }}"}),
    )
    row = planning.preview(shown.deps(), shown.automation, shown.event, shown.payload)
    assert [(one["id"], one.get("reason"), len(one["changes"])) for one in row["steps"]] == [
        ("first", None, 1),
        ("second", "depends on what first gives in the run", 0),
        ("third", "its `if` is false", 0),
        ("fourth", None, 1),
    ]
    assert row["steps"][3]["changes"][0]["reason"] == 'with URL="(the run\'s page)", HOW="skipped"'


def test_a_killed_run_continues_with_the_same_outcomes() -> None:
    """Wherever it died: outcomes and outputs come from its record."""
    calls = 1
    while True:
        left = [calls]

        def die(_call: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        world = broken()
        world.before = die
        played = scene(
            script('echo "a=$CLOSEOUT_RUN_ID" >> "$GITHUB_OUTPUT"', "first"),
            step(),
            script("true", "last", condition=f"failure() && steps.first.outputs.a == '{'r' * 26}'"),
            world=world,
        )
        ending = played.play()
        assert (ending.verdict, ends(played)["last"]) == ("failure", "success"), calls
        if left[0] > 0:
            break
        calls += 1
    assert calls > 10


def test_a_delete_that_depends_on_another_step_is_not_rechecked() -> None:
    """A further attempt carries out only the typed deletes."""
    asking = scene(
        script("true", "first"),
        step(id="a", condition="steps.first.outcome == 'success'"),
        step(id="b", condition="success() && event.number == 17"),
        step(id="c", condition="!failure()"),
        step(id="x", condition="always()"),
    )
    assert [one.id for one in typed(asking.automation, ACTIONS)] == ["x"]
