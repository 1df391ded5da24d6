"""The life of a run: its states, its verdict and its texts."""

from __future__ import annotations

import pytest

from closeout.core.runs import (
    MAX_DEATHS,
    MAX_DESCRIPTION,
    CancelAsked,
    CancelDelivered,
    Crashed,
    Ended,
    Joined,
    Outcome,
    Parked,
    Recorded,
    RunState,
    Taken,
    advance,
    clip,
    found_nothing,
    status_of,
    verdict_of,
)

TAKEN, PARKED, ENDED = Taken("own", 1.0), Parked(60.0), Ended("success", "done", 9.0)
ALONE = Taken("own", 2.0, alone=True)


def after(*outcomes: Outcome) -> RunState:
    """A new run after these outcomes."""
    run = RunState()
    for outcome in outcomes:
        run = advance(run, outcome)
    return run


def test_a_run_goes_from_queued_to_finished() -> None:
    """It keeps its first start time, and ends with its verdict."""
    assert after(TAKEN).state == "running"
    waiting = after(TAKEN, PARKED)
    assert (waiting.state, waiting.wake) == ("waiting", 60.0)
    run = after(TAKEN, PARKED, Taken("own", 61.0), ENDED)
    assert (run.state, run.verdict, run.summary) == ("finished", "success", "done")
    assert (run.started_at, run.finished_at, run.wake) == (1.0, 9.0, None)


def test_crashes_are_counted_until_something_is_recorded() -> None:
    """A long run on a machine that restarts often is not the cause."""
    assert after(TAKEN, Crashed(), TAKEN, Crashed()).crashes == 2
    assert after(TAKEN, Crashed(), TAKEN, Recorded(), Crashed()).crashes == 1


def test_a_run_in_progress_when_the_process_died_waits_for_a_turn_alone() -> None:
    """A second death before that turn does not count against it, and does not lengthen its turn."""
    run = after(TAKEN, Crashed(), Crashed())
    assert (run.state, run.alone, run.suspected, run.deaths) == ("waiting", "due", 1, 0)


def test_only_a_death_in_its_own_turn_counts_against_a_run() -> None:
    """Before and after its turn, others were in progress too; each such death doubles the next turn."""
    assert after(TAKEN, Crashed(), ALONE, Joined(), Crashed())[-3:] == (2, "due", 0)
    assert after(TAKEN, Crashed(), ALONE, Crashed())[-3:] == (2, "due", 1)
    assert after(TAKEN, Crashed(), ALONE, Crashed(), ALONE, Crashed())[-3:] == (3, "due", 2)


def test_a_death_with_several_runs_in_progress_counts_against_none() -> None:
    """It may be the one whose turn was over; the next turn is longer, and comes first at the next start."""
    beside = Taken("own", 2.0, alone=True, beside=True)
    assert after(TAKEN, Crashed(), beside)[-3:] == (1, "beside", 0)
    assert after(TAKEN, Crashed(), beside, Crashed())[-3:] == (2, "due", 0)
    assert after(TAKEN, Crashed(), beside, Joined())[-3:] == (1, None, 0)
    assert after(TAKEN, Crashed(), beside, TAKEN)[-3:] == (1, "due", 0), "taken out of turn, to end"


def test_the_fifth_death_in_a_turn_is_the_last() -> None:
    """Six starts of a server in all, which a supervisor makes in less than a minute."""
    assert MAX_DEATHS == 5


def test_a_death_in_another_runs_turn_lengthens_no_turn() -> None:
    """It counts against that run; otherwise an hour's script would delay all others longer each time."""
    assert after(TAKEN, Crashed(by_another=True))[-3:] == (1, "due", 0)
    assert after(TAKEN, Crashed(), ALONE, Joined(), Crashed(by_another=True))[-3:] == (1, "due", 0)


def test_a_run_that_made_progress_is_no_suspect() -> None:
    """Its operation did not end the process. A record of an interrupted attempt is not progress."""
    assert after(TAKEN, Crashed(), ALONE, Crashed(), ALONE, Recorded())[-3:] == (0, None, 0)
    assert after(TAKEN, Crashed(), ALONE, Crashed(), ALONE, Recorded(progressed=False))[-3:] == (2, "now", 1)


def test_a_run_with_a_process_of_its_own_needs_no_turn() -> None:
    """Each death counts."""
    run = after(TAKEN, Crashed(alone=True), TAKEN, Crashed(alone=True))
    assert (run.state, run.alone, run.suspected, run.deaths) == ("running", None, 0, 2)


def test_a_turn_that_a_stop_interrupted_is_due_again() -> None:
    """A requested stop is not a death."""
    assert after(TAKEN, Crashed(), ALONE, PARKED)[-3:] == (1, "due", 0)


def test_only_a_running_run_can_crash() -> None:
    """A process that ends does not affect waiting or queued runs."""
    assert after(Crashed()) == RunState()
    assert after(Joined()) == RunState()
    assert after(TAKEN, PARKED, Crashed()).crashes == 0


def test_a_run_out_of_its_turn_says_so() -> None:
    """Its time in the queue expired, or it was cancelled there: it runs only to end."""
    assert after(Taken("expired", 1.0)).turn == "expired"


def test_a_cancel_request_is_kept_until_the_run_learns_of_it() -> None:
    """It does not end the run itself: the next operation does, and then the request is used up."""
    run = after(TAKEN, CancelAsked("ops"), PARKED)
    assert (run.state, run.cancel) == ("waiting", "ops")
    assert advance(run, CancelDelivered()).cancel is None


def test_an_end_without_a_known_verdict_is_a_failure() -> None:
    """What is not known to have succeeded has failed."""
    assert advance(RunState(), Ended("nonsense", "", 1.0)).verdict == "failure"


VERDICTS = [
    ([], "success"),
    (["success"], "success"),
    (["success", "skipped"], "success"),
    (["skipped", "skipped"], "success"),
    (["success", "failure", "success"], "failure"),
    (["success", "cancelled"], "cancelled"),
    (["failure", "cancelled"], "failure"),
    (["success", "pending"], "failure"),
    (["success", "running"], "failure"),
    (["cancelled", "pending"], "failure"),
    (["success", "nonsense"], "failure"),
]


@pytest.mark.parametrize(("states", "verdict"), VERDICTS)
def test_the_worst_step_decides_the_verdict(states: list[str], verdict: str) -> None:
    """A step that never ended is not a success."""
    assert verdict_of(states) == verdict


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
    """Green only if all is well: a reopened pull request is green as long as nothing was deleted."""
    assert status_of(verdict, reopened=reopened, deleted=deleted) == state


@pytest.mark.parametrize("length", [0, 1, 139, 140])
def test_a_text_that_fits_is_not_cut(length: int) -> None:
    """Exactly 140 characters are allowed."""
    assert clip("x" * length) == "x" * length


def test_a_long_text_is_cut_before_a_word() -> None:
    """With an ellipsis, within the limit."""
    cut = clip("x" * 120 + " " + "y" * 60)
    assert cut == "x" * 120 + "…"
    assert clip("x" * 141) == "x" * 139 + "…"
    late = "x" * 130 + " " + "y" * 8
    assert clip(f"{late} zz") == f"{late}…", "the word that ends at the limit is whole"
    assert len(clip("word " * 100)) <= MAX_DESCRIPTION


def test_a_character_longer_than_the_limit_is_omitted() -> None:
    """Anyone can stack accents on a letter in a title."""
    for heap in ("e" + "\u0301" * 200, "\u0301" * 200):
        assert clip(heap) == "…"


@pytest.mark.parametrize(
    ("summary", "nothing"),
    [
        ("nothing was there", True),
        ("nothing was there; 2 steps skipped", True),
        ("dry run: nothing was there", True),
        ("2/2 steps: deleted stack preview-17", False),
        ("dry run: would delete nothing was there", False),
    ],
)
def test_a_run_that_found_nothing_is_recognized_by_its_summary(summary: str, nothing: bool) -> None:
    """After a few of them in a row, the names of an automation may be wrong."""
    assert found_nothing(summary) is nothing


def test_a_description_is_one_line_of_printable_text() -> None:
    """Line breaks and control characters of a payload do not reach GitHub's page."""
    assert clip("a\n\tb\x1b[31m\x00c \u202e d") == "a b [31m c d"


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "n\u0303\u0323"],
    ids=["accent", "family", "tone", "heart", "two"],
)
def test_a_cut_never_splits_a_character(cluster: str) -> None:
    """An accent stays with its letter, a joined emoji stays whole."""
    for before in range(130, 141):
        cut = clip("x" * before + cluster * 12)
        rest = cut.removesuffix("…").lstrip("x")
        assert rest == cluster * (len(rest) // len(cluster))
        assert len(cut) <= MAX_DESCRIPTION
