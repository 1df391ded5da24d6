"""Carry out the requests of commands, with the name and the reason: `ports.Requests` over DynamoDB.

A stack has no server, so the command carries out its request itself. A cancelled run must still run to
its end: one that was never started is started, one whose execution has ended gets another execution, and one that waits
in its queue is woken.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.core.errors import CloseoutError
from closeout.ledger.dynamodb.attempts import Attempts
from closeout.ledger.dynamodb.starts import LambdaStarts
from closeout.ledger.dynamodb.switch import DynamoSwitch

Again = Callable[[str, str], str]
"""Carries out a rerun of a run, a replay of a delivery, the cleaning of an orphan or the like; returns the outcome."""


class Requests:
    """Carries out requests of the command line in this process. `again` has the functions for further kinds, by kind."""

    def __init__(
        self, attempts: Attempts, starts: LambdaStarts, switch: DynamoSwitch, **again: Again
    ) -> None:
        self._attempts = attempts
        self._starts = starts
        self._switch = switch
        self._again = again
        self._outcomes: list[str] = []

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Carry a request out and return its number, for `outcome`. Raises `StoreUnavailable`."""
        self._outcomes.append(self._carry_out(kind, target or "", by, reason))
        return len(self._outcomes)

    def outcome(self, request: int) -> str | None:
        """Return the outcome of a request: a word, executions, or a sentence."""
        return self._outcomes[request - 1]

    def server_running(self) -> bool:
        """Return True, because this process carries out requests."""
        return True

    def _carry_out(self, kind: str, target: str, by: str, reason: str | None) -> str:
        if kind == "pause":
            self._switch.set_paused(by, reason)
        elif kind == "resume":
            self._switch.clear_paused()
        elif kind == "cancel":
            return self._cancel(target, f"{by}: {reason}" if reason else by)
        elif kind in self._again:
            who = f"{by}: {reason}" if reason and kind == "dismiss" else by
            try:
                return self._again[kind](target, who)
            except CloseoutError as error:
                return error.message
        else:
            return f"unknown request {kind!r}"
        return "done"

    def _cancel(self, target: str, by: str) -> str:
        execution = self._attempts.find(target)
        if execution is None or not self._attempts.cancel(execution, by):
            return "unknown or finished"
        try:
            if self._attempts.is_started(execution):
                self._starts.revive(execution)
                self._starts.wake(execution)
            else:
                self._starts.start(execution)
        except CloseoutError as error:
            return f"the cancel is stored, but Lambda did not confirm that the run goes on ({error.message})"
        return "done"
