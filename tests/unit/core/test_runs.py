"""The life of a run: its states, its verdict and its words."""

from __future__ import annotations

import pytest

from closeout.core.runs import (
    MAX_DESCRIPTION,
    Outcome,
    RunState,
    Verdict,
    What,
    advance,
    clip,
    describe,
    describe_end,
    status_of,
    verdict_of,
)


def after(*what: What, run: RunState | None = None) -> RunState:
    """The run after these outcomes, one a second."""
    run = run or RunState()
    for second, one in enumerate(what, start=1):
        verdict: Verdict | None = "success" if one == "ended" else None
        run = advance(run, Outcome(what=one, verdict=verdict, summary="done"), float(second))
    return run


def test_a_run_goes_from_queued_to_finished() -> None:
    """It keeps the time of its first start, and ends with its verdict."""
    assert after("taken").state == "running"
    assert after("taken", "parked").state == "waiting"
    run = after("taken", "parked", "taken", "ended")
    assert (run.state, run.verdict, run.started_at, run.finished_at) == ("finished", "success", 1.0, 4.0)


def test_a_run_that_ended_its_process_twice_fails() -> None:
    """Once it is tried again; the second time it is ended, so that it cannot take the server down for ever."""
    once = after("taken", "crashed")
    assert (once.state, once.crashes) == ("queued", 1)
    twice = after("taken", "crashed", "taken", "crashed")
    assert (twice.state, twice.verdict) == ("finished", "failure")
    assert "2 times" in twice.summary


def test_progress_between_two_crashes_starts_the_count_again() -> None:
    """A long run on a machine that restarts often is not its killer."""
    run = after("taken", "crashed", "taken", "recorded", "crashed")
    assert (run.state, run.crashes) == ("queued", 1)


def test_only_a_running_run_can_crash_or_park() -> None:
    """A process that ends takes nothing from runs that were waiting or queued."""
    assert after("crashed") == RunState()
    assert after("parked") == RunState()
    assert after("taken", "parked", "crashed").crashes == 0


def test_a_turn_that_does_not_come_ends_a_queued_run_only() -> None:
    """Once a run was taken up, its own timeout counts."""
    assert after("queue-expired").verdict == "failure"
    assert after("taken", "queue-expired").state == "running"


def test_a_cancel_request_is_kept_until_the_run_ends() -> None:
    """It does not end the run by itself: that happens at the next operation."""
    run = after("taken", "cancel", "parked")
    assert (run.state, run.cancel_requested) == ("waiting", True)


def test_an_end_without_a_verdict_is_a_failure() -> None:
    """What is not known to have succeeded has not."""
    assert advance(RunState(), Outcome(what="ended"), 1.0).verdict == "failure"


VERDICTS = [
    ([], False, "success"),
    (["success"], False, "success"),
    (["success", "skipped"], False, "success"),
    (["skipped", "skipped"], False, "success"),
    (["success", "failure", "success"], False, "failure"),
    (["success", "cancelled"], False, "cancelled"),
    (["failure", "cancelled"], True, "failure"),
    (["success", "pending"], False, "failure"),
    (["success", "running"], False, "failure"),
    (["success", "pending"], True, "cancelled"),
    (["success", "nonsense"], False, "failure"),
    ([], True, "cancelled"),
]


@pytest.mark.parametrize(("states", "cancelled", "verdict"), VERDICTS)
def test_the_worst_step_decides(states: list[str], cancelled: bool, verdict: str) -> None:
    """One verdict for all steps; a step that never ended is not a success."""
    assert verdict_of(states, cancelled=cancelled) == verdict


@pytest.mark.parametrize(
    ("verdict", "reopened", "deleted", "state"),
    [
        ("success", False, True, "success"),
        ("failure", False, False, "failure"),
        ("skipped", False, False, None),
        ("cancelled", False, False, "error"),
        ("cancelled", False, True, "error"),
        ("cancelled", True, False, "success"),
        ("cancelled", True, True, "failure"),
        ("nonsense", False, False, "failure"),
    ],
)
def test_each_verdict_has_its_commit_status(
    verdict: str, reopened: bool, deleted: bool, state: str | None
) -> None:
    """Green only if all is well: a reopened pull request is fine as long as nothing was deleted."""
    assert status_of(verdict, reopened=reopened, deleted=deleted) == state


def test_a_description_says_which_step_runs() -> None:
    """The position comes first, so that it is never cut off."""
    assert describe("deleting stack preview-17", step=2, of=3) == "2/3 deleting stack preview-17"
    assert describe("paused by ops") == "paused by ops"


ENDS = [
    ((["success"], []), None, "1 done"),
    ((["success", "success", "skipped"], ["3 objects"]), None, "3 steps: 2 done, 1 skipped; 3 objects"),
    (
        (["success", "failure"], ["stack x: full bucket"]),
        None,
        "2 steps: 1 failed, 1 done; stack x: full bucket",
    ),
    ((["skipped", "skipped"], []), None, "nothing to do: every step was skipped"),
    (([], []), None, "nothing to do"),
    ((["success"], []), 4, "dry run: would delete 4"),
]


@pytest.mark.parametrize(("arguments", "dry_run", "text"), ENDS)
def test_the_final_description_counts(
    arguments: tuple[list[str], list[str]], dry_run: int | None, text: str
) -> None:
    """Counts first, then what is to be said of single steps."""
    assert describe_end(*arguments, dry_run=dry_run) == text


@pytest.mark.parametrize("length", [0, 1, 139, 140])
def test_what_fits_is_not_cut(length: int) -> None:
    """Exactly 140 characters are allowed."""
    assert clip("x" * length) == "x" * length


def test_what_does_not_fit_is_cut_before_a_word() -> None:
    """The cut shows, and stays within the limit."""
    cut = clip("x" * 120 + " " + "y" * 60)
    assert cut == "x" * 120 + "…"
    assert clip("x" * 141) == "x" * 139 + "…"
    assert len(clip("word " * 100)) <= MAX_DESCRIPTION


def test_a_description_is_one_line_of_printable_text() -> None:
    """Line breaks and control characters of a payload do not reach GitHub's page."""
    assert clip("a\n\tb\x1b[31m\x00c \u202e d") == "a b [31m c d"


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "n\u0303\u0323"],
    ids=["accent", "family", "tone", "heart", "two"],
)
def test_a_cut_never_parts_one_character(cluster: str) -> None:
    """An accent stays with its letter and a joined emoji whole."""
    for before in range(130, 141):
        cut = clip("x" * before + cluster * 12)
        rest = cut.removesuffix("…").lstrip("x")
        assert rest == cluster * (len(rest) // len(cluster))
        assert len(cut) <= MAX_DESCRIPTION
