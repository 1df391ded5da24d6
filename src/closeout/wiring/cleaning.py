"""Start the run that deletes an orphan: the next attempt of one automation at the closing of one pull request.

The audit whose list a person confirmed may be minutes old. So the server reads the pull request again, and the run plans,
asks and guards like any other: it takes nothing over from the audit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from closeout.actions.registry import builtin
from closeout.config.typed_deletes import alone
from closeout.core.automation import Automation
from closeout.core.ids import short_digest
from closeout.core.records import Accepted, NewRun
from closeout.intake.receiver import Receiver
from closeout.intake.recovered import recovered
from closeout.orphans.audit import Target
from closeout.ports import Attempts, GitHub, RunReader
from closeout.run.closed_event import read_closed_event
from closeout.wiring.api_intake import Accept

KIND = "clean"
"""The request's kind in the ledger."""
HEARD = "inventory"
_TARGET = re.compile(r"(?P<repository>[^/#\s]+/[^/#\s]+)#(?P<number>[1-9][0-9]{0,17}) (?P<automation>\S+)")


class Cleaning(NamedTuple):
    """Carries out requests to clean, over one ledger. The engine must be notified of what they start."""

    receiver: Receiver
    accept: Accept
    attempts: Attempts
    reader: RunReader
    github: GitHub
    now: Callable[[], float]

    def start(self, text: str, by: str) -> str:
        """Carry out a request; return the execution that starts, or why there is none. Raises as `clean` does."""
        target = read_target(text)
        return self.clean(target, by)[1] if target else f"{text!r} names no pull request and automation"

    def clean(self, target: Target, by: str, *, once: bool = False) -> tuple[bool, str]:
        """Return whether a run starts, with its execution, or with why there is none.

        With `once`, none starts if the last attempt was made for an orphan: another would end in the same way. Raises
        GitHub's error, and then nothing is started.
        """
        now = self.now()
        closed = read_closed_event(self.github, target.repository, target.number, now)
        if closed.state != "closed":
            return False, f"{closed.name} is {closed.state}, so nothing was started"
        # A GUID of its own: under the closing's, the other automations of that closing would count as started.
        guid = f"{HEARD} {short_digest(str(target) + str(closed.payload['pull_request']['closed_at']))}"
        decision = recovered(self.receiver, closed.payload, heard=HEARD, at=now, guid=guid)
        runs = [run for run in decision.runs if run.automation == target.automation]
        if decision.delivery is None or decision.delivery.closing is None or not runs:
            return False, f"{target.automation} does not start when {closed.name} is closed"
        accepted = self.accept(decision.delivery, runs)
        if accepted.started:
            return True, accepted.started[0]
        return self._again(accepted, runs[0], by, once=once)

    def _again(self, accepted: Accepted, run: NewRun, by: str, *, once: bool) -> tuple[bool, str]:
        """Start the next attempt at an existing run. A person may also start one at a run that was pruned."""
        before = self.reader.run(accepted.runs[0]) if accepted.runs else None
        if before is None:
            added = () if once else self.attempts.add_runs(accepted.delivery, (run,), by)
            return bool(added), added[0] if added else f"the run of {run.automation} was pruned"
        if before.state != "finished":
            return False, f"run {before.id} has not finished"
        for_an_orphan = before.requested_by == by or (before.attempt == 1 and before.heard == HEARD)
        if once and for_an_orphan:
            return (
                False,
                f"run {before.id} ended as {before.verdict} and left it behind; look at that run first",
            )
        execution = self.attempts.new_attempt(
            before.id,
            alone(Automation.from_canonical(run.definition), builtin()).canonical(),
            by,
            key=run.key,
            queue_timeout=run.queue_timeout,
        )
        return True, execution


def read_target(text: str) -> Target | None:
    """Read the text of a request to clean; None if it names no pull request and automation."""
    found = _TARGET.fullmatch(text)
    return Target(found["repository"], int(found["number"]), found["automation"]) if found else None
