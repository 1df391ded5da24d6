"""Reruns and replays: the next attempt at what a stored delivery starts, under today's configuration.

The same for both ledgers: the server carries them out on SQLite, the command itself on a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from closeout.core.automation import Automation
from closeout.core.records import NewRun
from closeout.ledger.views import DeliveryView, RunView

NOTHING = "nothing to start: no automation matches, or its run has not finished"


class Shown(Protocol):
    """What reruns read from a ledger."""

    def run(self, run_id: str) -> RunView | None:
        """Return one run."""
        ...

    def delivery(self, delivery_id: int | str) -> DeliveryView | None:
        """Return one delivery."""
        ...

    def body(self, delivery_id: int | str) -> bytes:
        """Return a delivery's payload as JSON text."""
        ...


class Attempting(Protocol):
    """What reruns write to it."""

    def new_attempt(
        self,
        run_id: str,
        definition: str,
        requested_by: str,
        *,
        key: str | None,
        queue_timeout: float,
        request: int | None = None,
    ) -> str:
        """Store the next attempt at a run; return its execution."""
        ...

    def add_runs(self, delivery: int | str, runs: Sequence[NewRun], requested_by: str) -> tuple[str, ...]:
        """Store runs that a stored delivery did not have; return their executions."""
        ...


class Reruns:
    """Reruns and replays over one ledger. `matched` returns the runs that an event (name, GUID, JSON text) starts today."""

    def __init__(
        self,
        shown: Shown,
        attempting: Attempting,
        automations: Mapping[str, Automation],
        *,
        matched: Callable[[str, str, bytes], Sequence[NewRun]],
        start: Callable[[Iterable[str]], None],
    ) -> None:
        self._shown = shown
        self._attempting = attempting
        self._automations = automations
        self._matched = matched
        self._start = start

    def rerun(self, target: str, by: str, request: int | None = None) -> str:
        """Store and start the next attempt at a run; return its execution, or why there is none."""
        run = self._shown.run(target)
        if run is None:
            return f"there is no run {target}"
        if run.state != "finished":
            return f"run {target} has not finished; cancel it first"
        automation = self._automations.get(run.automation)
        if automation is None:
            return f"the configuration no longer has the automation {run.automation}"
        # Use today's key, too: with the old one this run could run beside a run that holds today's.
        matched = self._matched(run.event, run.guid, self._shown.body(run.delivery))
        today = next((new for new in matched if new.run_id == run.id), None)
        execution = self._attempting.new_attempt(
            run.id,
            automation.canonical(),
            by,
            key=today.key if today else run.key,
            queue_timeout=automation.queue_timeout,
            request=request,
        )
        self._start([execution])
        return execution

    def replay(self, delivery_id: int | str, by: str) -> str:
        """Match a stored delivery against today's file; start new runs, and the next attempt of finished ones."""
        delivery = self._shown.delivery(delivery_id)
        if delivery is None:
            return f"there is no delivery {delivery_id}"
        runs = self._matched(delivery.event, delivery.guid, self._shown.body(delivery_id))
        started = list(self._attempting.add_runs(delivery_id, runs, by))
        fresh = {execution.rpartition("-")[0] for execution in started}
        for run in runs:
            if run.run_id in fresh:
                continue
            found = self._shown.run(run.run_id)
            if found is not None and found.state == "finished":
                started.append(
                    self._attempting.new_attempt(
                        run.run_id, run.definition, by, key=run.key, queue_timeout=run.queue_timeout
                    )
                )
        self._start(started)
        return ", ".join(started) if started else NOTHING
