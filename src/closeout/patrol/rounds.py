"""One round of patrol: the delivery logs, then the lists of closed pull requests.

The round's owner (a timer, a command, a schedule) makes one at a time; the next round repeats one that was
interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError
from closeout.patrol.closers import asks_who_closed
from closeout.patrol.closings import ClosedLists, ClosingIntake
from closeout.patrol.coverage import Coverage, coverage
from closeout.patrol.delivery_log import DeliveryLogs, LogIntake
from closeout.patrol.hooks import Hooks, Ours
from closeout.patrol.marks import REPOSITORY, repository_marks
from closeout.patrol.owners import Owners
from closeout.patrol.reader import Reader
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads, PatrolStore


class Intake(ClosingIntake, LogIntake, Protocol):
    """Stores what patrol finds like a webhook."""


@dataclass
class Patrol:
    """Patrol's state for one configuration, from one round to the next. `ours` knows this closeout's URLs."""

    github: GitHubReads
    store: PatrolStore
    intake: Intake
    automations: Sequence[Automation]
    ours: Ours
    pause: Callable[[float], object]

    def __post_init__(self) -> None:
        self._hooks = Hooks()
        self._owners = Owners()
        self._reported: set[int] = set()
        self._configured = coverage(self.automations)
        self.coverage: Coverage = self._configured
        """The coverage with the repositories that match patterns, as far as they are known."""
        self.reader = Reader(self.github, self.pause)
        """The last round's reader: an audit that belongs to the round uses the same budget."""
        self._asking = frozenset(one.name for one in self.automations if asks_who_closed(one))

    def round(self, *, deliveries: bool = True, closings: bool = True, cover_gaps: bool = True) -> Report:
        """Make one round; no answer of GitHub's makes it raise. With `cover_gaps` a gap in a log makes it read the lists, too."""
        report = Report()
        reader = self.reader = Reader(self.github, self.pause)
        try:
            if closings and self._configured.listed:
                self._expand(reader, report)
            if deliveries:
                self._read_logs(reader, report, again=closings, lists=closings or cover_gaps)
            if closings or (cover_gaps and report.gaps):
                read, listened = self.coverage.repositories, self.coverage.listeners
                ClosedLists(
                    reader, self.store, self.intake, read, report, self._asking, listened, self._reported
                ).patrol()
        except CloseoutError as error:
            report.failed(error)
        return report

    def _expand(self, reader: Reader, report: Report) -> None:
        """List the repositories that match patterns. If an owner's list cannot be read, those read before stay."""
        known = self._owners.repositories(reader, self._configured.listed, report)
        missing = {owner.lower() for owner in self._configured.listed if owner not in known}
        before = (mark.name for mark in repository_marks(self.store.marks(REPOSITORY)).values())
        names = [name for of_one in known.values() for name in of_one]
        names += [name for name in before if name.partition("/")[0].lower() in missing]
        found = self._configured.with_listed(names)
        for name in sorted(set(self.coverage.repositories) - set(found.repositories)):
            report.notes.append(f"{name}: GitHub no longer lists this repository, so patrol does not read it")
        self.coverage = found

    def _read_logs(self, reader: Reader, report: Report, *, again: bool, lists: bool) -> None:
        known = repository_marks(self.store.marks(REPOSITORY))
        read = self.coverage.repositories if lists else {}
        logs = DeliveryLogs(reader, self.store, self.intake, self.automations, report, read, known)
        hooks = self._hooks.candidates(reader, self.coverage, report, again=again)
        logs.patrol(hooks, self.ours, self._hooks.foreign)
