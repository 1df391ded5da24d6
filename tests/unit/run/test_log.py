"""What a run logs, and what it records when GitHub cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.plan import Change
from closeout.engine.durable import ReplayDurable
from closeout.run.context import RunContext
from closeout.run.step import StepRun
from closeout.run.workflow import make_run_function
from closeout.testing.durable import play
from tests.mortal import MortalDurable
from tests.unit.run.world import Scene, World, pull_payload, step

TOKEN = "ghp_" + "a1B2" * 9


def _function(body: Any, **more: Any) -> Scene:
    scene = Scene(functions={"m:clean_up": body})
    return scene.with_automation(function="m:clean_up", steps=(), **more)


def test_a_successful_verification_is_logged_once() -> None:
    """It proves promise 2: the account has nothing left of what was to be deleted."""
    scene = Scene()
    assert scene.play().verdict == "success"
    assert scene.world.lines.count("verified in the account: nothing of the plan is left") == 1


def test_a_failed_verify_does_not_claim_it() -> None:
    """While something is left, nothing is reported as verified."""
    scene = Scene(world=World(undeletable={"preview-17"}))
    assert scene.play().verdict == "failure"
    assert not [line for line in scene.world.lines if "verified" in line]


def test_a_function_that_fails_inside_a_record_keeps_the_type_of_its_error() -> None:
    """`'missing'` alone explains nothing: the log says that the function failed with a KeyError."""

    def clean_up(run: Any) -> None:
        run.record("look", lambda: run.event["missing"])

    scene = _function(clean_up)
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "KeyError: 'missing'" in ending.summary
    assert "failure: KeyError: 'missing'" in scene.world.lines


def test_a_successful_function_is_logged() -> None:
    """Its result is its summary, and a line of the log."""
    scene = _function(lambda run: f"dropped {run.event['number']}")
    assert scene.play().verdict == "success"
    assert "success: dropped 17" in scene.world.lines


@pytest.mark.parametrize("destructive", [True, False])
def test_a_functions_operations_are_in_the_log_by_their_names(destructive: bool) -> None:
    """Each real call has a line, a poll has one however often it asks; a replay adds none."""
    asked: list[int] = []

    def poll() -> dict[str, int] | None:
        asked.append(1)
        return {"asked": len(asked)} if len(asked) > 2 else None

    def clean_up(run: Any) -> None:
        run.record("drop-database", lambda: run.log("dropping"))
        run.wait_until("gone", poll)
        run.record("drop-user", lambda: None)

    scene = _function(clean_up, destructive_function=destructive)
    assert scene.play().verdict == "success"
    at = scene.world.lines.index("record drop-database")
    said = [line for line in scene.world.lines[at:] if not line.startswith(("status", "success"))]
    assert said == ["record drop-database", "dropping", "wait until gone", "record drop-user"]


def test_a_function_stopped_by_a_reopening_says_what_it_had_done() -> None:
    """Its first call stays done: `nothing was deleted` and a green status would be wrong."""

    def clean_up(run: Any) -> None:
        run.record("drop-database", lambda: scene.world.call("delete database"))
        run.sleep("settle", 60)
        scene.world.pull = scene.world.pull._replace(state="open")
        run.record("drop-user", lambda: scene.world.call("delete user"))

    scene = _function(clean_up)
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert ending.summary == "acme/shop#17 is open again; already done: drop-database"
    assert scene.world.statuses[-1] == ("failure", ending.summary)
    assert "cancelled: acme/shop#17 is open again" in scene.world.lines


def test_no_secret_reaches_the_runs_summary() -> None:
    """The summary is stored and shown on the page, so a function's errors and results are redacted too."""

    def leaks(run: Any) -> str:
        raise ValueError(f"outside token={TOKEN}")

    assert TOKEN not in _function(leaks).play().summary
    assert TOKEN not in _function(lambda run: f"sent {TOKEN}").play().summary


@pytest.mark.parametrize(
    ("event", "context", "said"),
    [
        ("release", "closeout/x", "a release event belongs to no commit, so there is no status"),
        ("status", None, "the automation says `status: false`"),
    ],
)
def test_a_run_without_a_status_says_why(event: str, context: str | None, said: str) -> None:
    """Without a commit, or with `status: false`, the run logs that once, and how it ended."""
    scene = _function(
        lambda run: "all done",
        triggers=({"event": event},),
        destructive_function=False,
        status_context=context,
    )
    scene.event = event
    scene.payload = {"repository": pull_payload()["repository"], "sha": "a" * 40}
    assert scene.play().verdict == "success"
    assert scene.world.statuses == []
    assert scene.world.lines.count(said) == 1
    assert "success: all done" in scene.world.lines
    assert scene.durable.result("pending") == {"sent": False, "reason": said}


def test_a_finished_runs_notes_are_forgotten() -> None:
    """A server runs for months: what it remembers to log each line once must not accumulate."""
    scene = Scene().with_automation(status_context=None)
    run = make_run_function(scene.deps())
    for _ in range(2):
        play(run, MortalDurable(scene.clock), scene.execution())
    assert scene.world.lines.count("the automation says `status: false`") == 2


def test_an_if_that_cannot_be_evaluated_is_logged() -> None:
    """The error is neither true nor false: nothing runs."""
    scene = Scene().with_automation(condition="event.nothing.there")
    assert scene.play().verdict == "failure"
    assert any("cannot decide whether preview-cleanup runs" in line for line in scene.world.lines)


@pytest.mark.parametrize(
    ("verb", "said"), [("delete", "deleting"), ("run", "running"), ("empty", "emptying")]
)
def test_the_status_says_what_is_in_progress(verb: str, said: str) -> None:
    """`2/3 deleting stack preview-17`: the verb in its present form."""
    scene = Scene()
    context = RunContext(scene.deps(), ReplayDurable(scene.durable, ()), scene.execution())
    runner = StepRun(context, step(), number=1, total=1)
    assert runner._doing(Change(verb=verb, resource="it", reason="")) == f"{said} it"
