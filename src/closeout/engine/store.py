"""What the engines need from a store: one process keeps its schedule in memory, or many processes share a table.

The local engine locks its ledger. On AWS nothing is locked: each invocation writes its own *fencing token* to the run's
row, and the store refuses its writes once another invocation has written another token. Nothing here names SQLite,
DynamoDB or Lambda's client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from closeout.core.runs import Outcome, RunState
from closeout.ports import (
    ClaimStatus,
    Ending,
    Execution,
    Loaded,
    Operation,
    Pending,
    Request,
    RunRecord,
    WakeUp,
)


class EngineStore(Protocol):
    """The local engine's side of a ledger that this process alone has open. Every method that waits for its commit raises `StoreUnavailable`."""

    def recover(self) -> Sequence[Pending]:
        """Make each execution found running a suspect; return all unfinished ones in order of acceptance."""

    def pending(self, after: int) -> Sequence[Pending]:
        """Return unfinished executions that were accepted after number `after`, in order."""

    def find(self, target: str) -> str | None:
        """Return the execution that `target` names: itself, or the latest attempt of a run id."""

    def load(self, number: int) -> tuple[Execution, Sequence[Operation]]:
        """Return an execution with everything that it has recorded, in order of position."""

    def begin(
        self, number: int, turn: str, at: float, *, wait: bool, alone: bool = False, beside: bool = False
    ) -> None:
        """Store that an execution runs now (see `core.runs.Taken`); `wait` for the commit or not."""

    def join(self, number: int) -> None:
        """Store that an execution's turn alone is over, and wait for the commit."""

    def save(self, number: int, operation: Operation, *outcomes: Outcome) -> None:
        """Store an operation and its outcomes for its run in one transaction, and wait for the commit."""

    def park(self, number: int, wake: float) -> None:
        """Store that an execution waits, without waiting for the commit."""

    def finish(self, number: int, ending: Ending, at: float) -> None:
        """Store an execution's ending and wait for the commit."""

    def ask_cancel(self, execution: str, by: str) -> bool:
        """Store a cancel request and wait for the commit; False if the execution is unknown or finished."""

    def take_requests(self) -> Sequence[Request]:
        """Return requests of other processes that are not done. The store itself carries out pause and resume."""

    def finish_request(self, request: int, outcome: str) -> None:
        """Store how a request ended."""


class RemoteStore(Protocol):
    """The Lambda engine's side of a ledger. Every method raises `StoreUnavailable` when there is no answer.

    A writing method receives the record that it expects in the table. It writes nothing and returns False when the row
    now has another fencing token or another state. It writes the fields of the run that differ.
    """

    def look(self, execution: str) -> RunRecord | None:
        """Read the record of an execution, consistently; None if there is none of this name."""

    def read(self, execution: str) -> RunRecord | None:
        """Read what `look` reads and, for `load`, what the execution was accepted with."""

    def ahead(self, record: RunRecord) -> str | None:
        """Return the execution directly ahead in the queue, else the lock holder; None if it is its turn."""

    def next_in_line(self, key: str) -> str | None:
        """Return the execution whose turn it is now; None while another one holds the lock, or none waits."""

    def listen(self, execution: str, wake_up: WakeUp) -> None:
        """Store how to wake an execution."""

    def wake_up(self, execution: str) -> WakeUp | None:
        """Return how to wake an execution; None if it never waited on a callback."""

    def clear(self, key: str, execution: str) -> None:
        """Remove an execution that is over, or gone, from its queue, and release its lock."""

    def take(self, found: RunRecord, taken: RunRecord, *, hold: bool, leave: bool) -> bool:
        """Write `taken` over `found`; with `hold` also lock the key, with `leave` also leave its queue.

        False too if another execution holds the lock.
        """

    def load(self, record: RunRecord) -> Loaded:
        """Return an execution with everything that it has recorded, and whether to trust it. Raises `LedgerError`.

        `record` is one that `read` returned, as it was claimed since.
        """

    def heartbeat(self, record: RunRecord) -> ClaimStatus:
        """Ask whether this invocation still has the execution, and whether somebody asked to cancel it."""

    def save(
        self,
        record: RunRecord,
        after: RunState,
        operations: Sequence[Operation] = (),
        seal: str | None = None,
    ) -> bool:
        """Store the run's new state, with operations and `Loaded.seal`, in one transaction.

        With operations, False too if somebody has asked to cancel the run since the record was read.
        """

    def finish(
        self,
        record: RunRecord,
        after: RunState,
        execution: Execution | None = None,
        operations: Sequence[Operation] = (),
    ) -> bool:
        """Store a run's end, leave its queue and release its lock, in one transaction.

        `operations` are what the run has recorded; without `execution` it could not be read.
        """


class Starts(Protocol):
    """Starts executions, each once by its name, and wakes them. Raises `CloseoutError` when there is no answer."""

    def ensure(self, execution: str) -> str:
        """Start an execution if it was never started, and return its status.

        The status is one of Lambda's: `RUNNING`, `PAUSED`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `STOPPED`.
        """

    def wake(self, execution: str) -> None:
        """Make a waiting execution check the queue now; start it if it was never started."""

    def hand_over(self, execution: str, number: int) -> None:
        """Start the durable execution that continues number `number`. Repeated calls start it once."""


Finalize: TypeAlias = Callable[[str, str, Callable[[], float]], bool]
"""Ends a run whose execution is over: `(execution, status, remaining)`. Returns whether the run has ended."""
