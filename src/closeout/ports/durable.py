"""What a run function may do, what is stored about an execution, and what engines and stores exchange.

Here because both the engines and the ledgers speak of it, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from closeout.core.retry import Backoff, Retry
from closeout.core.runs import RunState

Json: TypeAlias = Any
"""A JSON value: dict with string keys, list, str, int, float, bool or None; under 200 KB when recorded."""


EffectBegin: TypeAlias = Literal["begun", "again", "late"]
"""`begun`: stored for the first time. `again`: stored before, by any process, without an end: the effect may have happened,
in part or as a whole. `late`: storing took so long that the checks made before it must be made again."""


class Durable(Protocol):
    """What a run function may do that outlives its process. See docs/explanation/durable.md.

    Operation names are unique within a run and never renamed; no durable call is made inside a recorded
    function; nothing is kept in local variables that a recorded function did not return.
    """

    def record(
        self, name: str, fn: Callable[[], Json], retry: Retry | None = None, *, later: bool = False
    ) -> Json:
        """Run `fn` once and store its result; a replay returns the stored result.

        An exception is stored as data and raised as `StepFailed(name, kind, message)`, now and on every replay.
        With `retry`, a transient error (`CloseoutError.transient`) is tried again after a durable wait.
        With `later` the result may be stored together with the next operation's: a process that dies before that calls `fn`
        again, so it must have no effect.
        """

    def sleep(self, name: str, seconds: float) -> None:
        """Wait without occupying a thread."""

    def wait_until(
        self, name: str, poll: Callable[[], Json | None], every: float | Backoff, timeout: float
    ) -> Json:
        """Call `poll` until it returns something other than None: one recorded operation however often it polls.

        Raises `WaitTimeout` after `timeout` seconds (at least one poll is always made), `StepFailed` if
        `poll` raises a non-transient error; a transient one counts as "not yet".
        """

    def begin_effect(self) -> EffectBegin:
        """Store, inside a poll, that an effect begins now that cannot be looked up later; then cause it at once.

        Not a durable call of its own: it belongs to the operation, and ends with it. After `late` the effect must not
        begin in this poll.
        """

    def cancelled(self) -> bool:
        """Return, inside a poll, whether somebody has asked to cancel the run. If so, return None there: it is delivered."""


class Execution(NamedTuple):
    """One attempt at a run, as it is stored: what a run function is called with."""

    id: str
    """`<run id>-<attempt>`: the name of the execution on every engine."""
    run_id: str
    attempt: int
    automation: str
    definition: str
    """The automation as canonical JSON, as it was when the run was accepted."""
    event_name: str
    delivery: int | str
    guid: str
    hook: str
    body: bytes
    """The payload's JSON text (already taken out of a form)."""
    accepted_at: float
    queue_expired: bool
    """The run waited for its key longer than its `queue-timeout`: it must only end."""
    unreadable: str | None = None
    """Why the body or the definition, empty then, can no longer be read: the run must only end."""


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
    with `"marked": true` once its effect has begun (see `Durable.begin_effect`)."""
    tries: int
    """How often its function or its poll was called; calls that a crash interrupted count."""
    wake: float | None
    started_at: float
    ended_at: float | None


class Pending(NamedTuple):
    """What an engine must know about an unfinished execution to schedule it."""

    number: int
    """The order of acceptance: lower is earlier."""
    execution: str
    key: str | None
    state: str
    """`queued` or `waiting`."""
    turn: str
    """`own`; `expired` or `cancelled`: it runs without the lock of its key, only to end."""
    accepted_at: float
    queue_timeout: float
    wake: float | None
    crashes: int
    cancel: str | None
    """Who asked to cancel it, until that is delivered to the run."""
    suspected: int = 0
    alone: str | None = None
    deaths: int = 0
    """These as in `core.runs.RunState`."""


class AcceptedRun(NamedTuple):
    """What an execution was accepted with, as far as it is stored outside its row."""

    delivery: str
    definition: str | None
    """None if it is gone."""
    earlier: bool
    """Whether an earlier release recorded operations there, where the receiver can write."""


class RunRecord(NamedTuple):
    """An execution's row in the ledger, as it was read, or as an invocation has written it."""

    execution: str
    run: RunState
    key: str | None
    accepted_at: float
    queue_timeout: float
    started: bool
    """Whether its start by its name is stored."""
    fencing_token: str | None
    """The token of the last invocation that claimed it."""
    accepted: AcceptedRun | None = None
    """None where only the row was read."""
    closing: str | None = None
    """The text of the closing that it acts upon (`core.closing`)."""
    event: str | None = None
    """Event and action, `pull_request.closed`."""


class WakeUp(NamedTuple):
    """What wakes a run that is suspended until its turn: its durable callback, to be completed."""

    callback: str
    """The callback's id."""
    until: float
    """When the callback times out, and the run checks the queue."""


Doubt: TypeAlias = Literal["unknown", "earlier"]
"""Why an execution must not run as it is stored. `unknown`: its definition is not one that was deployed, and may still
be deployed. `earlier`: a release that kept its record where the receiver can write began it."""


class ClaimStatus(NamedTuple):
    """Whether an invocation still has its execution."""

    mine: bool
    """Whether this invocation still has the execution."""
    cancel: str | None
    """Who asked to cancel it, until that is delivered."""


class Loaded(NamedTuple):
    """An execution as an invocation finds it."""

    execution: Execution
    operations: Sequence[Operation]
    """What it has recorded, in order of position."""
    seal: str | None
    """A digest of what was accepted, to be stored with the first operation; None if it has begun."""
    doubt: Doubt | None
    status: ClaimStatus
    """The answer to the first heartbeat, as its row was read with everything else."""


class Request(NamedTuple):
    """What another process asks of the engine: `cancel`, `rerun`, `replay`, `pause`, `resume` or `prune`."""

    id: int
    kind: str
    target: str | None
    by: str
    reason: str | None


class Journal(Protocol):
    """Stores a run's log lines with the run, and streams them. It redacts text before it stores it."""

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Keep one line. Never raises for the content of `text`."""


class Clock(Protocol):
    """The time, as an argument."""

    def now(self) -> float:
        """Seconds since the epoch."""


class Switch(Protocol):
    """`closeout pause`: whether destructive calls are stopped for now."""

    def paused(self) -> str | None:
        """Return who paused and why, or None."""
