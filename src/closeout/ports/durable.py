"""What a run function may do, what is stored of an execution, and what engines and stores exchange.

Here because both the engines and the ledgers speak of it, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from closeout.core.retry import Backoff, Retry
from closeout.core.runs import RunState

Json: TypeAlias = Any
"""A JSON value: dict with string keys, list, str, int, float, bool or None; under 200 KB when recorded."""


Mark: TypeAlias = Literal["begun", "again", "late"]
"""`begun`: it is stored, for the first time. `again`: it was stored before, by whatever process, and no end is: it may have
happened, in part or as a whole. `late`: storing took so long that what was looked at before must be looked at again."""


class Durable(Protocol):
    """What a run function may do that outlives its process. See docs/explanation/durable.md.

    Operation names are unique within a run and never renamed; no durable call is made inside a recorded
    function; nothing is kept in local variables that a recorded function did not return.
    """

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """Run `fn` once and keep its result for ever; a replay gives the kept result.

        An exception is kept as data and raised as `StepFailed(name, kind, message)`, now and on every replay.
        With `retry`, a transient error (`CloseoutError.transient`) is tried again after a durable wait.
        """
        ...

    def sleep(self, name: str, seconds: float) -> None:
        """Wait without holding a thread."""
        ...

    def wait_until(
        self, name: str, poll: Callable[[], Json | None], every: float | Backoff, timeout: float
    ) -> Json:
        """Call `poll` until it gives something else than None: one recorded operation however often it polls.

        Raises `WaitTimeout` after `timeout` seconds (at least one poll is always made), `StepFailed` if
        `poll` raises a non-transient error; a transient one counts as "not yet".
        """
        ...

    def mark(self) -> Mark:
        """Store, inside a poll, that what cannot be asked whether it has happened begins now; do it at once then.

        Not a durable call of its own: it belongs to the operation, and ends with it. A poll that gives None or a
        transient error after `late` has begun nothing.
        """
        ...

    def cancelled(self) -> bool:
        """Whether, inside a poll, somebody has asked for the run's end since it began: give None then, and it is told."""
        ...


class Execution(NamedTuple):
    """One attempt at a run, as it is stored: what a run function is called with."""

    id: str
    """`<run id>-<attempt>`: the name of the execution on every engine."""
    run_id: str
    attempt: int
    automation: str
    definition: str
    """The automation as canonical JSON, as it was when the run was accepted."""
    event: str
    delivery: int | str
    guid: str
    hook: str
    body: bytes
    """The payload's JSON text (already taken out of a form)."""
    accepted_at: float
    queue_expired: bool
    """The run waited for its key longer than its `queue-timeout`: it has no turn, only an ending."""
    unreadable: str | None = None
    """Why the body or the definition, empty then, can no longer be read: the run has only an ending."""


class Ending(NamedTuple):
    """How an execution ended: a verdict (`success failure cancelled skipped`) and one sentence."""

    verdict: str
    summary: str


RunFunction: TypeAlias = Callable[[Durable, Execution], Ending]


class Operation(NamedTuple):
    """One durable operation as it is stored."""

    name: str
    position: int
    """The order in which the run first reached it, from 1."""
    kind: str
    """`record`, `sleep` or `wait`."""
    state: str
    """`ok`, `error` or `cancelled` are final and replayed; `waiting` is to go on at `wake`, or without one is under way."""
    result: str | None
    """JSON text: the value (ok), `{"kind", "message"}` (error, cancelled), `{"heard", "not_before"}` (waiting),
    with `"marked": true` once it has begun what cannot be asked whether it has happened."""
    tries: int
    """How often its function was called, or its poll; calls that a crash cut off count."""
    wake: float | None
    started_at: float
    ended_at: float | None


class Pending(NamedTuple):
    """What an engine must know of an unfinished execution to schedule it."""

    number: int
    """The order of acceptance: lower is earlier."""
    execution: str
    key: str | None
    state: str
    """`queued` or `waiting`."""
    turn: str
    """`own`; `expired` or `cancelled`: it runs out of turn, without its key, only to end."""
    accepted_at: float
    queue_timeout: float
    wake: float | None
    crashes: int
    cancel: str | None
    """Who asked to cancel it, as long as the run has not been told."""
    suspected: int = 0
    alone: str | None = None
    deaths: int = 0
    """These as in `core.runs.RunState`."""


class Standing(NamedTuple):
    """How an execution stands in the ledger, as one look found it or as one visit has left it."""

    execution: str
    run: RunState
    key: str | None
    accepted_at: float
    queue_timeout: float
    started: bool
    """Somebody has noted that it was started by its name."""
    fence: str | None
    """The token of the last visit."""


Doubt: TypeAlias = Literal["unknown", "earlier"]
"""Why an execution is not carried out as it is stored. `unknown`: its definition is not one that was deployed; it may
still become known. `earlier`: a release that kept its record where the receiver can write began it."""


class Loaded(NamedTuple):
    """An execution as a visit finds it."""

    execution: Execution
    operations: Sequence[Operation]
    """What it has recorded, in order of position."""
    seal: str | None
    """A digest of what was accepted, to be stored with the first operation; None if it has begun."""
    doubt: Doubt | None


class Word(NamedTuple):
    """What a visit hears between two operations."""

    mine: bool
    """Whether the execution is still this visit's."""
    cancel: str | None
    """Who asked to cancel it, if it has not been told yet."""


class Request(NamedTuple):
    """What another process asks of the engine: `cancel`, `rerun`, `replay`, `pause`, `resume` or `prune`."""

    id: int
    kind: str
    target: str | None
    by: str
    reason: str | None


class Journal(Protocol):
    """Where a run's log lines go: stored with the run, and streamed. Text is redacted before it is stored."""

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Keep one line. Never raises for the content of `text`."""
        ...


class Clock(Protocol):
    """The time, as an argument."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class Switch(Protocol):
    """`closeout pause`: whether destructive calls are stopped for now."""

    def paused(self) -> str | None:
        """Return who paused and why, or None."""
        ...
