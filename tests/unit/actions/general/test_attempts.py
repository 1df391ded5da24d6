"""Attempts: an effect that cannot be verified runs again only if it learns that it may have run before."""

from __future__ import annotations

from functools import partial
from operator import eq
from typing import Any

import pytest

from closeout.actions.general import attempts
from closeout.core.errors import ActionFailed, ServiceError
from closeout.core.retry import Backoff, Retry
from tests.unit.actions.general.parts import nothing
from tests.work import Crashed, ImmediateWork


class Scripted(attempts.Attempt):
    """An attempt with a scripted end, which records its calls."""

    def __init__(self, done: list[str], *failures: str) -> None:
        self.done = done
        self.failures = list(failures)

    def begin(self) -> Any:
        """Begin."""
        self.done.append("begin")
        return {"mark": len(self.done)}

    def run(self, attempt: int) -> dict[str, Any]:
        """Run."""
        self.done.append(f"run {attempt}")
        return {"failed": self.failures.pop(0) if self.failures else None}

    def end_earlier(self, begun: Any) -> None:
        """End."""
        self.done.append(f"end {begun['mark']}")

    def dispose(self) -> None:
        """Dispose."""
        self.done.append("dispose")


def test_a_successful_attempt_runs_once() -> None:
    """Begin, run, done; a replay runs nothing."""
    done: list[str] = []
    kept: dict[str, Any] = {}
    attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))
    assert done == ["begin", "run 1", "dispose"]
    attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))
    assert done[3:] == []


def test_a_crash_in_the_middle_raises_the_number() -> None:
    """The second process ends what the first one left, and the number says that it may have run before."""
    done: list[str] = []
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        attempts.carry_out(
            ImmediateWork(nothing(), operations=kept, crash=lambda name: name == "run-1"),
            lambda: Scripted(done),
        )
    attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))
    assert done == ["begin", "run 1", "dispose", "end 1", "begin", "run 2", "dispose"]


def test_a_crash_before_the_beginning_was_stored_leaves_a_first_attempt() -> None:
    """Nothing can have run yet."""
    done: list[str] = []
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        attempts.carry_out(
            ImmediateWork(nothing(), operations=kept, crash=lambda name: name == "begin-1"),
            lambda: Scripted(done),
        )
    attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))
    assert done == ["begin", "dispose", "begin", "run 1", "dispose"]


def test_a_rerun_counts_from_its_attempt() -> None:
    """In attempt 3 of the run, the step may run for the third time."""
    done: list[str] = []
    attempts.carry_out(ImmediateWork(nothing(), execution="a" * 26 + "-3"), lambda: Scripted(done))
    assert done[1] == "run 3"


def test_failures_are_tried_again_as_often_as_the_step_says() -> None:
    """With the step's own waits, which block no thread."""
    done: list[str] = []
    failures = ["a", "b", "c"]
    retry = Retry(attempts=3, backoff=Backoff(first=2.0, factor=2.0))
    work = ImmediateWork(nothing(), retry=retry)
    with pytest.raises(ActionFailed, match="c"):
        attempts.carry_out(work, lambda: Scripted(done, *([failures.pop(0)] if failures else [])))
    assert [entry for entry in done if entry.startswith("run")] == ["run 1", "run 2", "run 3"]
    assert work.slept == [2.0, 4.0]


def test_an_attempt_that_a_guard_holds_does_not_count() -> None:
    """A pause, or a pull request that cannot be read: nothing has run yet."""
    done: list[str] = []
    held = [1, 1]

    def guard(_name: str) -> None:
        if held:
            held.pop()
            raise ServiceError("not now", service="s", operation="o", reason="r", transient=True)

    attempts.carry_out(ImmediateWork(nothing(), guard=guard), lambda: Scripted(done))
    assert done == ["begin", "run 1", "dispose"]


def test_an_attempt_that_ended_before_it_ran_does_not_count() -> None:
    """A pause suspends the run, or the process dies during one: whichever process continues, nothing has run."""
    done: list[str] = []
    kept: dict[str, Any] = {}

    class Suspending(ImmediateWork):
        def change(self, name: str, call: Any, on_interrupted: Any = None, *, look: Any = None) -> Any:
            raise Crashed(name)

    with pytest.raises(Crashed):
        attempts.carry_out(Suspending(nothing(), operations=kept), lambda: Scripted(done))
    work = ImmediateWork(nothing(), operations=kept)
    attempts.carry_out(work, lambda: Scripted(done))
    assert done == ["begin", "dispose", "end 1", "begin", "run 1", "dispose"]
    assert work.lines == []


def test_an_attempt_that_may_have_run_counts() -> None:
    """Its beginning is in the ledger and its end is not; the next process knows no more than that."""
    done: list[str] = []
    kept: dict[str, Any] = {"begin-1": {"value": {"mark": 1}}, "run-1": {"marked": True}}
    work = ImmediateWork(nothing(), operations=kept)
    attempts.carry_out(work, lambda: Scripted(done))
    assert done == ["end 1", "begin", "run 2", "dispose"]
    assert work.lines == ["attempt 1 was interrupted before its end was recorded; it may have run in part"]


def test_only_the_engine_counts_deaths() -> None:
    """Only it knows whether the step ran alone."""
    done: list[str] = []
    kept: dict[str, Any] = {}
    for number in range(1, 10):
        work = ImmediateWork(nothing(), operations=kept, crash=partial(eq, f"run-{number}"))
        with pytest.raises(Crashed):
            attempts.carry_out(work, lambda: Scripted(done))
    assert (
        attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))["failed"]
        is None
    )


def test_a_step_that_an_earlier_version_gave_up_is_not_run_again_on_replay() -> None:
    """It gave up after two deaths; the run may still be open, and its later steps replay this one."""
    cut_off = {"value": {"result": {"interrupted": True, "ran": True, "crashed": True}}}
    kept: dict[str, Any] = {}
    for number in (1, 2):
        kept |= {f"begin-{number}": {"value": {"mark": number}}, f"run-{number}": cut_off}
    done: list[str] = []
    with pytest.raises(ActionFailed, match="the server died 2 times while it ran"):
        attempts.carry_out(ImmediateWork(nothing(), operations=kept), lambda: Scripted(done))
    assert done == []


def test_endless_restarts_end_an_attempt() -> None:
    """A script that takes longer than the server's life must not begin again forever."""

    class CutOff(ImmediateWork):
        def change(self, name: str, call: Any, on_interrupted: Any = None, *, look: Any = None) -> Any:
            return super().change(name, on_interrupted)

    with pytest.raises(ActionFailed, match=f"interrupted {attempts.LIMIT} times"):
        attempts.carry_out(CutOff(nothing()), lambda: Scripted([]))


def test_interruptions_are_limited() -> None:
    """Each in another process, which ends what the one before has begun."""
    for interrupted in (attempts.LIMIT - 1, attempts.LIMIT):
        kept: dict[str, Any] = {
            f"begin-{number}": {"value": {"mark": number}} for number in range(1, interrupted + 1)
        }
        done: list[str] = []
        work = ImmediateWork(nothing(), operations=kept)
        if interrupted < attempts.LIMIT:
            attempts.carry_out(work, partial(Scripted, done))
            assert done[-2:] == ["run 1", "dispose"]
        else:
            with pytest.raises(ActionFailed, match=f"interrupted {attempts.LIMIT} times"):
                attempts.carry_out(work, partial(Scripted, done))
        assert len([entry for entry in done if entry.startswith("end")]) == interrupted
