"""Laws of a run's life, over every order of outcomes."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from closeout.core.runs import (
    MAX_DESCRIPTION,
    STATES,
    VERDICTS,
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
    status_of,
    verdict_of,
)

moments = st.floats(0, 1e9)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Taken, st.sampled_from(["own", "expired", "cancelled"]), moments, st.booleans()),
    st.just(Joined()),
    st.builds(Parked, moments),
    st.builds(Recorded, st.booleans()),
    st.builds(Crashed, st.booleans(), st.booleans()),
    st.builds(CancelAsked, st.text(max_size=3)),
    st.just(CancelDelivered()),
    st.builds(Ended, st.sampled_from([*VERDICTS, "nonsense"]), st.text(max_size=10), moments),
)
lives = st.lists(outcomes, max_size=30)
step_states = st.lists(
    st.sampled_from(["pending", "running", "waiting", "success", "failure", "skipped", "cancelled"]),
    max_size=8,
)


def states_of(life: list[Outcome]) -> list[RunState]:
    """The run at its start and after each outcome."""
    states = [RunState()]
    for outcome in life:
        states.append(advance(states[-1], outcome))
    return states


@given(lives)
def test_any_order_of_outcomes_is_accepted(life: list[Outcome]) -> None:
    """A run is always in one of its states; it has a verdict and an end exactly when it is finished."""
    for run in states_of(life):
        assert run.state in STATES
        assert (run.state == "finished") == (run.verdict is not None) == (run.finished_at is not None)
        assert run.verdict is None or run.verdict in VERDICTS
        assert (run.state == "waiting") == (run.wake is not None)
        assert run.state != "running" or run.started_at is not None
        assert run.alone != "now" or run.state == "running"


@given(lives, lives)
def test_a_finished_run_never_changes(life: list[Outcome], later: list[Outcome]) -> None:
    """A late or repeated outcome is heard and makes no difference."""
    run = advance(states_of(life)[-1], Ended("success", "", 100.0))
    for outcome in later:
        assert advance(run, outcome) == run


@given(lives)
def test_crashes_are_of_running_runs_and_since_the_last_record(life: list[Outcome]) -> None:
    """One more for each crash of a running run, none after a record, and nothing else touches the count."""
    for outcome, (before, after) in zip(life, pairwise(states_of(life)), strict=True):
        if isinstance(outcome, Crashed) and before.state == "running":
            assert after.crashes == before.crashes + 1
        elif isinstance(outcome, Recorded) and before.state != "finished":
            assert after.crashes == 0
        else:
            assert after.crashes == before.crashes


@given(lives)
def test_only_a_death_while_alone_counts_and_progress_forgives_all(life: list[Outcome]) -> None:
    """Nothing else adds to the count that ends an operation, and a run that gets on has none."""
    for outcome, (before, after) in zip(life, pairwise(states_of(life)), strict=True):
        crash = outcome if isinstance(outcome, Crashed) and before.state == "running" else None
        alone = crash is not None and (before.alone == "now" or crash.alone)
        if outcome == Recorded(progressed=True) and before.state != "finished":
            assert (after.suspected, after.alone, after.deaths) == (0, None, 0)
        else:
            assert after.deaths == before.deaths + alone
            again = crash is not None and not crash.alone and not (crash.by_another and before.suspected)
            assert after.suspected == before.suspected + again


@given(lives)
def test_a_request_to_cancel_and_the_first_start_are_not_forgotten(life: list[Outcome]) -> None:
    """Only telling the run uses the request up; nothing changes when it began."""
    for outcome, (before, after) in zip(life, pairwise(states_of(life)), strict=True):
        assert after.cancel is not None or before.cancel is None or isinstance(outcome, CancelDelivered)
        assert before.started_at is None or after.started_at == before.started_at


@given(lives)
def test_every_run_can_still_end(life: list[Outcome]) -> None:
    """From wherever it stands, an end ends it."""
    assert advance(states_of(life)[-1], Ended("failure", "", 100.0)).state == "finished"


@given(step_states)
def test_success_means_that_every_step_ended_well(states: list[str]) -> None:
    """No green while broken: not for a failure, not for what never ended, not for a cancelled step."""
    verdict = verdict_of(states)
    assert (verdict == "success") == (set(states) <= {"success", "skipped"})
    assert ("failure" in states) <= (verdict == "failure")
    assert status_of(verdict) != "success" or verdict == "success"


@given(step_states, st.randoms())
def test_the_order_of_steps_does_not_matter(states: list[str], random: object) -> None:
    """The verdict is of all of them."""
    assert verdict_of(states) == verdict_of(sorted(states))


@given(st.text(max_size=400))
def test_a_description_always_fits(text: str) -> None:
    """One line of at most 140 characters, whatever a payload puts into it."""
    shown = clip(text)
    assert len(shown) <= MAX_DESCRIPTION
    assert "\n" not in shown
    assert "\x00" not in shown
    assert clip(shown) == shown


@given(st.text(st.sampled_from("ab \u0301\u0323\u200d\U0001f469\U0001f3fd"), min_size=150, max_size=300))
def test_a_cut_is_never_inside_a_character(text: str) -> None:
    """What comes right after the cut begins a new character, or is a space."""
    whole = clip(text, 10_000)
    cut = clip(text).removesuffix("…")
    assert whole.startswith(cut)
    rest = whole[len(cut) :]
    if cut and rest and rest[0] != " ":
        assert unicodedata.combining(rest[0]) == 0
        assert rest[0] != "\u200d"
        assert not cut.endswith("\u200d")
