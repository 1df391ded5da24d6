"""How a run ends if little of it could happen: cancelled before it began, a missing function, nothing left."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.errors import DeadlinePassed, InputError, StepFailed
from closeout.core.plan import Change
from closeout.run import visibility
from closeout.run.step import Outcome
from closeout.run.workflow import _what_is_gone
from tests.unit.run.world import Scene, World, step


def delete(resource: str, verb: str = "delete") -> Change:
    """Return a planned change."""
    return Change(verb=verb, resource=resource, reason="test")


def failed(*planned: Change, left: tuple[str, ...] = (), own_code: bool = False) -> Outcome:
    """Return a step that has failed after it had begun to change things."""
    rest = [{"resource": name, "reason": "still there"} for name in left]
    return Outcome("failure", "failed", left=rest, changed=True, planned=planned, own_code=own_code)


def test_a_run_that_is_cancelled_before_it_begins_does_nothing() -> None:
    """Its status never began."""
    scene = Scene()
    scene.durable.cancel()
    ending = scene.play()
    assert (ending.verdict, ending.summary) == ("cancelled", "cancelled before it began")
    assert scene.world.log == []


def function(body: Any, **functions: Any) -> Scene:
    """Return a scene whose automation is a function."""
    return Scene(functions=functions or {"m:f": body}).with_automation(steps=(), function="m:f")


def test_a_missing_function_fails_its_run() -> None:
    """The module was changed since the run was accepted."""
    ending = function(None, other=len).play()
    assert ending.verdict == "failure"
    assert "m:f is no longer among the configured modules' functions" in ending.summary


def test_our_own_error_in_a_function_ends_the_run_with_its_message() -> None:
    """Without the name of its class."""

    def clean_up(_run: Any) -> None:
        raise InputError("there is no such thing")

    ending = function(clean_up).play()
    assert ending.verdict == "failure"
    assert "there is no such thing" in ending.summary
    assert "InputError" not in ending.summary


@pytest.mark.parametrize(("result", "said"), [("tidied up", "tidied up"), (None, "done"), (5, "done")])
def test_a_text_that_a_function_returns_is_the_runs_result(result: Any, said: str) -> None:
    """Any other value is ignored."""
    assert function(lambda _run: result).play().summary == said


def test_a_function_knows_its_run() -> None:
    """The run's id and its attempt, as every action does."""
    seen: list[Any] = []
    scene = function(lambda run: seen.append((run.run_id, run.attempt, run.event["number"])))
    assert scene.play().verdict == "success"
    assert seen == [(scene.execution().run_id, 1, 17)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ([], "; nothing was deleted"),
        ([("a", failed(delete("x"), left=("x",)))], "; deletion had begun, all of it is still there"),
        ([("a", failed(delete("x"), delete("y"), left=("x",)))], "; already gone or going: y"),
        ([("a", failed(delete("x"), delete("t", "keep")))], "; already gone or going: x"),
        ([("a", failed(*(delete(name) for name in "uvwx")))], "; already gone or going: u, v, w and 1 more"),
        ([("a", failed(*(delete(name) for name in "uvw")))], "; already gone or going: u, v, w"),
        ([("a", failed(delete("f", "call")))], "; already done: f"),
        ([("a", failed(delete("f", "call"))), ("b", failed(delete("x")))], "; already gone or going: f, x"),
        ([("a", failed(delete("one\ntwo")))], "; already gone or going: one"),
    ],
)
def test_an_ended_run_says_what_is_already_deleted(changed: list[tuple[str, Outcome]], said: str) -> None:
    """The plan without what is left, and no more than three names."""
    assert _what_is_gone(changed, public=False) == said


def test_the_public_result_names_a_step_instead_of_its_code() -> None:
    """A script's lines are only for readers of the log."""
    changed = [
        ("tidy", failed(delete("rm -r secret"), own_code=True)),
        ("s", failed(delete("stack"), own_code=False)),
    ]
    assert _what_is_gone(changed, public=True) == "; already gone or going: tidy, stack"
    assert _what_is_gone(changed, public=False) == "; already gone or going: rm -r secret, stack"


@pytest.mark.parametrize(
    ("error", "own_code", "public"),
    [
        (InputError("about 123456789012"), False, "about …"),
        (InputError("about 123456789012"), True, visibility.WITHHELD),
        (StepFailed("s", "crashed", "it crashed three times"), True, "it crashed three times"),
        (StepFailed("s", DeadlinePassed.code, "paused by ada"), False, visibility.TIME_IS_UP),
        (StepFailed("s", "other", "output of a script"), True, visibility.WITHHELD),
    ],
)
def test_the_public_result_reveals_nothing_of_an_error(error: Any, own_code: bool, public: str) -> None:
    """Neither an account's number, nor a script's output, nor who paused closeout."""
    assert visibility.of_failure(error, own_code=own_code) == public


def test_an_error_with_a_public_form_shows_that() -> None:
    """Its author has decided what is public."""
    error = InputError("the whole of it")
    error.public = "a part"
    assert visibility.of_failure(error, own_code=True) == "a part"


@pytest.mark.parametrize(
    ("outcome", "public"),
    [
        (Outcome("failure", "failed", reason="AWS said no"), "AWS said no"),
        (Outcome("success", "deleted 3"), "deleted 3"),
        (Outcome("success", "its last line", own_code=True), "done"),
        (Outcome("failure", "failed", reason="its last line", own_code=True), visibility.WITHHELD),
        (Outcome("skipped", "its `if` is false", own_code=True), "its `if` is false"),
        (Outcome("failure", "failed", reason="secret", own_code=True, public="exit code 3"), "exit code 3"),
    ],
)
def test_the_public_result_of_a_step_is_what_its_action_published(outcome: Outcome, public: str) -> None:
    """User code publishes nothing by itself; that a step was skipped is closeout's own text."""
    assert outcome.public_text == public


@pytest.mark.parametrize(("limit", "verdict"), [(4, "success"), (3, "failure")])
def test_the_limit_of_changes_is_for_the_whole_run(limit: int, verdict: str) -> None:
    """Two steps below the limit delete more than it together: the second is refused, and deletes nothing."""
    names = {"preview-17", "preview-17/bucket", "other-17", "other-17/bucket"}
    steps = (step(), step("other-${{ event.pull_request.number }}", id="delete-2"))
    scene = Scene(world=World(resources=set(names))).with_automation(steps=steps, max_changes=limit)
    ending = scene.play()
    assert ending.verdict == verdict, ending
    assert scene.world.resources == (set() if verdict == "success" else {"other-17", "other-17/bucket"})
