"""The in-memory `Work`: what it keeps, and what it refuses that a real engine would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.errors import RunCancelled, ServiceError, StepFailed, WaitTimeout
from closeout.core.retry import Retry
from tests.work import Crashed, ImmediateWork


def work(**given: Any) -> ImmediateWork:
    """A `Work` without clients that never waits."""
    return ImmediateWork(None, pause=lambda _: None, **given)  # type: ignore[arg-type]


def busy() -> ServiceError:
    """A transient error."""
    return ServiceError("busy", service="s", operation="o", reason="Throttling", transient=True)


def test_a_result_is_kept() -> None:
    """A function runs once; a replay reads what was kept."""
    first = work()
    assert first.record("a", lambda: {"n": 1}) == {"n": 1}
    again = work(operations=first.operations)
    assert again.record("a", lambda: pytest.fail("ran again")) == {"n": 1}


def test_an_error_is_kept_as_data() -> None:
    """An error is raised as StepFailed with its code, now and on replay."""
    first = work()

    def fail() -> None:
        raise ServiceError("no", service="s", operation="o", reason="AccessDenied")

    for runner in (first, work(operations=first.operations)):
        with pytest.raises(StepFailed) as caught:
            runner.record("a", fail)
        assert (caught.value.step, caught.value.kind) == ("a", "service-error")


def test_transient_errors_wait() -> None:
    """A guarded call and a wait try again; a recorded one only with a retry."""
    errors = [busy(), busy()]

    def call() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert work().change("a", call) == "done"
    errors = [busy()]
    assert work().record("a", call, Retry(attempts=2)) == "done"
    errors = [busy()]
    with pytest.raises(StepFailed):
        work().record("a", call)


def test_a_wait_has_an_end() -> None:
    """A poll that never gives an answer is a WaitTimeout."""
    with pytest.raises(WaitTimeout):
        work(polls=3).wait_until("a", lambda: None, 1.0)


def test_a_guard_cancels_for_ever() -> None:
    """What a guard raises is the outcome, also on replay; the call is not made."""

    def guard(name: str) -> None:
        raise RunCancelled(name, "reopened", "open again")

    first = work(guard=guard)
    for runner in (first, work(operations=first.operations)):
        with pytest.raises(RunCancelled):
            runner.change("a", lambda: pytest.fail("called"))


def test_a_crash_loses_the_record() -> None:
    """The process dies between an effect and its record: the effect comes again."""
    effects: list[int] = []
    operations: dict[str, Any] = {}
    with pytest.raises(Crashed):
        work(operations=operations, crash=lambda _: True).change("a", lambda: effects.append(1))
    work(operations=operations).change("a", lambda: effects.append(1))
    assert effects == [1, 1]


@pytest.mark.parametrize(
    "cheat",
    [
        lambda it: it.record("a", lambda: it.record("b", lambda: 1)),
        lambda it: it.log("outside"),
        lambda it: it.record("a", lambda: "x" * 200_001),
    ],
    ids=["nested", "log outside", "too large"],
)
def test_cheating_is_refused(cheat: Any) -> None:
    """Nested durable calls, lines that a replay would repeat, and large results fail the test that makes them."""
    with pytest.raises(AssertionError):
        cheat(work())


def test_results_are_json() -> None:
    """A result that JSON cannot hold is refused."""
    with pytest.raises(TypeError):
        work().record("a", lambda: {1, 2})
