"""Recover the deliveries that GitHub sent and closeout does not have, from the delivery logs of its hooks.

GitHub keeps a log for three days, the newest delivery first. Patrol pages back to the last delivery that it knows and
never stops earlier. If a log ends before that, there is a gap: patrol reports it, and the list of closed pull requests
covers it. GitHub is not asked to send anything again, so this works even if the server cannot be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from closeout import livecheck
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError, ServiceError, unusable_answer
from closeout.patrol.answers import PER_PAGE, items, pages, seconds, shown
from closeout.patrol.hooks import Hook, Ours
from closeout.patrol.ignored import PING, Ignored, keep_ignored
from closeout.patrol.marks import HOOK, HookMark, RepositoryMark, hook_marks
from closeout.patrol.reader import SPENT
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads, Page, PatrolStore

LAG = 300
"""Seconds by which each read overlaps the one before, because a delivery is in the log only once it was answered."""
RETENTION = 3 * 86_400 - 3_600
"""How long GitHub certainly keeps a delivery, less an hour."""


class Entry(NamedTuple):
    """One delivery in the log."""

    id: int
    guid: str
    event: str
    action: str | None
    delivered_at: int
    again: bool
    """Whether somebody had it sent again, so that it may report something older."""
    repository: int | None = None
    """The repository's id."""


class LogIntake(Protocol):
    """Stores deliveries that a log names."""

    def has(self, hook: int, guid: str) -> bool:
        """Whether the delivery is stored."""

    def recover(
        self, hook: int, entry: Entry, payload: Mapping[str, Any], automations: frozenset[str]
    ) -> bool:
        """Store the delivery with the runs of these automations alone; return whether it was new.

        Return after the commit. Raises `CloseoutError`.
        """


@dataclass
class DeliveryLogs:
    """One round over the logs of hooks. `automations` are the configuration's."""

    github: GitHubReads
    store: PatrolStore
    intake: LogIntake
    automations: Sequence[Automation]
    report: Report
    lists: Mapping[str, tuple[str, ...]]
    """The automations that listen to the repositories whose lists patrol reads, like `Coverage.repositories`."""
    repositories: Mapping[int, RepositoryMark]
    """The marks of those lists, by repository id."""

    def __post_init__(self) -> None:
        self._checked = {
            (check.event, check.action): {
                one.name for one in self.automations if check in livecheck.possible(one.triggers)
            }
            for check in livecheck.CHECKS
        }
        """For each event with a live check, the automations that listen. Only these events are recovered."""
        self._listening = frozenset[str]().union(*self._checked.values())
        self._triggers = [trigger for one in self.automations for trigger in one.triggers]

    def patrol(self, hooks: Iterable[Hook], ours: Ours, foreign: set[int]) -> None:
        """Read the logs of the hooks that are ours; the others are added to `foreign`.

        Errors are reported, and the marks of the affected logs stay.
        """
        marks = hook_marks(self.store.marks(HOOK))
        events = {"*", *(trigger["event"] for trigger in self._triggers)}
        postponed = 0
        for hook in hooks:
            if hook.id in foreign or events.isdisjoint(hook.events):
                continue
            try:
                mark = marks.get(hook.id)
                if mark is not None:
                    self._patrol(hook, mark)
                elif not self._begin(hook, ours):
                    foreign.add(hook.id)
            except CloseoutError as error:
                if isinstance(error, ServiceError) and error.reason == SPENT:
                    postponed += 1
                else:
                    self.report.failed(error)
        if postponed:
            self.report.errors.append(
                f"{postponed} delivery logs wait for the next patrol, which may ask more"
            )

    def _begin(self, hook: Hook, ours: Ours) -> bool:
        """Begin to watch a hook at its newest delivery, if it is ours."""
        log = _read_log(self.github, hook, None)
        if not ours(hook.url) and not any(self.intake.has(hook.id, entry.guid) for entry in log.entries):
            return False
        mark = HookMark(id=hook.id, last=None, delivered_at=log.date, etag=None, read_at=0, beginnings={})
        self._keep(_moved(log, mark), log.date)
        return True

    def _patrol(self, hook: Hook, mark: HookMark) -> None:
        log = _read_log(self.github, hook, mark)
        mark = mark.listened(self._listening, log.date)
        self.store.save_mark(HOOK, str(hook.id), mark.to_json())  # store beginnings before anything may fail
        if log.gap(mark):
            self.report.gaps += 1
            self.report.notes.append(
                f"{hook.path}: GitHub's delivery log ends before the last known delivery"
                f" ({shown(mark.delivered_at)}); the list of closed pull requests covers what is missing"
            )
        left = [entry for entry in reversed(log.entries) if not self._look_at(hook, mark, entry)]
        offered = [self._ignored(hook, entry) for entry in left if entry.event != PING]
        if over := keep_ignored(self.store, hook, offered, log.date):
            self.report.notes.append(
                f"{hook.path}: `closeout deliveries list --ignored` has no room for {over} deliveries that did not arrive"
            )
        if log.gap(mark):
            mark = replace(mark, last=None, delivered_at=log.date)  # the gap was reported
        self._keep(_moved(log, mark), log.date)

    def _keep(self, mark: HookMark, moment: int) -> None:
        self.store.save_mark(HOOK, str(mark.id), mark.listened(self._listening, moment).to_json())

    def _ignored(self, hook: Hook, entry: Entry) -> Ignored:
        owner = hook.path.removeprefix("/repos/").partition("/hooks/")[0]
        known = self.repositories.get(entry.repository or 0)
        name = owner if hook.path.startswith("/repos/") else known.name if known else None
        wanted = any(
            trigger["event"] == entry.event and (not trigger.get("types") or entry.action in trigger["types"])
            for trigger in self._triggers
        )
        facts = (entry.id, entry.guid, entry.event, entry.action)
        return Ignored(hook.path, *facts, name, entry.delivered_at, wanted)

    def _look_at(self, hook: Hook, mark: HookMark, entry: Entry) -> bool:
        """Store one delivery if it is missing; return False for a missing one that is left alone."""
        if not mark.begun_for(entry.delivered_at):
            return True
        new = (entry.delivered_at, entry.id) > (mark.delivered_at, mark.last or 0)
        self.report.deliveries_seen += new
        if self.intake.has(hook.id, entry.guid):
            return True
        check = livecheck.find(entry.event, entry.action)
        if check is None or not self._checked[check.event, check.action]:
            self.report.ignored += new
            return not new
        payload = read_payload(self.github, hook.path, entry.id, entry.guid)
        begun = self._begun(mark, entry, payload)
        self.report.recovered += self.intake.recover(hook.id, entry, payload, begun)
        return True

    def _begun(self, mark: HookMark, entry: Entry, payload: Mapping[str, Any]) -> frozenset[str]:
        """Return the automations that began before the delivery's event.

        If a repository's list is read for an automation, the automation begins with that list.
        """
        moment = _moment(entry, payload)
        if moment is None:
            return frozenset()
        begun = mark.begun_for(moment)
        repository = payload.get("repository")
        listed = self.repositories.get(repository.get("id", 0)) if isinstance(repository, Mapping) else None
        if listed is None or not isinstance(payload.get("pull_request"), Mapping):
            return begun
        waiting = self.lists.get(listed.name, ())
        return frozenset(
            name
            for name in begun
            if (moment > listed.beginnings[name] if name in listed.beginnings else name not in waiting)
        )


def read_payload(github: GitHubReads, hook: str, number: int, guid: str) -> Mapping[str, Any]:
    """Read the payload of a delivery from the log of a hook, which is named by its path. Raises `ServiceError`."""
    path = f"{hook}/deliveries/{number}"
    body = github.read(path, {}).body
    request = body.get("request") if isinstance(body, Mapping) else None
    payload = request.get("payload") if isinstance(request, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(body, Mapping) or body.get("guid") != guid:
        raise unusable_answer(f"GET {path}", "the answer is not the delivery that was asked for")
    return payload


def _moment(entry: Entry, payload: Mapping[str, Any]) -> int | None:
    """Return when a delivery's event happened; None if that is unknown.

    GitHub was seen to send a closing without its time. It sends such a delivery at once, and the run then asks for the time.
    But a person may have sent an old one again.
    """
    pull = payload.get("pull_request")
    if not isinstance(pull, Mapping):
        return entry.delivered_at
    if pull.get("closed_at") is None:
        return None if entry.again else entry.delivered_at
    try:
        return seconds(pull["closed_at"])
    except ValueError:
        return None


class _Log(NamedTuple):
    """One read of a log. `entries` are the newest first."""

    entries: tuple[Entry, ...]
    reached: bool
    """Whether it reaches the last known delivery or an older one."""
    etag: str | None
    date: int

    def gap(self, mark: HookMark) -> bool:
        """Whether deliveries between the last known one and the log's end may be missing."""
        if self.reached:
            return False
        if mark.last is not None and self.date - mark.delivered_at < RETENTION:
            return True  # it should still be there
        return self.date - mark.read_at >= RETENTION


def _read_log(github: GitHubReads, hook: Hook, mark: HookMark | None) -> _Log:
    """Read a hook's log back to its mark; without one, its first page. Raises `ServiceError`."""
    path = f"{hook.path}/deliveries"
    first = github.read(path, {"per_page": str(PER_PAGE)}, mark.etag if mark else None)
    if first.unchanged and mark is not None:
        # After three days it is unchanged only if it was empty, and still is.
        return _Log((), first.date - mark.read_at < RETENTION, mark.etag, first.date)
    floor = mark.delivered_at - LAG if mark else 0
    entries: list[Entry] = []
    for page in pages(github, path, first, "log"):
        entries += _entries(path, page)
        ends = page.next is None or (bool(entries) and entries[-1].delivered_at < floor)
        if ends or mark is None:
            break
    etag = first.etag if ends and page is first else None
    reached = any(entry.delivered_at < floor or (mark and entry.id == mark.last) for entry in entries)
    return _Log(tuple(entries), reached, etag, first.date)


def _moved(log: _Log, mark: HookMark) -> HookMark:
    """Return the mark after everything in the log was stored."""
    known = [(entry.delivered_at, entry.id) for entry in log.entries]
    if mark.last is not None:
        known.append((mark.delivered_at, mark.last))
    if known:
        delivered_at, last = max(known)
        mark = replace(mark, last=last, delivered_at=delivered_at)
    return replace(mark, etag=log.etag, read_at=log.date)


def _entries(path: str, page: Page) -> list[Entry]:
    try:
        return [_entry(item) for item in items(page.body)]
    except (KeyError, TypeError, ValueError) as error:
        raise unusable_answer(f"GET {path}", f"the answer is not a list of deliveries ({error!r})") from None


def _entry(item: Mapping[str, Any]) -> Entry:
    event, at = str(item["event"]), seconds(item["delivered_at"])
    again = item.get("redelivery") is not False
    identity = int(item["id"]), str(item["guid"])
    return Entry(*identity, event, item.get("action"), at, again, item.get("repository_id"))
