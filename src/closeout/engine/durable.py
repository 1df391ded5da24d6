"""`Durable` by replay: record, give back, and unwind instead of waiting.

A run function is executed from its start each time; what it has recorded is given back, and the first thing that
is not recorded is done. To wait, it is unwound with `Suspended` and executed again later, so that a thousand
waiting runs hold no thread. Everything an operation decides is committed before the run function goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from closeout.core.errors import CloseoutError, StepFailed, WaitTimeout
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import CRASHED, MAX_DEATHS
from closeout.engine.results import encode, failure, raise_again
from closeout.ports import Json, Mark, Operation

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds that a service may ask us to wait: a day, so that no answer can park a run for ever."""


LATE = 2.0
"""Seconds that storing a mark may take until what was looked at before it is too old to act upon."""


class Suspended(BaseException):
    """Unwinds a run function until `wake`. No error: it must pass every `except Exception`."""

    def __init__(self, wake: float) -> None:
        super().__init__(wake)
        self.wake = wake


class Abandoned(BaseException):
    """Unwinds a run function for good: this process has given it up, the next one takes it over."""


class Keeper(Protocol):
    """What one execution's operations need of the engine. Declared here, given by each engine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def spread(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def redact(self, text: str) -> str:
        """Take secrets out of an error's message."""
        ...

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, if it has not been told yet."""
        ...

    def crashes(self) -> int:
        """How often the process died in this execution since its last recorded operation."""
        ...

    def deaths(self) -> int:
        """How often it did while the execution ran alone, since it last got on."""
        ...

    def draining(self) -> bool:
        """Whether the engine is stopping: nothing new is to be begun."""
        ...

    def save(
        self,
        operation: Operation,
        *,
        park_until: float | None = None,
        told: bool = False,
        progress: bool = True,
    ) -> None:
        """Commit an operation; with `progress` the execution got on. Raises `Abandoned` if the engine has given it up."""
        ...


class ReplayDurable:
    """`ports.Durable` of one execution. Used by one thread at a time."""

    def __init__(self, keeper: Keeper, recorded: Iterable[Operation]) -> None:
        self._keeper = keeper
        self._recorded = {operation.name: operation for operation in recorded}
        self._reached: set[str] = set()
        self._inside: str | None = None
        self._polled: Operation | None = None
        """The operation whose poll is under way, as this try of it has begun."""
        self._marked = False
        """What its poll cannot ask about has begun, now or in an earlier try."""
        self._cut_off = False
        """An earlier try may have ended the process, and the next one has not begun: what is recorded is no progress."""
        self.suspended: float | None = None
        """When to go on, once the run function was told to unwind: what it does after that does not count."""

    @property
    def inside(self) -> str | None:
        """The operation that is under way."""
        return self._inside

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is recorded so far."""
        return tuple(self._recorded.values())

    # --- the three calls ------------------------------------------------------------------------------

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """Run `fn` once and keep its result for ever (see `ports.Durable`)."""
        kept = self._reach(name)
        if kept and kept.state != "waiting":
            return self._replay(kept)
        self._boundary(name, "record", kept)
        begun = self._begun(name, "record", kept)
        try:
            value = self._call(name, fn)
        except CloseoutError as error:
            if not (retry and error.transient and begun.tries < retry.attempts):
                raise self._fail(begun, error) from error
            wait = retry.delay(begun.tries, spread=self._keeper.spread(), retry_after=_asked(error))
            self._wait(begun, self._keeper.now() + wait, self._heard(error))
        except Exception as error:
            raise self._fail(begun, error) from error
        return self._succeed(begun, value)

    def sleep(self, name: str, seconds: float) -> None:
        """Wait without holding a thread."""
        kept = self._reach(name)
        if kept and kept.state != "waiting":
            self._replay(kept)
            return
        self._boundary(name, "sleep", kept)
        begun = kept or self._begun(name, "sleep", None)
        if kept is None and seconds > 0:
            self._wait(begun, begun.started_at + seconds, None)
        self._succeed(begun, None)

    def wait_until(
        self, name: str, poll: Callable[[], Json | None], every: float | Backoff, timeout: float
    ) -> Json:
        """Call `poll` until it gives something else than None (see `ports.Durable`)."""
        kept = self._reach(name)
        if kept and kept.state != "waiting":
            return self._replay(kept)
        self._boundary(name, "wait", kept)
        begun = self._begun(name, "wait", kept)
        deadline = begun.started_at + timeout
        heard: dict[str, Any] = json.loads(kept.result) if kept and kept.result else {}
        if kept and heard.get("not_before", 0.0) > self._keeper.now() >= deadline:
            raise self._fail(kept, self._too_late(name, timeout, heard))
        self._polled, self._marked = begun, "marked" in heard
        self._cut_off = self._cut_off or self._marked
        try:
            value = self._call(name, poll)
        except CloseoutError as error:
            if not error.transient:
                raise self._fail(begun, error) from error
            heard = self._heard(error)
        except Exception as error:
            raise self._fail(begun, error) from error
        else:
            if value is not None:
                return self._succeed(begun, value)
            heard = {}
        now = self._keeper.now()
        if now >= deadline:
            raise self._fail(begun, self._too_late(name, timeout, heard))
        delay = every.delay(begun.tries, self._keeper.spread()) if isinstance(every, Backoff) else every
        wake = now + max(delay, 0.0)
        wake = min(max(wake, heard.get("not_before", 0.0)), deadline)
        return self._wait(begun, wake, {**heard, **({"marked": True} if self._marked else {})})

    def mark(self) -> Mark:
        """Store that what cannot be asked whether it has happened begins now (see `ports.Durable`)."""
        if self._inside is None or self._polled is None or self._polled.name != self._inside:
            raise StepFailed(self._inside or "mark", "misplaced-call", "mark() belongs inside a poll")
        if self._marked:
            return "again"
        asked = self._keeper.now()
        # This try is counted when it is stored to its end, or else as one that a crash cut off.
        under_way = self._polled._replace(
            tries=self._polled.tries - 1, wake=None, result=json.dumps({"marked": True})
        )
        self._keep(under_way)
        if self._keeper.now() - asked > LATE:
            return "late"
        self._marked, self._cut_off = True, False
        return "begun"

    def cancelled(self) -> bool:
        """Whether somebody has asked for the run's end (see `ports.Durable`)."""
        return self._keeper.cancelled_by() is not None

    # --- entering -------------------------------------------------------------------------------------

    def _reach(self, name: str) -> Operation | None:
        """Come to an operation; return what is recorded of it."""
        if self.suspended is not None:
            raise Suspended(self.suspended)
        if self._inside is not None:
            raise StepFailed(
                name,
                "nested-call",
                f"{name} was called inside {self._inside}: a recorded function makes no durable calls",
            )
        if name in self._reached:
            raise StepFailed(name, "duplicate-name", f"the operation {name} is there twice in this run")
        self._reached.add(name)
        return self._recorded.get(name)

    def _replay(self, kept: Operation) -> Json:
        if kept.state == "ok":
            return json.loads(kept.result or "null")
        raise raise_again(kept)

    def _boundary(self, name: str, kind: str, kept: Operation | None) -> None:
        """Look, before anything new is done: cancelled, not yet time, draining, died too often while alone.

        What is marked may have left something behind, which has to be ended first: the next operation fails then.
        """
        keeper = self._keeper
        now = keeper.now()
        by = keeper.cancelled_by()
        if by is not None:
            at = kept or Operation(name, self._position(), kind, "waiting", None, 0, None, now, None)
            text = json.dumps({"kind": "cancelled", "message": f"cancelled by {by}"})
            self._cut_off = False
            raise self._end(at, "cancelled", text, told=True)
        if kept and kept.wake is not None and kept.wake > now:
            self._suspend(kept.wake)
        if keeper.draining():
            self._suspend(now)
        deaths = keeper.deaths()
        if deaths >= MAX_DEATHS and kind != "sleep" and not _marked(kept):
            begun = self._begun(name, kind, kept)
            self._cut_off = False
            raise self._fail(begun._replace(tries=begun.tries - 1), _killed(name, deaths))

    def _begun(self, name: str, kind: str, kept: Operation | None) -> Operation:
        """Return the operation as one more try of it begins; tries that a crash cut off count."""
        crashes = self._keeper.crashes()
        if kept:
            return kept._replace(tries=kept.tries + crashes + 1)
        return Operation(
            name, self._position(), kind, "waiting", None, crashes + 1, None, self._keeper.now(), None
        )

    def _position(self) -> int:
        return len(self._recorded) + 1

    def _call(self, name: str, fn: Callable[[], Json]) -> Json:
        self._inside = name
        try:
            return fn()
        except (Suspended, Abandoned, Exception):
            raise
        except BaseException as error:
            # sys.exit() in somebody's function ends that function, not this thread.
            raise StepFailed(name, type(error).__name__, f"{name} raised {error!r}") from error
        finally:
            self._inside = None

    # --- leaving --------------------------------------------------------------------------------------

    def _succeed(self, operation: Operation, value: Json) -> Json:
        try:
            text = encode(operation.name, value)
        except StepFailed as error:
            raise self._fail(operation, error) from None
        self._keep(operation._replace(state="ok", result=text, wake=None, ended_at=self._keeper.now()))
        return json.loads(text)

    def _fail(self, operation: Operation, error: BaseException) -> StepFailed:
        return self._end(operation, "error", failure(error, self._keeper.redact))

    def _end(self, operation: Operation, state: str, text: str, *, told: bool = False) -> StepFailed:
        ended = operation._replace(state=state, result=text, wake=None, ended_at=self._keeper.now())
        self._keep(ended, told=told)
        return raise_again(ended)

    def _wait(self, operation: Operation, wake: float, heard: dict[str, Any] | None) -> Json:
        waiting = operation._replace(state="waiting", wake=wake, result=json.dumps(heard) if heard else None)
        self._keep(waiting, park_until=wake)
        return self._suspend(wake)

    def _keep(self, operation: Operation, *, park_until: float | None = None, told: bool = False) -> None:
        under_way = operation.state == "waiting" and operation.wake is None
        progress = not (under_way or self._cut_off)
        self._keeper.save(operation, park_until=park_until, told=told, progress=progress)
        self._recorded[operation.name] = operation

    def _suspend(self, wake: float) -> Json:
        self.suspended = wake
        raise Suspended(wake)

    def _heard(self, error: CloseoutError) -> dict[str, Any]:
        """Keep what a transient error said, for people to read meanwhile, and when to ask again at the earliest."""
        said = json.loads(failure(error, self._keeper.redact))["message"]
        return {"heard": said, "not_before": self._keeper.now() + (_asked(error) or 0.0)}

    def _too_late(self, name: str, timeout: float, heard: dict[str, Any]) -> WaitTimeout:
        last = f"; last heard: {heard['heard']}" if "heard" in heard else ""
        return WaitTimeout(name, WaitTimeout.code, f"{name} did not come about within {timeout:g} s{last}")


def _marked(kept: Operation | None) -> bool:
    return kept is not None and kept.result is not None and "marked" in json.loads(kept.result)


def _killed(name: str, deaths: int) -> StepFailed:
    step, _, operation = name.partition("/")
    what = f"step {step}" if operation else f"operation {name}"
    message = (
        f"{what} ended closeout's process {deaths} times while it ran alone, and is not tried again; see how much"
        " memory it takes, mend it, then use `closeout runs rerun`"
    )
    return StepFailed(name, CRASHED, message)


def _asked(error: CloseoutError) -> float | None:
    """How long the service asked us to wait, as far as we follow it."""
    asked = error.retry_after
    if asked is None or math.isnan(asked):
        return None
    return min(max(asked, 0.0), LONGEST_RETRY_AFTER)
