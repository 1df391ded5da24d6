"""Run something that cannot be asked whether it has happened, and know when it may have happened before.

A script or a function leaves no trace that closeout could look for. So each try has two operations: `begin`,
recorded before anything runs, and `run`. A replay that finds a try begun but not ended knows that an earlier life
of the process was cut off in it: it ends what is left of that try and makes the next one, with a raised number.

A try that only waited (a pause, an unreadable pull request) is replayed in the same process and has not run: that
is remembered in memory, where it is lost exactly when it would no longer be certain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed
from closeout.ports import Json

_waiting: set[tuple[str, str, int]] = set()
"""Tries that were begun in this process and whose `run` has not been entered."""

LIMIT = 50
"""Tries of one step in all; the engine gives up on a run that kills its process long before."""


class Trial(Protocol):
    """One try."""

    def begin(self) -> Json:
        """Make ready without changing anything; the result is recorded before `run` is called."""
        ...

    def run(self, attempt: int) -> dict[str, Any]:
        """Do it. `attempt` is 1 the first time. Gives an object with `failed`: a sentence, or None."""
        ...

    def end_earlier(self, begun: Json) -> None:
        """End what is left of a try whose `begin` gave `begun` in an earlier life of the process."""
        ...

    def dispose(self) -> None:
        """Let go of what `begin` made; called in any case."""
        ...


def carry_out(work: Work, make: Callable[[], Trial]) -> dict[str, Any]:
    """Try until it succeeds or the step's `retry.attempts` have failed. Raises `ActionFailed`."""
    failures, attempt = 0, work.attempt
    for number in range(1, LIMIT + 1):
        trial = make()
        try:
            outcome = _once(work, trial, number, attempt)
        finally:
            trial.dispose()
        if outcome.get("interrupted"):
            attempt += bool(outcome["ran"])
            continue
        if outcome["failed"] is None:
            return outcome
        failures += 1
        attempt += 1
        if failures >= work.retry.attempts:
            raise ActionFailed(str(outcome["failed"]))
        work.sleep(f"wait-{number}", work.retry.delay(failures))
    raise ActionFailed(f"it was cut off {LIMIT} times; closeout does not try again")


def _once(work: Work, trial: Trial, number: int, attempt: int) -> dict[str, Any]:
    begun_here: list[bool] = []
    key = (work.execution, work.step, number)

    def begin() -> Json:
        begun_here.append(True)
        _waiting.add(key)
        return trial.begin()

    begun = work.record(f"begin-{number}", begin)

    def run() -> Json:
        ran = key not in _waiting
        _waiting.discard(key)
        if begun_here:
            return trial.run(attempt)
        trial.end_earlier(begun)
        if ran:
            work.log(f"try {number} was cut off before its end was recorded; it may have run in part")
        return {"interrupted": True, "ran": ran}

    outcome: dict[str, Any] = work.change(f"run-{number}", run)
    _waiting.discard(key)
    return outcome
