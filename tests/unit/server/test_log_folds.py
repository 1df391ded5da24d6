"""A log, folded by step."""

from __future__ import annotations

import pytest

from closeout.core import ids
from closeout.ports import LogLine, RunView, StepView
from closeout.server.pages.log_folds import OPEN_LINES, Fold, folds, marked, tone
from tests.contract.http.page_world import NOW, World, step


def run_of(*steps: StepView) -> RunView:
    """Return a run of these steps."""
    world = World()
    run = world.run(*ids.parse_execution(world.add("a", "running", steps=steps)))
    assert run is not None
    return run


def told(found: tuple[Fold, ...]) -> list[tuple[str, list[int], bool]]:
    """Return step, line ids and whether it is open, of each fold."""
    return [(fold.step, [line.id for line in fold.lines], fold.open) for fold in found]


def test_lines_of_the_run_stay_with_the_step_that_is_under_way() -> None:
    """Until it has ended; before the first step and after the last they are the run's."""
    run = run_of(step("one", "success", name="First", ended_at=NOW + 4), step("two", "running"))
    steps = (None, "one", None, "one", None, "two", None)
    lines = [LogLine(number, name, NOW + number, "x") for number, name in enumerate(steps)]
    found = folds(run, lines)
    assert told(found) == [("", [0], True), ("one", [1, 2, 3, 4], True), ("two", [5, 6], True)]
    assert [(fold.title, fold.tone) for fold in found] == [
        ("Run", "none"),
        ("First", "success"),
        ("two", "running"),
    ]
    late = [*lines[:4], lines[4]._replace(at=NOW + 4.5)]
    assert told(folds(run, late))[-1] == ("", [4], True)


def test_of_a_long_log_only_what_matters_is_open() -> None:
    """What failed, what goes on, and its end; with a search everything that it found."""
    run = run_of(
        step("ok", "success"), step("bad", "failure"), step("also", "success"), step("end", "success")
    )
    names = ("ok", "bad", "also", "end")
    lines = [LogLine(number, names[number * 4 // 80], NOW, "x") for number in range(80)]
    assert len(lines) > OPEN_LINES
    assert [fold.open for fold in folds(run, lines)] == [False, True, False, True]
    assert all(fold.open for fold in folds(run, lines, "x"))
    assert all(fold.open for fold in folds(run, lines[:OPEN_LINES]))
    assert folds(run, ()) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DELETE_FAILED: bucket b", "bad"),
        ("failure: exit code 3", "bad"),
        ("S3: Access Denied", "bad"),
        ("still there: bucket b", "bad"),
        ("waiting: paused", "warned"),
        ("status not updated: 401", "warned"),
        ("success: deleted stack s", "good"),
        ("verified in the account: nothing of the plan is left", "good"),
        ("delete-stack again, DELETE_COMPLETE after 41 s", "good"),
        ("plan: delete stack terror-1 (it is DELETE_FAILED)", ""),
        ("run x, attempt 1: a", ""),
    ],
)
def test_a_line_has_a_tone(text: str, expected: str) -> None:
    """By its words; the text says the same without the colour."""
    assert tone(text) == expected


@pytest.mark.parametrize(
    ("text", "search", "parts"),
    [
        ("a b", "", (("a b", False),)),
        ("Denied, denied", "DENIED", (("Denied", True), (", ", False), ("denied", True))),
        ("a.c abc", "a.c", (("a.c", True), (" abc", False))),
        ("", "x", ()),
    ],
)
def test_a_search_marks_its_matches(text: str, search: str, parts: tuple[tuple[str, bool], ...]) -> None:
    """What is searched for is no pattern."""
    assert marked(text, search) == parts
