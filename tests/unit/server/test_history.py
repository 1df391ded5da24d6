"""The time line of a run."""

from __future__ import annotations

import pytest

from closeout.core import ids
from closeout.core.runs import RESTARTED, SURVIVED
from closeout.ports import LogLine, Operation, RunView
from closeout.server.pages.history import Bar, entries
from tests.contract.http.page_world import NOW, World, failure, operation, running, step


def failed() -> tuple[RunView, list[Operation]]:
    """Return a run that waited and failed, with what it recorded."""
    world = World()
    execution = failure(world)
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    return run, world.recorded[run.id]


def test_a_run_is_told_from_its_acceptance_to_its_end() -> None:
    """The queue, each step with its waits, a crash that it survived, and its verdict; in order."""
    run, recorded = failed()
    survived = [LogLine(6, None, NOW + 30, SURVIVED), LogLine(9, None, NOW + 40, RESTARTED)]
    told = entries(run, recorded, survived, NOW + 200)
    assert [(entry.title, entry.says) for entry in told] == [
        ("Accepted", "heard by webhook"),
        ("Began", "after 1 min 4 s in the queue"),
        ("Delete the preview's stack", "waited 41 s, looked 12 times"),
        ("Grace", ""),
        ("Survived a crash", "closeout's process ended while the run was under way"),
        ("Waited through a restart", "closeout was started again"),
        ("Delete its uploads", ""),
        ("Failed", "GitHub has the status"),
    ]
    assert [entry.took for entry in told if entry.took] == ["52 s", "5.0 s", "21 s"]


def test_the_end_has_the_verdict() -> None:
    """Whether the status arrived is said where it is known."""
    world = World()
    for verdict, title in (("success", "Succeeded"), ("cancelled", "Cancelled"), ("failure", "Failed")):
        run = world.run(*ids.parse_execution(world.add(verdict, "finished", verdict)))
        assert run is not None
        end = entries(run._replace(status="undelivered"), (), (), NOW + 200)[-1]
        assert (end.tone, end.title, end.says) == (verdict, title, "GitHub did not take the status")


def test_a_bar_is_a_share_of_the_runs_time() -> None:
    """From the run's begin to its end; the waits lie within."""
    run, recorded = failed()
    stack = entries(run._replace(finished_at=NOW + 100), recorded, (), NOW)[2]
    assert stack.bar == Bar(left=0.0, width=52.0)
    assert stack.waits == (Bar(left=8.0, width=41.0),)


def test_a_run_that_goes_on_ends_now() -> None:
    """So the bar of its step grows; what was skipped or has not begun has none."""
    world = World()
    run = world.run(*ids.parse_execution(running(world)))
    assert run is not None
    waits = [operation("objects/delete", 1, "wait", NOW + 80, None, tries=3)]
    *_, last = entries(run, waits, (), NOW + 100)
    assert (last.title, last.took, last.says) == ("Delete its uploads", "26 s", "waited 20 s, looked 3 times")
    assert last.bar == Bar(left=74.3, width=25.7)


def test_nothing_is_too_short_to_be_seen() -> None:
    """A step of no time still has a bar, within the width."""
    world = World()
    steps = (
        step("one", "success", started_at=NOW + 96.4, ended_at=NOW + 96.4),
        step("two", "skipped", ended_at=NOW),
    )
    run = world.run(*ids.parse_execution(world.add("a", "finished", "success", steps=steps)))
    assert run is not None
    (bar,) = [entry.bar for entry in entries(run, (), (), NOW) if entry.bar]
    assert bar == Bar(left=99.2, width=0.8)


def test_a_further_attempt_says_who_asked() -> None:
    """One that never began has only its acceptance; an undelivered status is told."""
    world = World()
    queued = world.add("a", "queued", attempt=2, requested_by="alex@ops-1")
    run = world.run(*ids.parse_execution(queued))
    assert run is not None
    assert [entry.says for entry in entries(run, (), (), NOW)] == ["attempt 2, asked for by alex@ops-1"]
    ended = run._replace(state="finished", finished_at=NOW, status="undelivered")
    assert entries(ended, (), (), NOW)[-1].says == "GitHub did not take the status"


def test_a_run_that_sleeps_has_a_bar_until_it_wakes() -> None:
    """Between two steps: it belongs to none of them."""
    world = World()
    run = world.run(*ids.parse_execution(world.add("a", "waiting")))
    assert run is not None
    nap = operation("grace", 1, "sleep", NOW + 40, None, wake=NOW + 60)
    *_, last = entries(run, [nap], (), NOW + 80)
    assert (last.title, last.took, last.bar, last.waits) == ("Grace", "20 s", last.bar, (last.bar,))
    assert last.bar == Bar(left=50.0, width=25.0)


def test_a_bar_ends_with_its_run() -> None:
    """Though a clock was set back between the two."""
    world = World()
    steps = (step("one", "success", started_at=NOW + 50, ended_at=NOW + 150),)
    run = world.run(*ids.parse_execution(world.add("a", "finished", "success", steps=steps)))
    assert run is not None
    (bar,) = [entry.bar for entry in entries(run._replace(finished_at=NOW + 100), (), (), NOW) if entry.bar]
    assert bar == Bar(left=50.0, width=50.0)


@pytest.mark.parametrize(("seconds", "told"), [(1.0, True), (0.9, False)])
def test_what_took_a_second_is_a_wait(seconds: float, told: bool) -> None:
    """In the queue, and in a step; one look is not counted."""
    world = World()
    execution = world.add("a", "running", accepted_at=NOW - seconds, steps=(step("one", "running"),))
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    wait = operation("one/gone", 1, "wait", NOW + 5, None)
    lines = {entry.title: entry.says for entry in entries(run, [wait], (), NOW + 5 + seconds)}
    assert ("Began" in lines) is told
    assert lines["one"] == ("waited 1.0 s" if told else "")


def test_a_step_with_a_long_name_is_called_by_its_id() -> None:
    """A line has room for 32 characters."""
    world = World()
    steps = (step("one", "success", name="x" * 32), step("two", "success", name="x" * 33))
    run = world.run(*ids.parse_execution(world.add("a", "running", steps=steps)))
    assert run is not None
    assert [entry.title for entry in entries(run, (), (), NOW)] == ["Accepted", "Began", "x" * 32, "two"]
