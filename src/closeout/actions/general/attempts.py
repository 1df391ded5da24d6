"""Run something that cannot be asked whether it has happened, and know when it may have happened before.

A script or a function leaves no trace that closeout could look for. So each attempt has two operations: `begin`, recorded
before anything runs, and `run`, whose begin the ledger stores before it runs (`Work.change`). A replay that finds the begin
and no end knows that the process died in it: it ends what is left of that attempt and makes the next one, with a higher
number.

Without a stored begin nothing ran: a pause or an unreadable pull request held the call, and whatever `begin` made is gone
with its process. The next attempt then keeps the number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed
from closeout.ports import Json

LIMIT = 50
"""Attempts of one step in all, with those that a pause or a restart has interrupted."""
MAX_CRASHES_BEFORE = 2
"""Crashes after which a step ended while each was kept here, as `crashed`: those runs must replay as they went."""


class Attempt:
    """One attempt. What dies with the process that made it needs nothing but `run`."""

    def begin(self) -> Json:
        """Prepare without changing anything; the result is recorded before `run` is called."""
        return {}

    def run(self, attempt: int) -> dict[str, Any]:
        """Do it. `attempt` is 1 the first time. Returns an object with `failed`: a sentence, or None.

        `public` in it is what anybody may read of that sentence.
        """
        raise NotImplementedError

    def end_earlier(self, begun: Json) -> None:
        """End what is left of an attempt whose `begin` returned `begun` in a process that died."""

    def dispose(self) -> None:
        """Release what `begin` made; always called once it has returned."""


def carry_out(work: Work, make: Callable[[], Attempt]) -> dict[str, Any]:
    """Try until it succeeds or the step's `retry.attempts` have failed. Raises `ActionFailed`."""
    failures, crashes, attempt = 0, 0, work.attempt
    for number in range(1, LIMIT + 1):
        outcome = _once(work, make(), number, attempt)
        if outcome.get("interrupted"):
            attempt += bool(outcome["ran"])
            crashes += bool(outcome.get("crashed"))
            if crashes >= MAX_CRASHES_BEFORE:
                died = f"the server died {crashes} times while it ran; it is not tried again"
                raise ActionFailed(died, public=died)
            continue
        if outcome["failed"] is None:
            return outcome
        failures += 1
        attempt += 1
        if failures >= work.retry.attempts:
            raise ActionFailed(str(outcome["failed"]), public=outcome.get("public"))
        work.sleep(f"wait-{number}", work.retry.delay(failures))
    cut_off = f"it was interrupted {LIMIT} times; closeout does not try again"
    raise ActionFailed(cut_off, public=cut_off)


def _once(work: Work, current: Attempt, number: int, attempt: int) -> dict[str, Any]:
    begun_here = False

    def begin() -> Json:
        nonlocal begun_here
        made = current.begin()
        begun_here = True
        return made

    def run() -> Json:
        if begun_here:
            return current.run(attempt)
        current.end_earlier(begun)
        return {"interrupted": True, "ran": False}

    def on_interrupted() -> Json:
        current.end_earlier(begun)
        work.log(f"attempt {number} was interrupted before its end was recorded; it may have run in part")
        return {"interrupted": True, "ran": True}

    try:
        begun = work.record(f"begin-{number}", begin)
        outcome: dict[str, Any] = work.change(f"run-{number}", run, on_interrupted)
    finally:
        if begun_here:
            current.dispose()
    return outcome
