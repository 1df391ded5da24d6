"""Replay, waits, cancel and crashes of one execution, with a clock that tests advance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core.errors import RunCancelled, ServiceError, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import MAX_DEATHS
from closeout.engine.durable import LATE, LONGEST_RETRY_AFTER, ReplayDurable, Suspended
from closeout.ports import Operation
from tests.unit.engine.stage import Stage


def busy(message: str = "slow down", retry_after: float | None = None) -> ServiceError:
    """A transient error."""
    return ServiceError(
        message, service="s3", operation="Delete", reason="SlowDown", transient=True, retry_after=retry_after
    )


def raiser(error: BaseException) -> Any:
    """A function that raises."""

    def call() -> None:
        raise error

    return call


@pytest.fixture
def stage() -> Stage:
    """A fresh execution."""
    return Stage()


# --- what is stored -----------------------------------------------------------------------------------


def test_operations_keep_their_order(stage: Stage) -> None:
    """Positions count from 1 and stay with the name over replays."""

    def run(durable: ReplayDurable) -> None:
        durable.record("a", lambda: 1)
        durable.sleep("b", 5)
        durable.record("c", lambda: 3)

    stage.through(run)
    assert {name: operation.position for name, operation in stage.stored.items()} == {"a": 1, "b": 2, "c": 3}


def test_attempts_are_stored_while_a_retry_waits(stage: Stage) -> None:
    """The retry counter is in the store, not in memory: a restart does not reset it."""
    retry = Retry(attempts=3, backoff=Backoff(first=4.0, factor=2.0))
    suspended = stage.once(lambda durable: durable.record("delete", raiser(busy()), retry))
    assert isinstance(suspended, Suspended)
    assert (stage.stored["delete"].tries, stage.stored["delete"].wake) == (1, 1_004.0)
    stage.clock = 1_004.0
    stage.once(lambda durable: durable.record("delete", raiser(busy()), retry))
    assert (stage.stored["delete"].tries, stage.stored["delete"].wake) == (2, 1_012.0)


def test_a_wait_is_one_operation_that_begins_with_its_first_poll(stage: Stage) -> None:
    """However often it polls; `tries` counts the polls, `ended_at` is when the condition was met."""
    polls = iter([None, None, "gone"])
    stage.through(lambda durable: durable.wait_until("gone", lambda: next(polls), 10.0, 60.0))
    operation = stage.stored["gone"]
    assert (operation.kind, operation.state, operation.tries) == ("wait", "ok", 3)
    assert (operation.started_at, operation.ended_at) == (1_000.0, 1_020.0)


def test_a_polls_answer_is_stored_while_it_waits(stage: Stage) -> None:
    """An operator can see why a run waits; secrets are redacted."""
    stage.once(lambda durable: durable.wait_until("gone", raiser(busy("bad hunter2")), 10.0, 60.0))
    assert json.loads(stage.stored["gone"].result or "")["heard"] == "bad ***"


def test_error_messages_are_redacted_before_they_are_stored(stage: Stage) -> None:
    """The raised error has the stored text."""
    with pytest.raises(StepFailed, match="token \\*\\*\\* refused"):
        stage.once(lambda durable: durable.record("call", raiser(ValueError("token hunter2 refused"))))
    assert "hunter2" not in (stage.stored["call"].result or "")


def test_an_error_without_a_readable_text_is_still_an_error(stage: Stage) -> None:
    """A user's `__str__` may raise."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(StepFailed, match="cannot be shown") as caught:
        stage.once(lambda durable: durable.record("call", raiser(Odd())))
    assert caught.value.kind == "Odd"


def test_an_effect_whose_mark_took_long_to_store_has_not_begun(stage: Stage) -> None:
    """What was checked before may have changed: both the poll and the ledger say that nothing began."""
    begins: list[str] = []
    stage.save_takes = LATE + 0.5

    def run(durable: ReplayDurable) -> Any:
        def poll() -> str | None:
            begins.append(durable.begin_effect())
            stage.save_takes = 0.0
            return "done" if begins[-1] != "late" else None

        return durable.wait_until("effect", poll, 1.0, 60.0)

    assert stage.through(run) == "done"
    assert begins == ["late", "begun"]
    assert stage.stored["effect"].tries == 2


# --- waits --------------------------------------------------------------------------------------------


def test_the_timeout_counts_from_the_first_poll(stage: Stage) -> None:
    """It does not restart with each execution, and the last poll is made at the deadline."""
    times = []

    def poll() -> None:
        times.append(stage.clock)

    with pytest.raises(WaitTimeout, match="within 25 s"):
        stage.through(lambda durable: durable.wait_until("gone", poll, 10.0, 25.0))
    assert times == [1_000.0, 1_010.0, 1_020.0, 1_025.0]


def test_after_a_long_outage_one_more_poll_is_made(stage: Stage) -> None:
    """A condition that was met while the server was down counts, even if the time is long over."""
    polls = iter([None, "gone"])

    def run(durable: ReplayDurable) -> Any:
        return durable.wait_until("gone", lambda: next(polls), 10.0, 60.0)

    stage.once(run)
    stage.clock += 86_400
    assert stage.once(run) == "gone"


def test_a_poll_waits_for_the_services_retry_after(stage: Stage) -> None:
    """It is a lower bound, within the timeout."""
    suspended = stage.once(
        lambda durable: durable.wait_until("gone", raiser(busy(retry_after=40)), Backoff(first=1.0), 60.0)
    )
    assert suspended.wake == 1_040.0


def test_a_retry_after_beyond_the_timeout_ends_the_wait_at_its_deadline(stage: Stage) -> None:
    """The error has the service's message."""
    calls = []

    def poll() -> None:
        calls.append(stage.clock)
        raise busy("rate limit", retry_after=3_600)

    with pytest.raises(WaitTimeout, match="rate limit"):
        stage.through(lambda durable: durable.wait_until("gone", poll, 10.0, 60.0))
    assert calls == [1_000.0]
    assert stage.clock == 1_060.0


@pytest.mark.parametrize("asked", [float("inf"), 1e300, LONGEST_RETRY_AFTER * 5])
def test_no_answer_can_delay_a_run_forever(stage: Stage, asked: float) -> None:
    """A retry_after of years counts as a day."""
    suspended = stage.once(
        lambda durable: durable.record("call", raiser(busy(retry_after=asked)), Retry(attempts=2))
    )
    assert suspended.wake == stage.clock + LONGEST_RETRY_AFTER


def test_a_run_woken_too_early_sleeps_again(stage: Stage) -> None:
    """Without another poll."""
    calls = []

    def run(durable: ReplayDurable) -> Any:
        return durable.wait_until("gone", lambda: calls.append(1), 10.0, 60.0)

    stage.once(run)
    stage.clock += 5
    assert stage.once(run).wake == 1_010.0
    assert len(calls) == 1


def test_a_finished_sleep_is_not_repeated(stage: Stage) -> None:
    """It is recorded, so that setting the clock back does not repeat it."""

    def run(durable: ReplayDurable) -> str:
        durable.sleep("pause", 10)
        return "awake"

    stage.through(run)
    stage.clock = 0.0
    assert stage.once(run) == "awake"


# --- cancel -------------------------------------------------------------------------------------------


def test_a_cancel_takes_effect_at_the_next_operation_and_is_used_up(stage: Stage) -> None:
    """The operation's outcome is the cancel; the one after it works, so that a final status can be posted."""

    def run(durable: ReplayDurable) -> str:
        durable.record("first", lambda: 1)
        stage.cancel = "ada"
        try:
            durable.record("second", lambda: 2)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return f"{error.step}: {error.kind}: {error.message}"
        return "not told"

    assert stage.once(run) == "second: cancelled: cancelled by ada"
    assert stage.stored["second"].state == "cancelled"
    assert stage.stored["final"].state == "ok"
    assert stage.cancel is None


def test_cancel_is_replayed_where_it_happened(stage: Stage) -> None:
    """A replay raises it at the same place, even though the request is used up."""

    def run(durable: ReplayDurable) -> str:
        try:
            durable.record("second", lambda: 2)
        except RunCancelled as error:
            durable.sleep("pause", 10)
            return error.message
        return "not told"

    stage.cancel = "ada"
    assert stage.through(run) == "cancelled by ada"
    assert stage.executions == 2


@pytest.mark.parametrize("kind", ["sleep", "wait", "retry"])
def test_a_cancel_interrupts_a_wait(stage: Stage, kind: str) -> None:
    """A sleep, a wait, and a pause between two attempts end early, without another call."""
    calls = []

    def call() -> None:
        calls.append(1)

    def busy_call() -> None:
        calls.append(1)
        raise busy()

    def run(durable: ReplayDurable) -> str:
        try:
            if kind == "sleep":
                durable.sleep("op", 100)
            elif kind == "wait":
                durable.wait_until("op", call, 100, 1_000)
            else:
                durable.record("op", busy_call, Retry(attempts=5, backoff=Backoff(first=100)))
        except RunCancelled as error:
            return error.step
        return "not told"

    assert isinstance(stage.once(run), Suspended)
    before = len(calls)
    stage.cancel = "ada"
    assert stage.once(run) == "op"
    assert len(calls) == before


# --- crashes ------------------------------------------------------------------------------------------


def test_an_operation_that_crashed_the_process_once_is_tried_again(stage: Stage) -> None:
    """Once may be bad luck; the interrupted attempt counts."""
    stage.crash_count = 1
    assert stage.once(lambda durable: durable.record("script", lambda: "done")) == "done"
    assert stage.stored["script"].tries == 2
    assert stage.crash_count == 0


def test_deaths_with_several_runs_in_progress_fail_no_operation(stage: Stage) -> None:
    """Any of them may have been the cause."""
    stage.crash_count = 100
    assert stage.once(lambda durable: durable.record("script", lambda: "done")) == "done"


def test_an_operation_that_kills_the_process_each_time_it_is_alone_fails(stage: Stage) -> None:
    """By name, recorded with its attempts; the operations after it work."""
    stage.death_count = MAX_DEATHS
    stage.crash_count = 1
    calls = []

    def run(durable: ReplayDurable) -> str:
        try:
            durable.record("script", lambda: calls.append(1))
        except StepFailed as error:
            kind = error.kind
            return str(durable.record("final", lambda: kind))
        return "ran"

    assert stage.once(run) == "crashed"
    assert calls == []
    assert (stage.stored["script"].state, stage.stored["script"].tries) == ("error", 1)


def test_a_cancel_ends_a_suspicion(stage: Stage) -> None:
    """Recording the cancel is progress, even though nothing was tried again since the process died."""
    stage.stored["run-1"] = Operation("run-1", 1, "wait", "waiting", '{"marked": true}', 0, None, 1.0, None)
    stage.death_count = 2

    def run(durable: ReplayDurable) -> None:
        durable.wait_until("run-1", durable.begin_effect, 1.0, 60.0)
        stage.cancel = "ada"
        with pytest.raises(RunCancelled):
            durable.record("begin-2", lambda: None)

    stage.once(run)
    assert stage.death_count == 0


def test_one_death_fewer_does_not_fail_the_operation(stage: Stage) -> None:
    """The machine may have been switched off each time."""
    stage.death_count = MAX_DEATHS - 1
    assert stage.once(lambda durable: durable.record("script", lambda: "done")) == "done"
    assert stage.death_count == 0


def test_an_interrupted_operation_is_ended_before_its_step_fails(stage: Stage) -> None:
    """A script's children may live: the operation is told of the interruption, and the next one fails."""
    stage.stored["run-1"] = Operation("run-1", 1, "wait", "waiting", '{"marked": true}', 0, None, 1.0, None)
    stage.death_count = MAX_DEATHS
    begun: list[int] = []

    def run(durable: ReplayDurable) -> str:
        assert durable.wait_until("run-1", durable.begin_effect, 1.0, 60.0) == "again"
        try:
            durable.record("begin-2", lambda: begun.append(2))
        except StepFailed as error:
            kind = error.kind
            return str(durable.record("end", lambda: kind))
        return "ran"

    assert stage.once(run) == "crashed"
    assert begun == []


def test_a_new_attempt_after_an_interruption_is_no_progress(stage: Stage) -> None:
    """Otherwise a script that kills the process would look new each time: each attempt has operations of its own."""
    stage.stored["run-1"] = Operation("run-1", 1, "wait", "waiting", '{"marked": true}', 0, None, 1.0, None)
    stage.death_count = 2
    seen: list[int] = []

    def poll(durable: ReplayDurable) -> str:
        begin = durable.begin_effect()
        seen.append(stage.death_count)
        return begin

    def run(durable: ReplayDurable) -> None:
        durable.wait_until("run-1", lambda: poll(durable), 1.0, 60.0)
        durable.record("begin-2", lambda: seen.append(stage.death_count))
        assert durable.wait_until("run-2", lambda: poll(durable), 1.0, 60.0) == "begun"

    stage.once(run)
    assert seen == [2, 2, 2]
    assert stage.death_count == 0, "the new try came to its end"


def test_a_begun_effect_is_no_progress(stage: Stage) -> None:
    """Its beginning is stored before it does anything."""
    stage.death_count = 2
    seen: list[int] = []

    def poll(durable: ReplayDurable) -> bool:
        durable.begin_effect()
        seen.append(stage.death_count)
        assert stage.stored["run-1"].tries == 0, "the try counts when it ends, or as a crash"
        return True

    stage.once(lambda durable: durable.wait_until("run-1", lambda: poll(durable), 1.0, 60.0))
    assert (seen, stage.death_count) == ([2], 0)


def test_a_poll_that_kills_the_process_each_time_it_is_alone_fails_its_wait(stage: Stage) -> None:
    """A destructive call is the poll of a wait; it can kill the process like any other."""
    stage.death_count = MAX_DEATHS
    with pytest.raises(StepFailed) as caught:
        stage.once(lambda durable: durable.wait_until("delete", lambda: "done", 1.0, 60.0))
    assert caught.value.kind == "crashed"


def test_recorded_operations_are_replayed_whatever_the_crash_count(stage: Stage) -> None:
    """Only the first operation without a record is a suspect."""
    stage.once(lambda durable: durable.record("done", lambda: 1))
    stage.death_count = MAX_DEATHS
    assert stage.once(lambda durable: durable.record("done", lambda: 2)) == 1


# --- draining -----------------------------------------------------------------------------------------


def test_a_draining_engine_begins_no_operation(stage: Stage) -> None:
    """The run is unwound there, and continues at the next start."""
    calls = []

    def first() -> None:
        calls.append("first")
        stage.stopping = True

    def run(durable: ReplayDurable) -> None:
        durable.record("first", first)
        durable.record("second", lambda: calls.append("second"))

    assert isinstance(stage.once(run), Suspended)
    assert calls == ["first"]
    stage.stopping = False
    stage.once(run)
    assert calls == ["first", "second"]


# --- laws ---------------------------------------------------------------------------------------------


@given(
    plan=st.lists(st.sampled_from(["record", "fail", "retry", "sleep", "wait"]), min_size=1, max_size=8),
    crash_points=st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=6),
)
def test_a_recorded_operation_never_runs_again(plan: list[str], crash_points: list[tuple[int, bool]]) -> None:
    """Whatever the operations and wherever the process dies: a recorded outcome is final and replayed."""
    stage = Stage()
    repeats: list[str] = []
    outcomes: dict[str, set[str]] = {}
    crashes = list(crash_points)

    def arm() -> None:
        if crashes:
            later, after_commit = crashes.pop()
            stage.crash_at_save, stage.crash_after_commit = stage.saves + later, after_commit
        else:
            stage.crash_at_save = None

    def effect(name: str, tries: dict[str, int], kind: str) -> Any:
        def call() -> Any:
            if name in stage.stored and stage.stored[name].state != "waiting":
                repeats.append(name)
            tries[name] = tries.get(name, 0) + 1
            if kind == "fail":
                raise ValueError(name)
            if kind == "retry" and tries[name] < 3:
                raise busy()
            return None if kind == "wait" and tries[name] < 3 else name

        return call

    tries: dict[str, int] = {}

    def run(durable: ReplayDurable) -> str:
        if stage.crash_at_save is None or stage.saves >= stage.crash_at_save:
            arm()
        for number, kind in enumerate(plan):
            name = f"{kind}-{number}"
            call = effect(name, tries, kind)
            try:
                if kind == "sleep":
                    durable.sleep(name, 3)
                    result = "slept"
                elif kind == "wait":
                    result = durable.wait_until(name, call, 2, 100)
                else:
                    result = durable.record(name, call, Retry(attempts=9) if kind == "retry" else None)
            except StepFailed as error:
                result = f"{error.kind}: {error.message}"
            outcomes.setdefault(name, set()).add(str(result))
        return "end"

    assert stage.through(run) == "end"
    assert repeats == []
    assert all(len(seen) == 1 for seen in outcomes.values()), outcomes
    assert list(stage.stored) == [f"{kind}-{number}" for number, kind in enumerate(plan)]


def test_a_cancelled_sleep_is_cancelled_in_each_replay(stage: Stage) -> None:
    """The operations after it continue."""
    told: list[str] = []

    def run(durable: ReplayDurable) -> str:
        try:
            durable.sleep("grace", 60.0)
        except RunCancelled as error:
            told.append(error.message)
            durable.sleep("a moment", 1.0)
            return "cancelled"
        return "slept"

    stage.once(run)
    stage.cancel = "ada"
    assert stage.through(run) == "cancelled"
    assert told == ["cancelled by ada"] * 2
