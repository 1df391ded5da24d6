"""A durable engine in memory: the semantics of `ports.Durable`, a clock that jumps, and deaths on demand.

It suspends and replays like the real engines, so a run function that cheats on determinism fails here first; and
a test can kill it before or after any recorded function.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from closeout.core.errors import CloseoutError, RunCancelled, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.ports import Ending, Execution, Json, RunFunction


class FakeClock:
    """`ports.Clock` that moves only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class Killed(BaseException):
    """The process died here."""


class _Suspended(BaseException):
    def __init__(self, wake: float) -> None:
        super().__init__(wake)
        self.wake = wake


@dataclass(slots=True)
class _Operation:
    state: str = "waiting"
    value: Json = None
    tries: int = 0
    first: float = 0.0
    wake: float = 0.0
    heard: str = ""


@dataclass(slots=True)
class MemoryDurable:
    """One execution's operations. `kill(name, when)` decides whether the process dies `before` or `after` a call."""

    clock: FakeClock
    kill: Callable[[str, str], bool] = lambda _name, _when: False
    operations: dict[str, _Operation] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    """Every recorded function that was really called, in order."""
    _cancel: tuple[str, str] | None = None
    _seen: set[str] = field(default_factory=set)
    _inside: bool = False

    def cancel(self, kind: str = "cancelled", message: str = "cancelled by a test") -> None:
        """Ask for the run to be cancelled at its next operation."""
        self._cancel = (kind, message)

    def begin(self) -> None:
        """Start a replay."""
        self._seen = set()
        self._inside = False

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """See `ports.Durable.record`."""
        operation = self._open(name)
        if operation.state != "waiting":
            return self._outcome(name, operation)
        self._ready(name, operation)
        try:
            self._keep(operation, self._call(name, fn))
        except CloseoutError as error:
            if retry and error.transient and operation.tries < retry.attempts:
                self._wait(
                    operation, retry.delay(operation.tries, retry_after=error.retry_after), error.message
                )
            self._fail(operation, error)
        except Exception as error:  # noqa: BLE001  (whatever a recorded function raises is kept as data)
            self._fail(operation, error)
        return self._outcome(name, operation)

    def sleep(self, name: str, seconds: float) -> None:
        """See `ports.Durable.sleep`."""
        operation = self._open(name)
        if operation.state != "waiting":
            self._outcome(name, operation)
            return
        self._take_cancel(name, operation)
        if not operation.wake:
            operation.wake = self.clock.now() + seconds
        if operation.wake > self.clock.now():
            raise _Suspended(operation.wake)
        operation.state = "ok"

    def wait_until(
        self, name: str, poll: Callable[[], Json | None], every: float | Backoff, timeout: float
    ) -> Json:
        """See `ports.Durable.wait_until`."""
        operation = self._open(name)
        if operation.state != "waiting":
            return self._outcome(name, operation)
        self._ready(name, operation)
        operation.first = operation.first or self.clock.now()
        retry_after = 0.0
        try:
            value = self._call(name, poll)
            if value is not None:
                self._keep(operation, value)
                return self._outcome(name, operation)
        except CloseoutError as error:
            if not error.transient:
                self._fail(operation, error)
                return self._outcome(name, operation)
            operation.heard, retry_after = error.message, error.retry_after or 0.0
        except Exception as error:  # noqa: BLE001  (whatever a recorded function raises is kept as data)
            self._fail(operation, error)
            return self._outcome(name, operation)
        if self.clock.now() - operation.first >= timeout:
            operation.state, operation.value = "timeout", f"not true after {timeout:g} s: {operation.heard}"
            return self._outcome(name, operation)
        pause = every.delay(operation.tries) if isinstance(every, Backoff) else every
        self._wait(operation, max(pause, retry_after), operation.heard)
        raise AssertionError

    def _open(self, name: str) -> _Operation:
        if self._inside:
            raise StepFailed(name, "nested", f"{name} is called inside a recorded function")
        if name in self._seen:
            raise StepFailed(name, "duplicate-name", f"{name} is used twice in one run")
        self._seen.add(name)
        return self.operations.setdefault(name, _Operation())

    def _ready(self, name: str, operation: _Operation) -> None:
        self._take_cancel(name, operation)
        if operation.wake > self.clock.now():
            raise _Suspended(operation.wake)
        operation.tries += 1

    def _take_cancel(self, name: str, operation: _Operation) -> None:
        if self._cancel is None:
            return
        operation.state, operation.value = "cancelled", list(self._cancel)
        self._cancel = None
        self._outcome(name, operation)

    def _call(self, name: str, fn: Callable[[], Json]) -> Json:
        if self.kill(name, "before"):
            raise Killed(name)
        self.calls.append(name)
        self._inside = True
        try:
            value = fn()
        finally:
            self._inside = False
        if self.kill(name, "after"):
            raise Killed(name)
        return value

    def _keep(self, operation: _Operation, value: Json) -> None:
        operation.value = json.loads(json.dumps(value))
        operation.state = "ok"

    def _fail(self, operation: _Operation, error: Exception) -> None:
        kind = getattr(error, "kind", None) or getattr(error, "code", None) or type(error).__name__
        operation.state, operation.value = "error", [kind, str(error)]

    def _wait(self, operation: _Operation, seconds: float, heard: str) -> None:
        operation.wake, operation.heard = self.clock.now() + seconds, heard
        raise _Suspended(operation.wake)

    def _outcome(self, name: str, operation: _Operation) -> Json:
        if operation.state == "ok":
            return json.loads(json.dumps(operation.value))
        if operation.state == "timeout":
            raise WaitTimeout(name, "wait-timeout", operation.value)
        kind, message = operation.value
        if operation.state == "cancelled":
            raise RunCancelled(name, kind, message)
        raise StepFailed(name, kind, message)


def play(run: RunFunction, durable: MemoryDurable, execution: Execution, *, most: int = 10_000) -> Ending:
    """Run to the end, jumping the clock over every wait and coming back after every death."""
    for _ in range(most):
        durable.begin()
        try:
            return run(durable, execution)
        except _Suspended as suspended:
            durable.clock.advance(max(0.0, suspended.wake - durable.clock.now()))
        except Killed:
            continue
    raise AssertionError(f"the run did not end within {most} replays: {list(durable.operations)}")
