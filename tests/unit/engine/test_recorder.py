"""An outcome is stored however long the ledger accepts no writes."""

from __future__ import annotations

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.engine.recorder import OutOfTime, persist


def test_the_pauses_between_two_tries_double_up_to_two_seconds() -> None:
    """The first try is made at once, and its answer is returned."""
    pauses: list[float] = []

    def attempt() -> str:
        if len(pauses) < 9:
            raise StoreUnavailable("the disk is full")
        return "stored"

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    assert persist(attempt, wait) == "stored"
    assert pauses == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_a_process_that_stops_gives_up() -> None:
    """Whoever continues the run makes the operation again."""
    with pytest.raises(OutOfTime):
        persist(lambda: None, lambda _seconds: True)
