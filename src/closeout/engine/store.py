"""What the local engine needs of a store, declared by its one user.

The engine keeps its schedule in memory and asks the store for three things: which executions there are, what each
has recorded, and to keep what is recorded next. Nothing here names SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from closeout.ports import Ending, Execution, Operation, Pending, Request


class EngineStore(Protocol):
    """The engine's side of a ledger. Every method that waits for its commit raises `StoreUnavailable`."""

    def lock(self) -> None:
        """Make this process the ledger's only engine. Raises `LedgerInUse`."""
        ...

    def recover(self) -> Sequence[Pending]:
        """Count a crash for each execution found running; give all unfinished ones in order of acceptance."""
        ...

    def pending(self, after: int) -> Sequence[Pending]:
        """Give unfinished executions that were accepted after number `after`, in order."""
        ...

    def find(self, target: str) -> str | None:
        """Give the execution that `target` names: itself, or the latest attempt of a run id."""
        ...

    def load(self, number: int) -> tuple[Execution, Sequence[Operation]]:
        """Give an execution with everything that it has recorded, in order of position."""
        ...

    def begin(self, number: int, turn: str, at: float, *, wait: bool) -> None:
        """Note that an execution is being run now; `wait` for the commit or not."""
        ...

    def save(
        self,
        number: int,
        operation: Operation,
        *,
        park_until: float | None = None,
        told: bool = False,
        survived: bool = False,
    ) -> None:
        """Keep one operation and wait for the commit.

        In the same transaction: with `park_until` the execution becomes waiting, with `told` its cancel
        request is used up, with `survived` its crash count goes back to zero.
        """
        ...

    def park(self, number: int, wake: float) -> None:
        """Note that an execution waits, without waiting for the commit."""
        ...

    def finish(self, number: int, ending: Ending, at: float) -> None:
        """Keep an execution's ending and wait for the commit."""
        ...

    def ask_cancel(self, execution: str, by: str) -> bool:
        """Keep a cancel request and wait for the commit; False if the execution is unknown or finished."""
        ...

    def take_requests(self) -> Sequence[Request]:
        """Give requests of other processes that are not done. Pause and resume are done by the store itself."""
        ...

    def finish_request(self, request: int, outcome: str) -> None:
        """Note how a request ended."""
        ...
