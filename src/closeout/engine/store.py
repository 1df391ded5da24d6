"""What the local engine needs of a store, declared by its one user.

The engine keeps its schedule in memory and asks the store for three things: which executions there are, what each
has recorded, and to keep what is recorded next. Nothing here names SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from closeout.core.runs import Outcome
from closeout.ports import Ending, Execution, Operation, Pending, Request


class EngineStore(Protocol):
    """The engine's side of a ledger. Every method that waits for its commit raises `StoreUnavailable`."""

    def lock(self) -> None:
        """Make this process the ledger's only engine. Raises `LedgerInUse`."""
        ...

    def recover(self) -> Sequence[Pending]:
        """Make each execution found running a suspect; return all unfinished ones in order of acceptance."""
        ...

    def pending(self, after: int) -> Sequence[Pending]:
        """Return unfinished executions that were accepted after number `after`, in order."""
        ...

    def find(self, target: str) -> str | None:
        """Return the execution that `target` names: itself, or the latest attempt of a run id."""
        ...

    def load(self, number: int) -> tuple[Execution, Sequence[Operation]]:
        """Return an execution with everything that it has recorded, in order of position."""
        ...

    def begin(
        self, number: int, turn: str, at: float, *, wait: bool, alone: bool = False, beside: bool = False
    ) -> None:
        """Note that an execution is being run now (see `core.runs.Taken`); `wait` for the commit or not."""
        ...

    def join(self, number: int) -> None:
        """Note that an execution's turn alone is over, and wait for the commit."""
        ...

    def save(self, number: int, operation: Operation, *outcomes: Outcome) -> None:
        """Keep one operation and, in the same transaction, what it means for its run; wait for the commit."""
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
        """Return requests of other processes that are not done. Pause and resume are done by the store itself."""
        ...

    def finish_request(self, request: int, outcome: str) -> None:
        """Note how a request ended."""
        ...
