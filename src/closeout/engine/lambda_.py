"""The engine on AWS: each invocation claims a run, replays it, and continues it until it ends or waits.

An invocation does what threads and alarms do in the local engine: it asks whether the run may begin, whether the process
died in it, and whether it is cancelled. The rules are the same, and both engines share `durable` and `recorder`. Between
two invocations only rows of the store remain; the caller decides how to wait until `wake`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from closeout.core import runs
from closeout.core.errors import CloseoutError, StoreUnavailable
from closeout.engine.durable import Abandoned
from closeout.engine.invocation import LONGEST_WAIT, BegunEarlier, Invocation
from closeout.engine.key_queue import KeyQueue, next_check
from closeout.engine.recorder import Finished, OutOfTime
from closeout.engine.store import Finalize, RemoteStore, Starts
from closeout.ports import Clock, RunFunction, RunRecord, WakeUp
from closeout.stack.invocation import EARLIER

DRAIN = 60.0
"""Seconds before the end of an invocation in which no operation begins, unless configured otherwise."""
AFTER_A_FAULT = 5.0
AFTER_A_COLLISION = 2.0

DONE: dict[str, Any] = {"done": True}


@dataclass
class LambdaEngine:
    """Runs the executions of one ledger with one run function, an invocation at a time.

    `token` returns a new fencing token; `jitter` returns numbers in [0, 1); `redact` removes secrets from error messages;
    `report` receives an execution and a sentence about it for the operator; `on_finish` is called after an ending is
    stored, and `on_end` last, repeatedly until it raises no error. In the last `drain` seconds of the process's time no
    operation begins. `longest` is how long one operation may take: with less time left, only the first one of an invocation
    begins, because the next invocation has more.
    """

    store: RemoteStore
    run: RunFunction
    starts: Starts
    finalize: Finalize
    clock: Clock
    token: Callable[[], str]
    jitter: Callable[[], float]
    redact: Callable[[str], str]
    report: Callable[[str, str], None]
    on_finish: Callable[[Finished], None] = lambda _finished: None
    on_end: Callable[[RunRecord], None] = lambda _record: None
    pause: Callable[[float], None] = time.sleep
    drain: float = DRAIN
    longest: float = 0.0

    def __post_init__(self) -> None:
        self.queue = KeyQueue(
            self.store, self.starts, self.finalize, clock=self.clock, report=self._report_error
        )
        self._unreleased: dict[str, str] = {}
        """Fencing tokens of claims that this process could not release in an outage. Finding one again means no crash."""

    def advance(
        self, execution: str, remaining: Callable[[], float], callback: str | None = None
    ) -> dict[str, Any]:
        """Continue an execution as far as possible now; return `{"done": true}`, or `{"wake": …}` (seconds since the epoch).

        A run that waits for its turn also answers `queued`, the arguments of `next_check`. The caller then suspends it until
        the durable callback with the id `callback` is completed, or `wake` has come. `remaining` returns the seconds left of
        this process's time. Never raises: an outage of the ledger must not lose a run.
        """
        return self._retried_later(execution, lambda: self._advance(execution, remaining, callback))

    def hand_over(self, execution: str, number: int) -> dict[str, Any]:
        """Continue number `number` in another durable execution, before this one reaches the limit of operations.

        Return what `advance` returns for a finished execution. Never raises.
        """
        try:
            self.starts.hand_over(execution, number)
        except CloseoutError as error:
            self._report_error(execution, error, "it cannot be continued by another durable execution now")
            return self._wake_in(LONGEST_WAIT)
        return DONE

    def end(self, execution: str, run: RunFunction, remaining: Callable[[], float]) -> bool:
        """End an execution that Lambda no longer invokes, with another run function; return whether it has ended.

        A finished run is not changed. While there is time, this waits for what the run function waits for.
        """
        while True:
            outcome = self._retried_later(execution, lambda: self._end(execution, run, remaining))
            if outcome == DONE:
                return True
            wait = max(0.2, outcome["wake"] - self.clock.now())
            if remaining() - wait < self.drain:
                return False
            self.pause(wait)

    def _retried_later(self, execution: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return work()
        except Abandoned:
            return self._wake_in(AFTER_A_COLLISION)
        except Exception as error:  # noqa: BLE001 - the next invocation must try again after any error
            self.report(execution, f"it cannot be taken up now: {self.redact(str(error) or repr(error))}")
            return self._wake_in(AFTER_A_FAULT)

    def _report_error(self, execution: str, error: CloseoutError, what: str) -> None:
        self.report(execution, f"{what}: {self.redact(error.message)}")

    def _advance(
        self, execution: str, remaining: Callable[[], float], callback: str | None
    ) -> dict[str, Any]:
        record = self.store.read(execution)
        if record is None:
            self.report(execution, "it is not in the ledger; there is nothing to do")
            return DONE
        run, now = record.run, self.clock.now()
        if run.state == "finished":
            self.queue.wake_next(record.key)  # the process may have been killed before it did
            return self._ended(record)
        if run.state == "waiting" and run.wake is not None and run.wake > now and not run.cancel:
            return self._wake_at(run.wake)
        if run.state != "queued" or run.turn != "own" or record.key is None:
            return self._execute(record, run.turn, self.run, remaining)
        waits = {"accepted_at": record.accepted_at, "queue_timeout": record.queue_timeout}
        wake = next_check(**waits, now=now)
        if callback is not None:
            self.store.listen(execution, WakeUp(callback, wake))
            # Check once more after storing the callback: any later release of the key or cancel finds it.
            return self._advance(execution, remaining, None)
        turn = self.queue.turn(record, record.key, remaining)
        if turn is None:
            return {"wake": wake, "queued": waits}
        return self._execute(record, turn, self.run, remaining)

    def _end(self, execution: str, run: RunFunction, remaining: Callable[[], float]) -> dict[str, Any]:
        record = self.store.read(execution)
        if record is None or record.run.state == "finished":
            self.queue.wake_next(record and record.key)
            return DONE
        begun = record.run.started_at is not None
        return self._execute(record, record.run.turn if begun else "cancelled", run, remaining, over=True)

    # --- one claim ------------------------------------------------------------------------------------------

    def _execute(
        self,
        found: RunRecord,
        turn: str,
        run: RunFunction,
        remaining: Callable[[], float],
        *,
        over: bool = False,
    ) -> dict[str, Any]:
        """Claim an execution and execute it. With `over` no crash is counted, because crashes are why it is ended."""
        before = found.run
        unreleased = self._unreleased.get(found.execution)
        if over:
            before = runs.advance(before, runs.Recorded())
        elif unreleased is None or unreleased != found.fencing_token:
            # A run found `running` has outlived its process; in any other state this changes nothing.
            before = runs.advance(before, runs.Crashed(alone=True))
        after = runs.advance(before, runs.Taken(turn, self.clock.now()))
        taken = found._replace(run=after, fencing_token=self.token())
        keyed = found.key is not None
        try:
            claimed = self.store.take(
                found, taken, hold=keyed and turn == "own", leave=keyed and found.run.turn == "own" != turn
            )
        except StoreUnavailable:
            self._release(taken)  # the claim may be stored, and only the answer lost
            raise
        if not claimed:
            return self._wake_in(AFTER_A_COLLISION)
        self._unreleased.pop(found.execution, None)
        longest = 0.0 if over else self.longest
        invocation = Invocation(self, taken, run, remaining, over=over, longest=longest)
        try:
            wake = invocation.execute()
        except BegunEarlier:
            ended = self.finalize(found.execution, EARLIER, remaining)
            return DONE if ended else self._wake_in(AFTER_A_FAULT)
        except (OutOfTime, StoreUnavailable):
            self._release(invocation.record)
            raise
        if wake is not None:
            return self._wake_at(wake)
        return DONE if over else self._ended(invocation.record)

    def _ended(self, record: RunRecord) -> dict[str, Any]:
        """Do what follows a run's end; return when to try again if that fails now."""
        try:
            self.on_end(record)
        except CloseoutError as error:
            self._report_error(record.execution, error, "what follows its end cannot be done now")
            return self._wake_in(AFTER_A_FAULT)
        return DONE

    def _release(self, record: RunRecord) -> None:
        """Park a run that an outage stops, because the next process would take a run found `running` for a crash."""
        parked = runs.advance(record.run, runs.Parked(self.clock.now() + AFTER_A_FAULT))
        try:
            if self.store.save(record, parked):
                return
        except StoreUnavailable:
            pass
        if record.fencing_token is not None:
            self._unreleased[record.execution] = record.fencing_token

    def _wake_at(self, at: float) -> dict[str, Any]:
        return {"wake": min(at, self.clock.now() + LONGEST_WAIT)}

    def _wake_in(self, seconds: float) -> dict[str, Any]:
        return {"wake": self.clock.now() + seconds}
