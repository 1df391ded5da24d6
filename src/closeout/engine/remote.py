"""What visits to executions need of a ledger that many processes write, and of whoever starts executions.

The local engine holds a lock on its ledger; here nothing is locked. Each visit writes a token of its own, the
*fence*, on the run's row, and whatever it stores afterwards is refused once another visit has written another one.
Nothing here names DynamoDB or Lambda's client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from closeout.core.runs import RunState
from closeout.ports import Loaded, Operation, Standing, Word

UNKNOWN = "its definition is not one that was deployed; deploy the stack again"


class RemoteStore(Protocol):
    """The visits' side of a ledger. Every method raises `StoreUnavailable` when there is no answer.

    A `standing` that is given to a writing method says what is there: the write is refused, and False given, when
    the row has another fence or another state by now. `run` fields are written as far as they differ.
    """

    def look(self, execution: str) -> Standing | None:
        """Read how an execution stands, consistently; None if there is none of this name."""
        ...

    def ahead(self, standing: Standing) -> str | None:
        """Return the execution that this one must wait for: the key's holder, else the first ticket; None: its turn."""
        ...

    def clear(self, key: str, execution: str) -> None:
        """Remove the ticket and the hold of an execution that is over, or gone."""
        ...

    def take(self, found: Standing, taken: Standing, *, hold: bool, leave: bool) -> bool:
        """Write `taken` over `found`; with `hold` take the key as well, with `leave` give the ticket up.

        False too if another execution holds the key.
        """
        ...

    def load(self, standing: Standing) -> Loaded:
        """Return an execution with everything that it has recorded, and whether it may be believed. Raises `LedgerError`."""
        ...

    def hear(self, standing: Standing) -> Word:
        """Ask whether the execution is still this visit's, and whether somebody wants its end."""
        ...

    def save(
        self, standing: Standing, after: RunState, operation: Operation | None, seal: str | None = None
    ) -> bool:
        """Store how the run stands now, and an operation and `Loaded.seal` with it, in one transaction."""
        ...

    def finish(self, standing: Standing, after: RunState) -> bool:
        """Store a run's end, and give up its ticket and its key, in one transaction."""
        ...


class Starts(Protocol):
    """Who starts executions, once by their names."""

    def ensure(self, execution: str) -> str:
        """Start an execution if it was never started, and say how it stands.

        Gives Lambda's words: `RUNNING`, `PAUSED`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `STOPPED`. Raises `CloseoutError` when there is no answer.
        """
        ...


class Bury(Protocol):
    """Ends an execution that can no longer end itself; `status` says how that came about. Gives whether it has ended."""

    def __call__(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        """End it."""
        ...


class BegunEarlier(Exception):
    """An earlier release began the execution, whose record is not believed: it can only be ended."""
