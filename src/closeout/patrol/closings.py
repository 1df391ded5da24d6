"""Start the closings that closeout missed: one round over the lists of closed pull requests.

A closing goes through the same intake as a webhook, which starts each automation once for it. So a round may be
repeated or interrupted without harm: its watermark is stored only after everything before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from closeout.core.errors import CloseoutError, ServiceError, unusable_answer
from closeout.patrol.answers import shown
from closeout.patrol.closed_list import ClosedList, ClosedPull, read_closed
from closeout.patrol.closers import read_closers, who_closed
from closeout.patrol.marks import REPOSITORY, RepositoryMark, repository_marks
from closeout.patrol.reader import SPENT
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads, PatrolStore

NOT_FOUND = 404


class ClosingIntake(Protocol):
    """Stores closings like webhooks."""

    def is_new(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether the closing would start one of these automations for the first time or again."""

    def goes_on(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether a run of the closing has not ended, and does not sleep."""

    def take_in(
        self, closed: ClosedPull, automations: frozenset[str], sender: Mapping[str, Any] | None
    ) -> bool:
        """Store the closing with the runs of these automations alone; return whether it started one.

        Return after the commit. Raises `CloseoutError`.
        """


@dataclass
class ClosedLists:
    """One round over the lists. `repositories` names the automations that listen to each."""

    github: GitHubReads
    store: PatrolStore
    intake: ClosingIntake
    repositories: Mapping[str, tuple[str, ...]]
    report: Report
    asking: frozenset[str] = frozenset()
    """The automations that depend on who closed it: for them a closing waits until GitHub can say that."""
    listened: Callable[[str], object] = lambda _name: ()
    """Returns the automations that listen to a repository that is not read now: GitHub may list it again."""
    reported: set[int] = field(default_factory=set)
    """The repositories for which an earlier round of this process has reported that patrol began there."""

    def patrol(self) -> None:
        """Read each repository's list, start what is new, and store the watermarks.

        The one that was read longest ago comes first, so that a budget too small for all still reads each in turn.
        Raises `StoreUnavailable` or `LedgerError` if the marks cannot be read.
        """
        report, marks = self.report, repository_marks(self.store.marks(REPOSITORY))
        last = {mark.name: mark.read_at for mark in marks.values()}
        before, postponed = len(report.errors), 0
        seen: set[int] = set()
        report.repositories = 0
        for name in sorted(self.repositories, key=lambda each: last.get(each, 0)):
            try:
                read = read_closed(self.github, name, self.repositories[name], marks)
                if read.begun:
                    self._check_successor(name, marks.values())
                seen.add(read.mark.id)
                self._keep_beginnings(marks.get(read.mark.id), read.mark)
                taken = self._take_in(name, read)
                self._save(replace(self._held(read, taken), told=not read.begun))
            except CloseoutError as error:
                if isinstance(error, ServiceError) and error.reason == SPENT:
                    postponed += 1
                    reason = error.message
                else:
                    report.failed(error)
            else:
                self._tell(name, read)
        if postponed:
            report.errors.append(
                f"{postponed} repositories wait for the next patrol, the last one because of: {reason}"
            )
        if len(report.errors) == before:
            self._forget_beginnings(mark for mark in marks.values() if mark.id not in seen)

    def _save(self, mark: RepositoryMark) -> None:
        self.store.save_mark(REPOSITORY, str(mark.id), mark.to_json())

    def _check_successor(self, name: str, marks: Iterable[RepositoryMark]) -> None:
        """Raise `ServiceError` if a new repository has the name of another one that still exists under a name without listeners.

        The configuration then most likely means the other one. If the other one is gone, its name is free for this one.
        """
        names = {each.lower() for each in self.repositories}
        for mark in marks:
            if mark.name.lower() != name.lower() or not mark.beginnings:
                continue
            try:
                body = self.github.read(f"/repositories/{mark.id}", {}).body
            except ServiceError as error:
                if error.http_status == NOT_FOUND and not error.transient:
                    continue
                raise
            new = str(body.get("full_name")) if isinstance(body, dict) and body.get("id") == mark.id else None
            if new is None or new.lower() not in names:
                raise unusable_answer(
                    f"GET /repos/{name}/pulls",
                    f"this is another repository than before, which is called {new or 'something else'} now; write that name"
                    " into the configuration, or leave this one out of it for one patrol if you mean the new repository",
                )

    def _keep_beginnings(self, before: RepositoryMark | None, now: RepositoryMark) -> None:
        """Store the beginnings before anything that may fail, because an automation must not begin again in each failed round."""
        if before is not None and before.beginnings != now.beginnings:
            self._save(replace(before, beginnings=now.beginnings))

    def _take_in(self, name: str, read: ClosedList) -> frozenset[int]:
        """Start what is new in a repository's list; return the ids of these pull requests.

        Raises `CloseoutError` after all were tried, and then the watermark must stay.
        """
        self.report.closings_seen += len(read.pulls)
        begun_for = read.mark.begun_for
        new = [closed for closed in read.pulls if self.intake.is_new(closed, begun_for(closed.closed))]
        known, unread = read_closers(self.github, name, new)
        failures: list[CloseoutError] = []
        waiting: CloseoutError | None = None
        for closed in new:
            try:
                begun, sender = begun_for(closed.closed), who_closed(known, closed)
                if sender is None and unread is not None and begun & self.asking:
                    waiting = unread  # for all: another automation would find the event without its sender
                    continue
                self.report.started += self.intake.take_in(closed, begun, sender)
            except CloseoutError as error:
                failures.append(error)
        if waiting is not None:
            failures.append(waiting)
        for failure in failures[1:]:
            self.report.failed(failure)
        if failures:
            raise failures[0]
        return frozenset(closed.id for closed in new)

    def _held(self, read: ClosedList, taken: AbstractSet[int]) -> RepositoryMark:
        """Return the mark to store: behind closings whose runs have not ended, or have ended as cancelled since.

        Such a run may have read an outdated answer and end as cancelled: then the next round must see its closing again. One
        that sleeps reads GitHub again long after the closing.
        """
        mark = read.mark

        def is_open(closed: ClosedPull) -> bool:
            begun = mark.begun_for(closed.closed)
            # A run that was under way when `_take_in` read it may have ended before `goes_on` reads it.
            return self.intake.goes_on(closed, begun) or (
                closed.id not in taken and self.intake.is_new(closed, begun)
            )

        open_ones = [closed.closed for closed in read.pulls if is_open(closed)]
        if not open_ones:
            return mark
        return replace(mark, known_to=min(mark.known_to, *open_ones), etag=None)

    def _tell(self, name: str, read: ClosedList) -> None:
        if read.error is not None:
            self.report.failed(read.error)
        else:
            self.report.repositories = (self.report.repositories or 0) + 1
        if read.begun or (not read.mark.told and read.mark.id not in self.reported):
            self.reported.add(read.mark.id)
            beginning = max(read.mark.beginnings.values())  # the same for all at the first read
            self.report.notes.append(
                f"{name}: patrol begins here with what is closed after {shown(beginning)}"
            )

    def _forget_beginnings(self, unread: Iterable[RepositoryMark]) -> None:
        """Remove the beginnings of repositories without listeners, after a round that read all others.

        Otherwise a watermark that no longer moves would start a year's closings when an automation listens again. A
        repository that was read under a new name is not among `unread`.
        """
        for mark in unread:
            if mark.beginnings and mark.name not in self.repositories and not self.listened(mark.name):
                self._save(replace(mark, beginnings={}))
