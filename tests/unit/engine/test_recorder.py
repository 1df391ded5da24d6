"""A run always gets an ending, and an outcome is stored however long the ledger refuses writes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.engine.durable import Suspended
from closeout.engine.recorder import OutOfTime, call, persist
from closeout.ports import Ending


def test_the_pauses_between_attempts_double_up_to_two_seconds() -> None:
    """The first attempt is made at once, and its result is returned."""
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
    """The process that continues the run repeats the operation."""
    with pytest.raises(OutOfTime):
        persist(lambda: None, lambda _seconds: True)


@pytest.mark.parametrize(
    ("raised", "summary", "reports"),
    [
        (
            ValueError("hunter2"),
            "internal error: ValueError: ***",
            ["the run function failed: r1-1: ValueError('hunter2')"],
        ),
        (Suspended(1.0), "internal error: the run raised Suspended itself", []),
    ],
)
def test_a_bug_in_a_run_function_ends_the_run(
    raised: BaseException, summary: str, reports: list[str]
) -> None:
    """Without secrets in the stored text; an error is logged for the operator."""
    said: list[str] = []

    def run(_durable: Any, _execution: Any) -> Ending:
        raise raised

    execution: Any = SimpleNamespace(id="r1-1")
    ending = call(
        run,
        cast("Any", None),
        execution,
        redact=lambda text: text.replace("hunter2", "***"),
        report=said.append,
    )
    assert (ending, said) == (Ending("failure", summary), reports)
