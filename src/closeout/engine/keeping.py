"""What an execution's operations ask of their engine, over any function that stores: shared by both engines.

Apart from engines and stores, because one rule stands here: an outcome is stored however long the ledger takes no
writes, since its effect has already happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from closeout.core import runs
from closeout.core.errors import StoreUnavailable
from closeout.engine.durable import Abandoned
from closeout.ports import Clock, Operation

T = TypeVar("T")

LONGEST_PAUSE = 2.0
"""Seconds between two tries to store an outcome on a ledger that takes no writes."""


class Held(Protocol):
    """An execution as its engine holds it in memory."""

    crashes: int
    deaths: int
    suspected: int
    cancel: str | None


class Patience(Protocol):
    """How long a store that does not answer is waited for; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the execution is given up by this process."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait that many seconds, or until it is given up; whether it is."""
        ...


class Save(Protocol):
    """Stores one operation with what it means for its run (see `engine.store.EngineStore.save`)."""

    def __call__(self, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Commit it. Raises `StoreUnavailable`, or `Abandoned` if the execution is another's now."""
        ...


class StoringKeeper:
    """`durable.Keeper` of one execution."""

    def __init__(
        self,
        held: Held,
        save: Save,
        *,
        clock: Clock,
        spread: Callable[[], float],
        redact: Callable[[str], str],
        stopping: Callable[[], bool],
        given_up: Patience,
    ) -> None:
        self._held = held
        self._save = save
        self._given_up = given_up
        self.draining = stopping
        self.now = clock.now
        self.spread = spread
        self.redact = redact
        self.parked = False
        """The store says "waiting" for this execution already."""

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, if it has not been told yet."""
        return self._held.cancel

    def crashes(self) -> int:
        """How often the process died in this execution since its last recorded operation."""
        return self._held.crashes

    def deaths(self) -> int:
        """How often it did while the execution ran alone, since it last got on."""
        return self._held.deaths

    def save(
        self,
        operation: Operation,
        *,
        park_until: float | None = None,
        told: bool = False,
        progress: bool = True,
    ) -> None:
        """Commit an operation, however long the ledger takes no writes: its effect has already happened."""
        held = self._held
        outcomes: list[runs.Outcome] = []
        if held.crashes or (progress and (held.suspected or held.deaths)):
            outcomes.append(runs.Recorded(progress))
        if told:
            outcomes.append(runs.CancelTold())
        if park_until is not None:
            outcomes.append(runs.Parked(park_until))
        persist(lambda: self._save(operation, *outcomes), self._given_up)
        held.crashes = 0
        if progress:
            held.suspected = held.deaths = 0
        if told:
            held.cancel = None
        self.parked = park_until is not None


def persist(attempt: Callable[[], T], given_up: Patience) -> T:
    """Try until the store answers: what was done must not be done again. Raises `Abandoned` once given up."""
    pause = 0.05
    while True:
        if given_up.is_set():
            raise Abandoned
        try:
            return attempt()
        except StoreUnavailable:
            if given_up.wait(pause):
                raise Abandoned from None
            pause = min(pause * 2, LONGEST_PAUSE)
