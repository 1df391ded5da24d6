"""What every `Durable` must do, written over a small harness so that another engine can pass the same suite.

A subclass has a fixture `harness`. A test passes it a run function and checks the result; how often and where the
engine executes that function does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from closeout.core.errors import ServiceError, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.ports import Durable, Ending, Execution, RunFunction


class Harness(Protocol):
    """Runs run functions on one engine."""

    tick: float
    """The shortest wait that the engine can make, in seconds."""

    def run(self, function: RunFunction, body: bytes = b"{}") -> Ending:
        """Run a function from acceptance to its end."""
        ...


def busy(message: str = "slow down", retry_after: float | None = None) -> ServiceError:
    """A transient error."""
    return ServiceError(
        message, service="s3", operation="Delete", reason="SlowDown", transient=True, retry_after=retry_after
    )


def denied() -> ServiceError:
    """An error that no retry will cure."""
    return ServiceError("access denied", service="s3", operation="Delete", reason="AccessDenied")


class Calls:
    """A function that counts its calls and goes through a list of outcomes, staying at the last."""

    def __init__(self, *outcomes: Any) -> None:
        self.count = 0
        self._outcomes = outcomes

    def __call__(self) -> Any:
        outcome = self._outcomes[min(self.count, len(self._outcomes) - 1)]
        self.count += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def ends(function: Callable[[Durable], Any]) -> RunFunction:
    """Make a run function of one that only makes durable calls."""

    def run(durable: Durable, execution: Execution) -> Ending:
        function(durable)
        return Ending("success", "done")

    return run


def failure_of(harness: Harness, call: Callable[[Durable], Any]) -> list[tuple[type, str, str, str]]:
    """Return what `call` raised in each execution of a run: when it happened and on the replay after a sleep."""
    raised: list[tuple[type, str, str, str]] = []

    def run(durable: Durable) -> None:
        try:
            call(durable)
        except StepFailed as error:
            raised.append((type(error), error.step, error.kind, error.message))
        durable.sleep("after", harness.tick)

    assert harness.run(ends(run)).verdict == "success"
    return raised


class DurableSuite:
    """The contract of `ports.Durable`."""

    # --- record -----------------------------------------------------------------------------------------

    def test_a_recorded_function_runs_once_and_its_result_is_replayed(self, harness: Harness) -> None:
        """However often the run is executed, the function is called once and the result is the same."""
        call = Calls({"stack": "preview-17"})
        seen: list[Any] = []

        def run(durable: Durable) -> None:
            seen.append(durable.record("plan", call))
            durable.sleep("a", harness.tick)
            durable.sleep("b", harness.tick)

        harness.run(ends(run))
        assert call.count == 1
        assert len(seen) >= 2
        assert all(value == {"stack": "preview-17"} for value in seen)

    def test_a_result_comes_back_as_json_already_the_first_time(self, harness: Harness) -> None:
        """Tuples are lists and integer keys strings on first execution, exactly as on replay."""
        seen: list[Any] = []

        def run(durable: Durable) -> None:
            seen.append(durable.record("shape", lambda: {"tuple": (1, 2), 3: "key", "text": "größer ☃ \0"}))
            durable.sleep("after", harness.tick)

        harness.run(ends(run))
        assert seen[0] == {"tuple": [1, 2], "3": "key", "text": "größer ☃ \0"}
        assert seen[0] == seen[-1]

    def test_changing_a_result_does_not_change_what_is_recorded(self, harness: Harness) -> None:
        """A run function that alters a result alters its own copy."""
        seen: list[Any] = []

        def run(durable: Durable) -> None:
            value = durable.record("list", lambda: [1])
            seen.append(list(value))
            value.append(2)
            durable.sleep("after", harness.tick)

        harness.run(ends(run))
        assert all(value == [1] for value in seen)

    def test_none_is_a_result_like_any_other(self, harness: Harness) -> None:
        """A recorded None is not taken for "not recorded"."""
        call = Calls(None)

        def run(durable: Durable) -> None:
            assert durable.record("nothing", call) is None
            durable.sleep("after", harness.tick)

        harness.run(ends(run))
        assert call.count == 1

    def test_an_error_is_kept_with_its_code_and_raised_again(self, harness: Harness) -> None:
        """The first execution and every replay raise an equal StepFailed, and the function is not called again."""
        call = Calls(denied())
        raised = failure_of(harness, lambda durable: durable.record("drop", call))
        assert call.count == 1
        assert len(raised) >= 2
        assert set(raised) == {(StepFailed, "drop", "service-error", "access denied")}

    def test_a_foreign_error_is_kept_with_the_name_of_its_type(self, harness: Harness) -> None:
        """An exception that is not closeout's has its type's name as kind."""
        raised = failure_of(harness, lambda durable: durable.record("drop", Calls(KeyError("x"))))
        assert set(raised) == {(StepFailed, "drop", "KeyError", "'x'")}

    def test_a_function_that_exits_the_interpreter_fails_its_operation(self, harness: Harness) -> None:
        """sys.exit() in a recorded function is that operation's error; the run goes on."""
        raised = failure_of(harness, lambda durable: durable.record("exit", Calls(SystemExit(3))))
        assert {(kind, step) for _, step, kind, _ in raised} == {("SystemExit", "exit")}

    @pytest.mark.parametrize(
        "value", [{1, 2}, object(), float("nan"), b"bytes"], ids=["set", "object", "nan", "bytes"]
    )
    def test_a_result_that_is_not_json_fails_the_operation(self, harness: Harness, value: object) -> None:
        """A result that JSON cannot carry is the operation's error, on replay too; it is not called again."""
        call = Calls(value)
        raised = failure_of(harness, lambda durable: durable.record("odd", call))
        assert {kind for _, _, kind, _ in raised} == {"not-json"}
        assert call.count == 1

    def test_a_result_over_200_kb_fails_the_operation(self, harness: Harness) -> None:
        """The limit is the same everywhere, so that a run that works on one machine works on AWS."""
        raised = failure_of(harness, lambda durable: durable.record("big", Calls("x" * 200_001)))
        assert {kind for _, _, kind, _ in raised} == {"result-too-large"}

    def test_a_result_just_under_the_limit_is_kept(self, harness: Harness) -> None:
        """199 KB are fine."""
        seen: list[int] = []
        harness.run(ends(lambda durable: seen.append(len(durable.record("big", lambda: "x" * 199_000)))))
        assert seen[-1] == 199_000

    def test_a_name_may_be_used_once(self, harness: Harness) -> None:
        """A second operation of one name is a named error, not a silent replay of the first."""

        def twice(durable: Durable) -> None:
            durable.record("same", lambda: 1)
            durable.record("same", lambda: 2)

        raised = failure_of(harness, twice)
        assert {kind for _, _, kind, _ in raised} == {"duplicate-name"}

    def test_a_durable_call_inside_a_recorded_function_is_an_error(self, harness: Harness) -> None:
        """It could not be replayed, since a replay does not call the outer function."""
        raised = failure_of(
            harness, lambda durable: durable.record("outer", lambda: durable.record("inner", lambda: 1))
        )
        assert {(step, kind) for _, step, kind, _ in raised} == {("outer", "nested-call")}

    # --- retry ------------------------------------------------------------------------------------------

    def test_a_transient_error_is_tried_again(self, harness: Harness) -> None:
        """With `retry`, the function is called until it works, and only its result counts."""
        call = Calls(busy(), busy(), "gone")
        seen: list[Any] = []
        retry = Retry(attempts=3, backoff=Backoff(first=harness.tick))
        harness.run(ends(lambda durable: seen.append(durable.record("delete", call, retry))))
        assert (call.count, seen[-1]) == (3, "gone")

    def test_retry_ends_after_its_attempts(self, harness: Harness) -> None:
        """The last transient error is the operation's error."""
        call = Calls(busy("still busy"))
        retry = Retry(attempts=2, backoff=Backoff(first=harness.tick))
        raised = failure_of(harness, lambda durable: durable.record("delete", call, retry))
        assert call.count == 2
        assert set(raised) == {(StepFailed, "delete", "service-error", "still busy")}

    @pytest.mark.parametrize("error", [denied(), ValueError("no")], ids=["permanent", "foreign"])
    def test_other_errors_are_not_tried_again(self, harness: Harness, error: Exception) -> None:
        """Only `CloseoutError.transient` is worth another try."""
        call = Calls(error)
        failure_of(harness, lambda durable: durable.record("delete", call, Retry(attempts=5)))
        assert call.count == 1

    def test_a_service_is_not_called_sooner_than_its_retry_after(self, harness: Harness) -> None:
        """`retry_after` is a lower bound of the wait."""
        times: list[float] = []

        def call() -> str:
            times.append(time.time())
            if len(times) == 1:
                raise busy(retry_after=harness.tick * 10)
            return "ok"

        retry = Retry(attempts=2, backoff=Backoff(first=harness.tick))
        harness.run(ends(lambda durable: durable.record("call", call, retry)))
        assert times[1] - times[0] >= harness.tick * 9.9

    # --- sleep ------------------------------------------------------------------------------------------

    def test_sleep_waits_at_least_as_long_as_asked(self, harness: Harness) -> None:
        """And what comes after it sees what came before it."""
        times: list[float] = []

        def stamp() -> float:
            times.append(time.time())
            return times[-1]

        def run(durable: Durable) -> None:
            durable.record("before", stamp)
            durable.sleep("pause", harness.tick * 5)
            durable.record("after", stamp)

        harness.run(ends(run))
        assert len(times) == 2
        assert times[1] - times[0] >= harness.tick * 5

    def test_sleep_of_nothing_returns(self, harness: Harness) -> None:
        """Zero seconds are no wait."""
        assert harness.run(ends(lambda durable: durable.sleep("pause", 0))).verdict == "success"

    # --- wait_until -------------------------------------------------------------------------------------

    def test_wait_until_polls_until_there_is_an_answer(self, harness: Harness) -> None:
        """The first answer that is not None is kept; a replay does not poll again."""
        poll = Calls(None, None, {"state": "DELETE_COMPLETE"})
        seen: list[Any] = []

        def run(durable: Durable) -> None:
            seen.append(durable.wait_until("gone", poll, harness.tick, 30))
            durable.sleep("after", harness.tick)

        harness.run(ends(run))
        assert poll.count == 3
        assert seen[-1] == seen[0] == {"state": "DELETE_COMPLETE"}

    def test_false_and_zero_are_answers(self, harness: Harness) -> None:
        """Only None means "not yet"."""
        seen: list[Any] = []
        harness.run(ends(lambda durable: seen.append(durable.wait_until("zero", Calls(0), harness.tick, 30))))
        assert seen[-1] == 0

    def test_wait_until_takes_a_backoff(self, harness: Harness) -> None:
        """Polls may become rarer."""
        poll = Calls(None, None, "done")
        every = Backoff(first=harness.tick, factor=2.0, cap=1.0)
        harness.run(ends(lambda durable: durable.wait_until("gone", poll, every, 30)))
        assert poll.count == 3

    def test_a_transient_error_in_a_poll_is_not_yet(self, harness: Harness) -> None:
        """Throttling does not end a wait."""
        poll = Calls(busy(), None, "done")
        seen: list[Any] = []
        harness.run(ends(lambda durable: seen.append(durable.wait_until("gone", poll, harness.tick, 30))))
        assert seen[-1] == "done"

    def test_another_error_in_a_poll_ends_the_wait(self, harness: Harness) -> None:
        """It is kept as the operation's error and raised again on replay."""
        poll = Calls(None, denied())
        raised = failure_of(harness, lambda durable: durable.wait_until("gone", poll, harness.tick, 30))
        assert set(raised) == {(StepFailed, "gone", "service-error", "access denied")}
        assert poll.count == 2

    def test_a_wait_ends_at_its_timeout_and_names_the_last_error(self, harness: Harness) -> None:
        """WaitTimeout names the operation, the time, and the last transient error."""
        poll = Calls(busy("rate exceeded"))
        raised = failure_of(
            harness, lambda durable: durable.wait_until("gone", poll, harness.tick, harness.tick * 3)
        )
        assert {(kind, step, code) for kind, step, code, _ in raised} == {
            (WaitTimeout, "gone", "wait-timeout")
        }
        assert all("rate exceeded" in message for *_, message in raised)
        assert poll.count >= 2

    def test_at_least_one_poll_is_made(self, harness: Harness) -> None:
        """Even with no time at all."""
        seen: list[Any] = []
        harness.run(
            ends(lambda durable: seen.append(durable.wait_until("gone", Calls("yes"), harness.tick, 0)))
        )
        assert seen[-1] == "yes"

    # --- what cannot be asked whether it has happened -----------------------------------------------------

    def test_a_poll_that_was_held_before_its_effect_has_begun_nothing(self, harness: Harness) -> None:
        """However often it was held, and even if each poll ran in another process."""
        held = Calls(None, busy(), "go")
        begins: list[str] = []

        def run(durable: Durable) -> None:
            def poll() -> Any:
                if held() is None:
                    return None
                begins.append(durable.begin_effect())
                return "done"

            durable.wait_until("effect", poll, harness.tick, 30)

        harness.run(ends(run))
        assert (held.count, begins) == (3, ["begun"])

    def test_a_begun_effect_stays_marked_until_the_operation_ends(self, harness: Harness) -> None:
        """A poll that failed after its effect began may have had its effect. The next operation starts unmarked."""
        effect = Calls(busy("cut off"), busy("cut off"), "done")
        begins: list[str] = []

        def run(durable: Durable) -> None:
            def poll() -> Any:
                begins.append(durable.begin_effect())
                return effect()

            durable.wait_until("effect", poll, harness.tick, 30)
            durable.wait_until("next", poll, harness.tick, 30)

        harness.run(ends(run))
        assert begins == ["begun", "again", "again", "begun"]

    def test_an_effect_begins_only_inside_a_poll(self, harness: Harness) -> None:
        """Anywhere else nothing could end it."""
        raised = failure_of(harness, lambda durable: durable.record("call", durable.begin_effect))
        assert {(step, kind) for _, step, kind, _ in raised} == {("call", "misplaced-call")}

    # --- the run ----------------------------------------------------------------------------------------

    def test_the_run_function_gets_its_execution(self, harness: Harness) -> None:
        """The same one in every execution: what was accepted, byte for byte."""
        seen: list[Execution] = []

        def run(durable: Durable, execution: Execution) -> Ending:
            seen.append(execution)
            durable.sleep("pause", harness.tick)
            return Ending("skipped", "nothing to do")

        assert harness.run(run, body=b'{"number": 17}') == Ending("skipped", "nothing to do")
        assert len(seen) >= 2
        assert len(set(seen)) == 1
        assert seen[0].body == b'{"number": 17}'
        assert seen[0].id == f"{seen[0].run_id}-{seen[0].attempt}"

    def test_a_run_function_that_swallows_everything_cannot_swallow_a_wait(self, harness: Harness) -> None:
        """Even `except BaseException` around a wait does not end it early."""
        poll = Calls(None, None, "done")
        seen: list[Any] = []

        def run(durable: Durable) -> None:
            try:
                seen.append(durable.wait_until("gone", poll, harness.tick, 30))
            except BaseException:  # as some user's function will
                seen.append("swallowed")

        harness.run(ends(run))
        assert seen[-1] == "done"
        assert poll.count == 3
