"""Run something that leaves no trace of whether it happened, and detect that it may have run before.

After a script or a function, closeout has nothing to check. So each attempt has two operations: `begin`, recorded
before anything runs, and `run`, whose start the ledger stores before it runs (`Work.change`). If a replay finds the start
without an end, the process died in it: the replay ends what is left of that attempt and makes the next one, with a higher
number.

Without a stored start nothing ran: a pause or an unreadable pull request held the call, and what `begin` created is gone
with its process. The next attempt then keeps the number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed
from closeout.ports import Json

LIMIT = 50
"""All attempts of one step, including those that a pause or a restart interrupted."""
MAX_CRASHES_BEFORE = 2
"""Crashes after which a step of an earlier release failed, stored as `crashed`. Its runs must replay the same way."""


class Attempt:
    """One attempt. A subclass whose attempts die with their process needs only `run`."""

    def begin(self) -> Json:
        """Prepare without changing anything; the result is recorded before `run` is called."""
        return {}

    def run(self, attempt: int) -> dict[str, Any]:
        """Run it. `attempt` is 1 the first time. Return an object with `failed`: a sentence, or None.

        Its `public` is the part of that sentence that anyone may read.
        """
        raise NotImplementedError

    def end_earlier(self, begun: Json) -> None:
        """End the rest of an attempt whose `begin` returned `begun` in a process that has died."""

    def dispose(self) -> None:
        """Release what `begin` created; always called after `begin` has returned."""


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
