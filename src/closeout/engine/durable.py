"""`Durable` by replay: return what was recorded, execute what was not, and unwind the run function to wait.

The engine calls a run function from its start each time. Recorded operations return their stored results; the first
operation that is not recorded is executed. To wait, `Suspended` unwinds the run function, and the engine calls it again
later, so a thousand waiting runs occupy no thread. What an operation decides is committed before the run function
continues.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from closeout.core.errors import CloseoutError, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import CRASHED, MAX_DEATHS, CancelDelivered, Outcome, Parked, RunState
from closeout.engine.results import encode, failure, recorded_error
from closeout.ports import EffectBegin, Json, Operation

if TYPE_CHECKING:
    from closeout.engine.schedule import Task

RunCounters: TypeAlias = "RunState | Task"
"""An engine's present view of a run: `crashes`, `deaths`, `suspected` and `cancel` of both are read."""

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds that a service may ask us to wait: a day, so that no answer can park a run forever."""

LATE = 2.0
"""Seconds that storing the begin of an effect may take. After that, the checks before it are too old to act on."""


class Suspended(BaseException):
    """Unwinds a run function until `wake`. Not an `Exception`, because user code must not catch it."""

    def __init__(self, wake: float) -> None:
        super().__init__(wake)
        self.wake = wake


class Abandoned(BaseException):
    """Unwinds a run function because this process gives it up; another process takes it over."""


class Recorder(Protocol):
    """What the operations of one execution need from its engine."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""

    def redact(self, text: str) -> str:
        """Return an error's message without secrets."""

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, until that is delivered. Raises `Abandoned` if another process has it."""

    @property
    def counters(self) -> RunCounters:
        """The run after the last commit: `crashes` and `deaths` are read."""

    def draining(self) -> bool:
        """Whether the engine is stopping, so that no new operation may begin."""

    def save(
        self,
        operation: Operation,
        *outcomes: Outcome,
        progressed: bool = True,
        later: bool = False,
    ) -> None:
        """Commit an operation and its outcomes for the run. Raises `Abandoned`.

        `progressed` clears the suspicion that the run kills the process. With `later` it may be committed with the next one.
        """


class ReplayDurable:
    """`ports.Durable` of one execution. Used by one thread at a time."""

    def __init__(self, recorder: Recorder, recorded: Iterable[Operation]) -> None:
        self._recorder = recorder
        self._recorded = {operation.name: operation for operation in recorded}
        self._reached: set[str] = set()
        self.inside: str | None = None
        """The name of the operation that is under way."""
        self._polled: Operation | None = None
        """The operation whose poll is under way, as it was when this try began."""
        self._effect_begun = False
        """Whether the effect of that poll has begun, in this try or an earlier one."""
        self._interrupted = False
        """Whether an earlier try may have killed the process and no new one has begun: records are then no progress."""
        self.suspended: float | None = None
        """When to continue, once the run function is unwinding: what it does after that does not count."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is recorded so far."""
        return tuple(self._recorded.values())

    # --- the three calls ------------------------------------------------------------------------------

    def record(
        self, name: str, fn: Callable[[], Json], retry: Retry | None = None, *, later: bool = False
    ) -> Json:
        """Run `fn` once and store its result (see `ports.Durable`)."""
        recorded = self._enter(name)
        if recorded and recorded.state != "waiting":
            return self._replay(recorded)
        self._check_boundary(name, "record", recorded)
        begun = self._next_try(name, "record", recorded)
        try:
            value = self._call(name, fn)
        except CloseoutError as error:
            if not (retry and error.transient and begun.tries < retry.attempts):
                raise self._fail(begun, error) from error
            wait = retry.delay(begun.tries, jitter=self._recorder.jitter(), retry_after=_retry_after(error))
            self._wait(begun, self._recorder.now() + wait, self._waiting_result(error))
        except Exception as error:
            raise self._fail(begun, error) from error
        return self._succeed(begun, value, later=later)

    def sleep(self, name: str, seconds: float) -> None:
        """Wait without occupying a thread."""
        recorded = self._enter(name)
        if recorded and recorded.state != "waiting":
            self._replay(recorded)
            return
        self._check_boundary(name, "sleep", recorded)
        begun = recorded or self._next_try(name, "sleep", None)
        if recorded is None and seconds > 0:
            self._wait(begun, begun.started_at + seconds, None)
        self._succeed(begun, None)

    def wait_until(
        self, name: str, poll: Callable[[], Json | None], every: float | Backoff, timeout: float
    ) -> Json:
        """Call `poll` until it returns something other than None (see `ports.Durable`)."""
        recorded = self._enter(name)
        if recorded and recorded.state != "waiting":
            return self._replay(recorded)
        self._check_boundary(name, "wait", recorded)
        begun = self._next_try(name, "wait", recorded)
        deadline = begun.started_at + timeout
        heard: dict[str, Any] = json.loads(recorded.result) if recorded and recorded.result else {}
        if recorded and heard.get("not_before", 0.0) > self._recorder.now() >= deadline:
            # The service asked us to wait until after the deadline, so another poll would come too early.
            raise self._fail(recorded, self._timed_out(name, timeout, heard))
        self._polled, self._effect_begun = begun, "marked" in heard
        self._interrupted = self._interrupted or self._effect_begun
        try:
            value = self._call(name, poll)
        except CloseoutError as error:
            if not error.transient:
                raise self._fail(begun, error) from error
            heard = self._waiting_result(error)
        except Exception as error:
            raise self._fail(begun, error) from error
        else:
            if value is not None:
                return self._succeed(begun, value)
            heard = {}
        now = self._recorder.now()
        if now >= deadline:
            raise self._fail(begun, self._timed_out(name, timeout, heard))
        delay = every.delay(begun.tries, self._recorder.jitter()) if isinstance(every, Backoff) else every
        # Never earlier than the service asked for, and at the deadline for a last poll.
        wake = min(max(now + max(delay, 0.0), heard.get("not_before", 0.0)), deadline)
        return self._wait(begun, wake, {**heard, **({"marked": True} if self._effect_begun else {})})

    def begin_effect(self) -> EffectBegin:
        """Store that an effect begins now whose result cannot be read later (see `ports.Durable`)."""
        if self.inside is None or self._polled is None or self._polled.name != self.inside:
            where = self.inside or "begin-effect"
            raise StepFailed(where, "misplaced-call", "begin_effect() belongs inside a poll")
        if self._effect_begun:
            return "again"
        asked = self._recorder.now()
        # Do not count this try yet: it counts when its end is stored, or as a crash if the process dies in it.
        tries, marked = self._polled.tries - 1, json.dumps({"marked": True})
        self._save(self._polled._replace(tries=tries, wake=None, result=marked))
        # After a long outage the guards' results are out of date, so they must run again.
        if self._recorder.now() - asked > LATE:
            return "late"
        self._effect_begun, self._interrupted = True, False
        return "begun"

    def cancelled(self) -> bool:
        """Whether somebody has asked to cancel the run (see `ports.Durable`)."""
        return self._recorder.cancelled_by() is not None

    # --- entering -------------------------------------------------------------------------------------

    def _enter(self, name: str) -> Operation | None:
        """Enter an operation; return its record, if any."""
        if self.suspended is not None:
            raise Suspended(self.suspended)
        if self.inside is not None:
            message = f"{name} was called inside {self.inside}: a recorded function makes no durable calls"
            raise StepFailed(name, "nested-call", message)
        if name in self._reached:
            raise StepFailed(name, "duplicate-name", f"this run has two operations named {name}")
        self._reached.add(name)
        return self._recorded.get(name)

    def _replay(self, recorded: Operation) -> Json:
        if recorded.state == "ok":
            return json.loads(recorded.result or "null")
        raise recorded_error(recorded)

    def _check_boundary(self, name: str, kind: str, recorded: Operation | None) -> None:
        """Check before anything new is done whether the run is cancelled, too early, draining, or died too often while alone.

        An operation whose effect has begun may have left processes behind, which it must stop first. So it runs once
        more, and the next operation fails instead.
        """
        recorder = self._recorder
        now = recorder.now()
        by = recorder.cancelled_by()
        if by is not None:
            text = json.dumps({"kind": "cancelled", "message": f"cancelled by {by}"})
            self._interrupted = False
            begun = recorded or self._new(name, kind)
            raise self._end(begun, "cancelled", text, CancelDelivered())
        if recorded and recorded.wake is not None and recorded.wake > now:
            self._suspend(recorded.wake)
        if recorder.draining():
            self._suspend(now)
        deaths = recorder.counters.deaths
        if deaths >= MAX_DEATHS and kind != "sleep" and not _effect_begun(recorded):
            begun = self._next_try(name, kind, recorded)
            self._interrupted = False
            raise self._fail(begun._replace(tries=begun.tries - 1), _crashed(name, deaths))

    def _next_try(self, name: str, kind: str, recorded: Operation | None) -> Operation:
        """Return the operation with one more try; tries that a crash interrupted count."""
        begun = recorded or self._new(name, kind)
        return begun._replace(tries=begun.tries + self._recorder.counters.crashes + 1)

    def _new(self, name: str, kind: str) -> Operation:
        position = len(self._recorded) + 1
        return Operation(name, position, kind, "waiting", None, 0, None, self._recorder.now(), None)

    def _call(self, name: str, fn: Callable[[], Json]) -> Json:
        self.inside = name
        try:
            return fn()
        except (Suspended, Abandoned, Exception):
            raise
        except BaseException as error:
            # sys.exit() in a user's function ends that function, not this thread.
            raise StepFailed(name, type(error).__name__, f"{name} raised {error!r}") from error
        finally:
            self.inside = None

    # --- leaving --------------------------------------------------------------------------------------

    def _succeed(self, operation: Operation, value: Json, *, later: bool = False) -> Json:
        try:
            text = encode(operation.name, value)
        except StepFailed as error:
            raise self._fail(operation, error) from None
        ended_at = self._recorder.now()
        self._save(operation._replace(state="ok", result=text, wake=None, ended_at=ended_at), later=later)
        return json.loads(text)

    def _fail(self, operation: Operation, error: BaseException) -> StepFailed:
        return self._end(operation, "error", failure(error, self._recorder.redact))

    def _end(self, operation: Operation, state: str, text: str, *outcomes: Outcome) -> StepFailed:
        ended = operation._replace(state=state, result=text, wake=None, ended_at=self._recorder.now())
        self._save(ended, *outcomes)
        return recorded_error(ended)

    def _wait(self, operation: Operation, wake: float, heard: dict[str, Any] | None) -> Json:
        waiting = operation._replace(state="waiting", wake=wake, result=json.dumps(heard) if heard else None)
        self._save(waiting, Parked(wake))
        return self._suspend(wake)

    def _save(self, operation: Operation, *outcomes: Outcome, later: bool = False) -> None:
        under_way = operation.state == "waiting" and operation.wake is None
        self._recorder.save(
            operation, *outcomes, progressed=not (under_way or self._interrupted), later=later
        )
        self._recorded[operation.name] = operation

    def _suspend(self, wake: float) -> Json:
        self.suspended = wake
        raise Suspended(wake)

    def _waiting_result(self, error: CloseoutError) -> dict[str, Any]:
        """Return a transient error's text, which people read during the wait, and the earliest time to ask again."""
        said = json.loads(failure(error, self._recorder.redact))["message"]
        return {"heard": said, "not_before": self._recorder.now() + (_retry_after(error) or 0.0)}

    def _timed_out(self, name: str, timeout: float, heard: dict[str, Any]) -> WaitTimeout:
        last = f"; last error: {heard['heard']}" if "heard" in heard else ""
        return WaitTimeout(name, WaitTimeout.code, f"{name} did not end within {timeout:g} s{last}")


def _effect_begun(recorded: Operation | None) -> bool:
    return recorded is not None and recorded.result is not None and "marked" in json.loads(recorded.result)


def _crashed(name: str, deaths: int) -> StepFailed:
    step, _, operation = name.partition("/")
    what = f"step {step}" if operation else f"operation {name}"
    message = (
        f"{what} ended closeout's process {deaths} times while it ran alone, and is not tried again; check how much"
        " memory it takes, fix it, then use `closeout runs rerun`"
    )
    return StepFailed(name, CRASHED, message)


def _retry_after(error: CloseoutError) -> float | None:
    """Return how long the service asked us to wait, up to our limit."""
    asked = error.retry_after
    if asked is None or math.isnan(asked):
        return None
    return min(max(asked, 0.0), LONGEST_RETRY_AFTER)
