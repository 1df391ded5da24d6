"""Rechecks on AWS: one durable execution for each teardown, advanced one invocation at a time.

Only Lambda stores something about it. Each look reads the ledger and decides by what is there, so an execution that is
started twice, repeated or late does no harm.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from closeout.config.typed_deletes import is_due
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError, LedgerError
from closeout.run.deps import RunDeps
from closeout.run.recheck import RECENT, TRIES, Rechecker, Teardown, retry_in
from closeout.stack.deployed import definition_digest
from closeout.stack.table import from_item, known_key
from closeout.wiring.stack_ledger import StackLedger

State = dict[str, Any]


@dataclass
class StackRechecker:
    """Advances such an execution, one invocation at a time. `deps` reach AWS and GitHub with the rights of patrol's function.

    `report` and `gave_up` are those of `Rechecker`.
    """

    ledger: StackLedger
    deps: RunDeps
    report: Callable[[str], None]
    gave_up: Callable[[str], None]

    def __post_init__(self) -> None:
        self.now = self.deps.clock.now
        self._teardowns = self.ledger.teardowns
        self._rechecker = Rechecker(
            self._teardowns,
            self._new_attempt,
            self._current,
            self.deps,
            start=self._start,
            report=self.report,
            gave_up=self.gave_up,
            assumes=False,
        )

    def advance(self, asked: Mapping[str, Any], state: State) -> State:
        """Look again if that is due; return the state with `wake`, or without it at the end. Never raises.

        `state` is what the last invocation returned, empty at first. `times` are those that are left.
        """
        now, tries = self.now(), int(state.get("tries", 0))
        try:
            if self.ledger.deployed.is_removed():
                return {"times": [], "tries": 0}  # nothing may keep the stack from being deleted
            if "times" not in state:
                state = {"times": self._times(asked, now)}
            outcomes = {"nothing"}
            if state["times"] and state["times"][0] <= now:
                outcomes = {self._rechecker.look(one, tries) for one in self._asked(asked)}
        except CloseoutError as error:
            if tries + 1 >= TRIES:
                self.gave_up(f"the recheck {json.dumps(asked)} is given up: {error.message}")
                return {"times": [], "tries": 0}
            outcomes = {"unknown"}
        except Exception as error:  # noqa: BLE001 - a defect ends these rechecks, and is reported
            self.gave_up(f"the recheck {json.dumps(asked)} failed: {type(error).__name__}: {error}")
            return {"times": [], "tries": 0}
        if "unknown" in outcomes:
            return {**state, "tries": tries + 1, "wake": now + retry_in(tries)}
        left = [at for at in state["times"] if at > now] if "nothing" in outcomes else []
        return {"times": left, "tries": 0, **({"wake": left[0]} if left else {})}

    def _times(self, asked: Mapping[str, Any], now: float) -> list[float]:
        """Return when to look. Of several times that have passed, the last one counts."""
        if "number" in asked:
            return [now]
        found = self._asked(asked)
        automation = self._current(found[0].automation) if found else None
        if automation is None:
            return []
        begin = self._teardowns.beginning(found[0].run_id, found[0].attempt)
        times = [begin.at + after for after in automation.recheck]
        missed = [] if begin.earlier else [at for at in times if at <= now][-1:]
        return missed + [at for at in times if at > now]

    def _asked(self, asked: Mapping[str, Any]) -> Sequence[Teardown]:
        """Return the teardowns that an execution is about. Raises `StoreUnavailable`."""
        if "number" in asked:
            since, about = self.now() - RECENT, (str(asked["repository"]), int(asked["number"]))
            return [Teardown(*one) for one in self._teardowns.finished_teardowns(since, *about)]
        found = self._teardowns.teardown(str(asked["run_id"]), int(asked["attempt"]))
        return [] if found is None else [Teardown(*found)]

    def _current(self, name: str) -> Automation | None:
        automation = self.deps.current(name).automation
        return automation if automation and is_due(automation, self.deps.actions) else None

    def _new_attempt(self, run_id: str, definition: str, requested_by: str, **how: Any) -> str:
        """Store a further attempt. The worker runs no definition that was not deployed, and would fail only after a day."""
        known = self.ledger.table.get(known_key(definition_digest(definition)))
        if known is None or from_item(known).get("expires", math.inf) <= self.now():
            raise LedgerError("what its recheck found is deleted once the stack is deployed again")
        return self.ledger.attempts.new_attempt(run_id, definition, requested_by, **how)

    def _start(self, execution: str) -> None:
        if not self.ledger.attempts.is_started(execution):
            self.ledger.starts.start(execution)
