"""Reruns and replays: the next attempt at what a stored delivery starts, under today's configuration.

The same for both ledgers: the server carries them out on SQLite, the command itself on a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from closeout.core.automation import Automation
from closeout.core.records import NewRun
from closeout.ports import Attempts, DeliveryId, RunReader

NOTHING = "nothing to start: no automation matches, or its run has not finished"


class Reruns(NamedTuple):
    """Reruns and replays over one ledger. `matched` returns the runs that an event (name, GUID, JSON text) starts today."""

    reader: RunReader
    attempts: Attempts
    automations: Mapping[str, Automation]
    matched: Callable[[str, str, bytes], Sequence[NewRun]]
    start: Callable[[Iterable[str]], None]

    def rerun(self, target: str, by: str, request: int | None = None) -> str:
        """Store and start the next attempt at a run; return its execution, or why there is none."""
        run = self.reader.run(target)
        if run is None:
            return f"there is no run {target}"
        if run.state != "finished":
            return f"run {target} has not finished; cancel it first"
        automation = self.automations.get(run.automation)
        if automation is None:
            return f"the configuration no longer has the automation {run.automation}"
        # Use today's key, too: with the old one it could run at the same time as a run that holds today's.
        matched = self.matched(run.event, run.guid, self.reader.body(run.delivery))
        today = next((new for new in matched if new.automation == run.automation), None)
        execution = self.attempts.new_attempt(
            run.id,
            automation.canonical(),
            by,
            key=today.key if today else run.key,
            queue_timeout=automation.queue_timeout,
            request=request,
        )
        self.start([execution])
        return execution

    def closed_again(self, runs: Iterable[NewRun], delivery: DeliveryId, by: str) -> tuple[str, ...]:
        """Start the next attempt of each run that was cancelled because its pull request was open; return what began.

        For a closing that GitHub's API reports now, in `delivery`: the run came at a moment when the pull request was open, or
        got an answer that was out of date. Each attempt reads GitHub again before it deletes anything.
        """
        there = [(run, self.reader.run(run.run_id)) for run in runs]
        started = tuple(
            self._attempt(found.id, run, by, delivery)
            for run, found in there
            if found is not None and found.state == "finished" and found.reopened
        )
        self.start(started)
        return started

    def replay(self, delivery_id: DeliveryId, by: str) -> str:
        """Match a stored delivery against today's file; start new runs, and the next attempt of finished ones.

        The attempt reads this delivery, also if another one brought its closing first.
        """
        delivery = self.reader.delivery(delivery_id)
        if delivery is None:
            return f"there is no delivery {delivery_id}"
        runs = self.matched(delivery.event, delivery.guid, self.reader.body(delivery_id))
        started = list(self.attempts.add_runs(delivery_id, runs, by))
        # By automation: what an earlier release ran is named after the GUID, and `runs` after the closing.
        there = {view.automation: view for view in map(self.reader.run, delivery.runs) if view}
        for run in runs:
            found = there.get(run.automation)
            if found is not None and found.state == "finished":
                # A webhook may say who closed the pull request, also where the list that came first does not.
                other = found.closing is not None and found.closing == delivery.closing
                started.append(self._attempt(found.id, run, by, delivery_id if other else None))
        self.start(started)
        return ", ".join(started) if started else NOTHING

    def _attempt(self, run_id: str, run: NewRun, by: str, delivery: DeliveryId | None) -> str:
        """Store the next attempt at a run, by what matches today; it reads `delivery` if one is given."""
        return self.attempts.new_attempt(
            run_id, run.definition, by, key=run.key, queue_timeout=run.queue_timeout, delivery=delivery
        )
