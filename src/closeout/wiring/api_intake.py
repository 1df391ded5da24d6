"""Patrol's way into a ledger: match, store and start what GitHub's API reports, as for a webhook.

An automation that was not yet there when something happened is left out here, after matching and before storing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.closed_payload import closed_payload
from closeout.core.closing import Closing
from closeout.core.ids import split_execution
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.intake.receiver import Receiver
from closeout.intake.recovered import recovered
from closeout.patrol.closed_list import ClosedPull
from closeout.patrol.delivery_log import Entry
from closeout.ports import DeliveryId, PatrolStore, RunView
from closeout.wiring.reruns import Reruns

BY = "patrol"
"""Who is recorded as having asked for the runs that start here."""
Accept = Callable[[NewDelivery, Sequence[NewRun]], Accepted]
"""Stores a delivery with its runs, and waits until that is durable. Raises `CloseoutError`."""


class ApiIntake(NamedTuple):
    """`patrol.rounds.Intake` over one ledger. `accept` stores durably."""

    receiver: Receiver
    reruns: Reruns
    store: PatrolStore
    accept: Accept
    now: Callable[[], float]

    def is_new(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether one of these automations has no run for the closing, or one that found the pull request open."""
        return any(run is None or run.reopened for run in self._runs(closed, automations))

    def goes_on(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether a run of the closing has not ended, and does not sleep."""
        found = self._runs(closed, automations)
        return any(run is not None and run.state != "finished" and run.until is None for run in found)

    def _runs(self, closed: ClosedPull, automations: frozenset[str]) -> list[RunView | None]:
        closing = Closing(closed.repository_id, closed.id, closed.pull["closed_at"])
        return [self.reruns.reader.run(closing.run_id(name)) for name in automations]

    def take_in(
        self, closed: ClosedPull, automations: frozenset[str], sender: Mapping[str, Any] | None
    ) -> bool:
        """Store the closing if it starts one of these automations."""
        event = closed_payload(closed.pull, sender)
        decision = recovered(self.receiver, event, heard="closed-list", at=self.now())
        runs = _of(decision.runs, automations)
        if decision.delivery is None or not runs:
            return False  # most closings of a repository start nothing
        read = self.reruns.reader.run
        there = [read(run.run_id) for run in runs]
        started, claimed = self._begin(decision.delivery, runs) if None in there else (False, [])
        reopened = [run for run, found in zip(runs, there, strict=True) if found and found.reopened]
        reopened += [run for run in claimed if (found := read(run.run_id)) and found.reopened]
        if reopened:
            # The delivery that they read first may have a name that the repository no longer has.
            delivery = self._accept(decision.delivery, runs).delivery
            started |= bool(self.reruns.closed_again(reopened, delivery, BY))
        return started

    def _begin(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> tuple[bool, list[NewRun]]:
        """Store a closing; return whether a run starts, and the runs, with their own ids, that claimed it before.

        Its delivery may be stored without a run, and must not hide the closing then.
        """
        accepted = self._accept(delivery, runs)
        missing = [run for run in runs if run.run_id not in accepted.runs]
        if not missing:
            return bool(accepted.started), []
        added = self.reruns.attempts.add_runs(accepted.delivery, missing, BY)
        self.reruns.start(added)
        begun = {split_execution(execution)[0] for execution in added}
        closing = str(delivery.closing)
        claimed = [
            run._replace(run_id=self.reruns.attempts.claim_closing(closing, run.run_id, run.run_id))
            for run in missing
            if run.run_id not in begun
        ]
        return bool(accepted.started or added), claimed

    def has(self, hook: int, guid: str) -> bool:
        """Whether the delivery is stored."""
        return self.store.has_delivery(str(hook), guid)

    def recover(
        self, hook: int, entry: Entry, payload: Mapping[str, Any], automations: frozenset[str]
    ) -> bool:
        """Store a delivery from the log, with or without runs."""
        return self.store_delivery(hook, entry, payload, automations) is not None

    def store_delivery(
        self, hook: int, entry: Entry, payload: Mapping[str, Any], automations: frozenset[str]
    ) -> DeliveryId | None:
        """Store a delivery from the log with the runs of these automations; return its id, None if it is not an event."""
        decision = recovered(
            self.receiver,
            payload,
            heard="delivery-log",
            at=self.now(),
            event=entry.event,
            hook=str(hook),
            guid=entry.guid,
        )
        if decision.delivery is None:
            return None
        return self._accept(decision.delivery, _of(decision.runs, automations)).delivery

    def _accept(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> Accepted:
        accepted = self.accept(delivery, runs)
        self.reruns.start(accepted.started)
        return accepted


def _of(runs: Sequence[NewRun], automations: frozenset[str]) -> tuple[NewRun, ...]:
    return tuple(run for run in runs if run.automation in automations)
