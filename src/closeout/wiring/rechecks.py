"""When to recheck teardowns, on a server: due times in memory, computed from the ledger.

Only one time is stored: rechecks that were due before it have been made. One that came due while the server was down is made
at its start; one that is repeated does no harm, because it only reads.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from closeout.config.typed_deletes import is_due
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError
from closeout.core.threads import background
from closeout.engine.recorder import Finished
from closeout.ledger.steps import has_deleted, rehearsed
from closeout.ports import Attempts
from closeout.run import recheck
from closeout.run.deps import RunDeps
from closeout.run.recheck import RECENT, RETRY, Rechecker, Teardown, Teardowns

LONGEST_WAIT = 3_600.0
"""Seconds after which the stored time moves on although nothing is due."""
EVERY = 60.0
"""Seconds between two times that are stored."""


class FinishedTeardowns(Teardowns, Protocol):
    """Reads when rechecks are due."""

    def finished_teardowns(
        self, since: float, repository: str | None = None, number: int | None = None
    ) -> Sequence[tuple[str, int, str, float, str]]:
        """Return the fields of each `Teardown` that finished after `since`: all of them, or those of one pull request."""


class _Due(NamedTuple):
    at: float
    teardown: Teardown
    tries: int = 0
    planned: float = 0.0
    """When it was due at first."""


class Mark(NamedTuple):
    """Where the time is stored before which all due rechecks have been made."""

    read: Callable[[], float | None]
    write: Callable[[float], None]


class Rechecks:
    """Makes the rechecks of a server, one after the other, in a thread of its own."""

    def __init__(
        self,
        reader: FinishedTeardowns,
        attempts: Attempts,
        automations: Mapping[str, Automation],
        deps: RunDeps,
        *,
        mark: Mark,
        start: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._automations = {name: one for name, one in automations.items() if is_due(one, deps.actions)}
        self._rechecker = Rechecker(
            reader,
            attempts.new_attempt,
            self._automations.get,
            deps,
            start=lambda _execution: start(),
            report=report,
            gave_up=report,
        )
        self._mark = mark
        self._marked = float("-inf")
        self._clock = deps.clock
        self._report = report
        self._due: list[_Due] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def recover(self) -> None:
        """Plan the rechecks of teardowns in the ledger; if a run missed some while no server ran, make the last one now."""
        longest = max((one.recheck[-1] for one in self._automations.values()), default=0.0)
        now = self._clock.now()
        made = self._mark.read()
        since = now if made is None else made
        for teardown in self._reader.finished_teardowns(min(since, now) - longest):
            self._plan(Teardown(*teardown), made=since, now=now)

    def finished(self, finished: Finished) -> None:
        """Plan the rechecks of a finished run. One that a recheck started and that deleted nothing gets no new ones."""
        execution = finished.execution
        if finished.ending.verdict != "success" or execution.event_name != recheck.EVENT:
            return
        if rehearsed(finished.operations):
            return  # a dry run tore nothing down
        ended = (execution.automation, finished.finished_at, execution.definition)
        teardown = Teardown(execution.run_id, execution.attempt, *ended)
        if Automation.from_canonical(execution.definition).late and not has_deleted(finished.operations):
            self._hand_on(teardown)
        else:
            self._plan(teardown)

    def _hand_on(self, teardown: Teardown) -> None:
        """Hand the run's remaining rechecks on to its new attempt."""
        with self._changed:
            self._due = [
                due._replace(teardown=teardown) if due.teardown.run_id == teardown.run_id else due
                for due in self._due
            ]
            heapq.heapify(self._due)  # those with the same due time have another order now

    def _plan(self, teardown: Teardown, made: float = float("-inf"), now: float = float("-inf")) -> None:
        automation = self._automations.get(teardown.automation)
        if automation is None:
            return
        times = [at for after in automation.recheck if (at := teardown.finished_at + after) > made]
        missed = [at for at in times if at <= now]
        with self._changed:
            for at in missed[-1:] + times[len(missed) :]:
                heapq.heappush(self._due, _Due(at, teardown, planned=at))
            self._changed.notify()

    def recheck_now(self, repository: str, number: int) -> None:
        """Recheck at once what was torn down for a pull request: a deploy of it has just asked, and is too late."""
        now = self._clock.now()
        for row in self._reader.finished_teardowns(now - RECENT, repository, number):
            teardown = Teardown(*row)
            if teardown.automation not in self._automations:
                continue
            with self._changed:
                if not any(due.teardown == teardown and due.at <= now for due in self._due):
                    heapq.heappush(self._due, _Due(now, teardown, planned=now))
                    self._changed.notify()

    def next_at(self) -> float | None:
        """Return when the next recheck is due; None if none is planned."""
        with self._changed:
            return self._due[0].at if self._due else None

    def run_due(self) -> int:
        """Make the rechecks that are due; return how many attempts were started."""
        started = 0
        while not self._stopping:
            with self._changed:
                if not self._due or self._due[0].at > self._clock.now():
                    break
                due = heapq.heappop(self._due)
            if not self._postponed(due):
                started += self._make(due)
        self._note_made()
        return started

    def _postponed(self, due: _Due) -> bool:
        """Postpone a recheck while a later attempt runs: if that deletes nothing, the recheck is still needed."""
        now = self._clock.now()
        try:
            run = self._reader.run(due.teardown.run_id)
        except CloseoutError:
            return False  # making the recheck raises the error, too, and tries again
        if run is None or run.attempt == due.teardown.attempt:
            return False
        if run.finished_at is not None and run.finished_at + RETRY <= now:
            return False  # it has handed on its rechecks
        with self._changed:
            heapq.heappush(self._due, due._replace(at=now + RETRY, tries=max(due.tries, 1)))
        return True

    def _note_made(self) -> None:
        """Store until when rechecks were made, at most once a minute; one that is tried again is not made yet."""
        now = self._clock.now()
        with self._changed:
            # A second before: what was planned for the stored time itself counts as made.
            made = min([now, *(due.planned - 1.0 for due in self._due if due.tries)])
        if made >= self._marked + EVERY:
            self._mark.write(made)
            self._marked = made

    def _make(self, due: _Due) -> int:
        outcome = self._rechecker.look(due.teardown, due.tries)
        with self._changed:
            if outcome == "unknown":
                at = self._clock.now() + recheck.retry_in(due.tries)
                later = due._replace(at=at, tries=due.tries + 1)
                heapq.heappush(self._due, later)
            elif outcome == "changed":
                self._due = [other for other in self._due if other.teardown != due.teardown]
                heapq.heapify(self._due)
        return int(outcome == "started")

    def start(self) -> None:
        """Begin, if an automation has rechecks at all."""
        if self._automations:
            self._thread = background("rechecks", self._loop)
            self._thread.start()

    def stop(self) -> None:
        """Start nothing more. A recheck that is under way only reads."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _loop(self) -> None:
        try:
            self._until_it_succeeds(self.recover)
            while not self._stopping:
                self._until_it_succeeds(self.run_due)
                with self._changed:
                    wait = self._due[0].at - self._clock.now() if self._due else LONGEST_WAIT
                    if wait > 0 and not self._stopping:
                        self._changed.wait(min(wait, LONGEST_WAIT))
        except Exception as error:  # noqa: BLE001 - a defect, too, must be reported
            self._report(f"no rechecks are made until the next start: {type(error).__name__}: {error}")

    def _until_it_succeeds(self, work: Callable[[], object]) -> None:
        """Call `work`, again and again while the ledger cannot be used: others report that."""
        while not self._stopping:
            try:
                work()
            except CloseoutError:
                with self._changed:
                    if not self._stopping:
                        self._changed.wait(RETRY)
            else:
                return
