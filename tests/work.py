"""A `Work` in memory for tests of single actions: recorded operations, guards to order, no waiting to speak of.

It keeps what a real engine keeps (JSON, under 200 KB, errors as data) and refuses what a real engine refuses, so
that an action which cheats on the rules of `ports.Durable` fails here first. To replay, make another one with
the first one's `operations`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from closeout.actions.spec import Limit
from closeout.core.errors import CloseoutError, RunCancelled, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

RESULT_LIMIT = 200_000


class Crashed(BaseException):
    """The process died here."""


class ImmediateWork:
    """`actions.spec.Work` without an engine.

    `guard(name)` runs before each try of a guarded call, and may raise (`RunCancelled`, `Reopened`, a transient
    error: not yet). `crash(name)` true makes the process die after that operation's function ran and before its
    result was kept. `pause` is how long a wait between two polls really takes; `polls` bounds every wait.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        execution: str = "aaaaaaaaaaaaaaaaaaaaaaaaaa-1",
        automation: str = "preview-cleanup",
        step: str = "teardown",
        event: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
        settings: Mapping[str, Any] | None = None,
        operations: dict[str, Json] | None = None,
        guard: Callable[[str], None] = lambda _name: None,
        crash: Callable[[str], bool] = lambda _name: False,
        clean: Callable[[str], str] = str,
        pause: Callable[[float], None] = lambda _seconds: time.sleep(0.002),
        polls: int = 5_000,
    ) -> None:
        self.clients = clients
        self.execution = execution
        self.run_id, _, attempt = execution.rpartition("-")
        self.attempt = int(attempt)
        self.automation = automation
        self.step = step
        self.event: Mapping[str, Any] = event or {}
        self.retry = retry or Retry()
        self.settings: Mapping[str, Any] = settings or {}
        self.operations: dict[str, Json] = {} if operations is None else operations
        self.lines: list[str] = []
        self.changes: list[str] = []
        """Names of the guarded calls that were made, in order."""
        self.slept: list[float] = []
        self._guard = guard
        self._crash = crash
        self.clean = clean
        self._pause = pause
        self._polls = polls
        self._inside: str | None = None
        self._said: set[str] = set()
        self._pauses = 0

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """Run `fn` once and keep its result."""
        tries = retry.attempts if retry else 1
        return self._kept(name, fn, tries, poll=False)

    def sleep(self, name: str, seconds: float) -> None:
        """Note how long it would have been."""
        self._kept(name, lambda: self.slept.append(seconds), 1, poll=False)

    def wait_until(self, name: str, poll: Callable[[], Json | None], every: float | Backoff) -> Json:
        """Poll quickly until there is an answer."""
        return self._kept(name, poll, self._polls, poll=True)

    def change(
        self,
        name: str,
        call: Callable[[], Json],
        on_interrupted: Callable[[], Json] | None = None,
        *,
        look: Callable[[], None] | None = None,
    ) -> Json:
        """Run the look, the guard and the call as one operation."""

        def guarded() -> Json:
            if look is not None:
                look()
            self._guard(name)
            self.changes.append(name)
            if on_interrupted is None:
                return {"result": call()}
            if name in self.operations:
                return {"result": on_interrupted()}
            self.operations[name] = {"marked": True}
            return {"result": call()}

        return self._kept(name, guarded, self._polls, poll=False)["result"]

    def remaining(self) -> float:
        """Return an hour, always."""
        return 3600.0

    def limit(self) -> Limit:
        """Return `remaining`."""
        return Limit(self.remaining())

    def log(self, text: str) -> None:
        """Keep a line; refuses one from outside a recorded function, which a replay would repeat."""
        if self._inside is None:
            message = f"log() outside a recorded function: {text}"
            raise AssertionError(message)
        self.lines.append(text)

    def log_once(self, key: str, text: str) -> None:
        """Keep a line unless one of this key was kept."""
        if key not in self._said:
            self._said.add(key)
            self.log(text)

    def now(self) -> float:
        """Return a time that moves on by ten seconds with each pause of a wait."""
        return 1_700_000_000.0 + 10.0 * self._pauses

    def _kept(self, name: str, fn: Callable[[], Json | None], tries: int, *, poll: bool) -> Json:
        if self._inside is not None:
            message = f"{name} is a durable call inside {self._inside}"
            raise AssertionError(message)
        if name not in self.operations or "marked" in self.operations[name]:
            outcome = self._outcome(name, fn, tries, poll=poll)
            if self._crash(name):
                raise Crashed(name)
            text = json.dumps(outcome)
            if len(text) > RESULT_LIMIT:
                message = f"the result of {name} is {len(text)} bytes of JSON"
                raise AssertionError(message)
            self.operations[name] = json.loads(text)
        return _read(name, self.operations[name])

    def _outcome(self, name: str, fn: Callable[[], Json | None], tries: int, *, poll: bool) -> Json:
        failure: CloseoutError | None = None
        for _ in range(tries):
            self._inside = name
            try:
                value = fn()
            except CloseoutError as error:
                failure = error
                if not error.transient:
                    break
            else:
                if value is not None or not poll:
                    return {"value": value}
                failure = None
            finally:
                self._inside = None
            self._pauses += 1
            self._pause(0.0)
        if failure is None:
            return {"error": "wait-timeout", "message": f"{name} did not come to an end"}
        kind = failure.kind if isinstance(failure, StepFailed) else failure.code
        return {"error": kind, "message": failure.message}


def _read(name: str, kept: Json) -> Json:
    if "error" not in kept:
        return kept["value"]
    kind, message = kept["error"], kept["message"]
    if kind in ("cancelled", "reopened"):
        raise RunCancelled(name, kind, message)
    if kind == "wait-timeout":
        raise WaitTimeout(name, kind, message)
    raise StepFailed(name, kind, message)
