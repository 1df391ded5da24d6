"""Carry out the events of patrol's function, in the steps of a durable execution.

An event has one key, which says what to do: `{"patrol": {}}` makes a round of what is due, and
`{"patrol": {"everything": true}}` one of everything. `{"recheck": {…}}` looks again after a teardown (`rechecks`), and
`{"clean": {"target": …, "by": …}}` starts the run that deletes an orphan. `{"recover": {"guid": …}}` stores a delivery that a
round ignored, and starts nothing. This is separate from `patrol`, which imports the durable SDK.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from closeout.core.errors import UsageError
from closeout.lambdas import patrol_log
from closeout.ledger.dynamodb.journal import to_stdout
from closeout.stack.patrol import BUSY
from closeout.wiring.stack_patrols import StackPatrols

T = TypeVar("T")


class Steps(Protocol):
    """The steps of one durable execution, which carry out an event."""

    @property
    def arn(self) -> str:
        """Return the execution's ARN."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do some work once; return its result, also when the execution is repeated."""

    def recheck(self, asked: Mapping[str, Any]) -> None:
        """Look again after a teardown whenever a look is due."""

    def remaining(self) -> float:
        """Return the seconds that this invocation has left."""


def carry_out(
    event: Mapping[str, Any], steps: Steps, made: StackPatrols, emit: Callable[[str], None] = to_stdout
) -> dict[str, Any]:
    """Do what the event requests; return the execution's result. Raises `UsageError` for an unknown event."""
    if len(event) == 1:
        match event:
            case {"patrol": dict(asked)}:
                everything = bool(asked.get("everything"))
                return steps.step("patrol", lambda: patrol(steps, made, emit, everything=everything))
            case {"clean": {"target": str(target), "by": str(by)}}:
                return {"outcome": steps.step("clean", lambda: made.clean(target, by))}
            case {"recover": {"guid": str(guid)}}:
                return steps.step("recover", lambda: dict[str, Any](made.recover(guid)))
            case {"recheck": dict(asked)}:
                steps.recheck(asked)
                return {}
    raise UsageError(f"patrol's event says nothing that can be done; its keys are {sorted(event)}")


def patrol(
    steps: Steps, made: StackPatrols, emit: Callable[[str], None], *, everything: bool
) -> dict[str, Any]:
    """Make one round and log it; return its report with notes, or `BUSY`."""
    found = made.patrol(steps.arn, steps.remaining, everything=everything)
    if found is None:
        return dict(BUSY)
    for line in patrol_log.lines(found, os.environ["CLOSEOUT_METRICS"], time.time()):
        emit(line)
    return patrol_log.shortened(found.report)
