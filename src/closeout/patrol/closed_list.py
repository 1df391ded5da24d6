"""Read a repository's list of closed pull requests down to its watermark, without missing any.

What could be missed, and what prevents it:

* Pull requests that are updated in the same second, or that a replica shows late: the watermark stays `LAG` behind the
  newest update, so each read repeats the last minutes of the one before.
* Pages that shift while they are read. An update moves a pull request to the front, where the next read begins. A
  reopened pull request leaves the list, and another one moves from an unread page to a read one. So a list of
  several pages is read again until nothing new appears.
* Errors: the watermark moves only after a complete read.
* A renamed repository: GitHub answers to its old name, but its closings no longer match the configuration. So the
  watermark stays until the configuration has the new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from closeout.core.closing import KEPT_DAYS
from closeout.core.errors import ServiceError, unusable_answer
from closeout.core.units import DAY
from closeout.patrol.answers import PER_PAGE, items, pages, seconds
from closeout.patrol.marks import RepositoryMark
from closeout.ports.patrol import GitHubReads, Page

LAG = 300
"""Seconds by which a watermark stays behind the newest update."""
PASSES = 5
"""Times that a constantly changing list is read before its watermark is left unchanged."""
QUERY = {"state": "closed", "sort": "updated", "direction": "desc", "per_page": str(PER_PAGE)}


class ClosedPull(NamedTuple):
    """A pull request that GitHub lists as closed."""

    repository_id: int
    id: int
    updated: int
    closed: int
    pull: Mapping[str, Any]
    """The entry in the list."""


class ClosedList(NamedTuple):
    """The result of one read of a repository's list."""

    mark: RepositoryMark
    """To be stored as soon as `pulls` are stored."""
    pulls: tuple[ClosedPull, ...]
    """Pull requests closed after the first beginning, in order of closing."""
    begun: bool = False
    """Whether the repository was read for the first time."""
    error: ServiceError | None = None
    """Why the read was incomplete. `mark` did not move then."""


def read_closed(
    github: GitHubReads, name: str, automations: Iterable[str], known: Mapping[int, RepositoryMark]
) -> ClosedList:
    """Read the pull requests closed since the watermark. `automations` listen to this repository; `known` are all watermarks.

    Raises `ServiceError` if not even the first page can be read.
    """
    path = f"/repos/{name}/pulls"
    same_name = [mark for mark in known.values() if mark.name == name]
    latest = max(same_name, key=lambda mark: mark.read_at, default=None)
    first = github.read(path, QUERY, latest.etag if latest else None)
    if first.unchanged and latest is not None:
        return ClosedList(replace(latest.listened(automations, first.date), read_at=first.date), ())
    read = _ListRead(github, path)
    read.take(first)
    _check_name(name, items(first.body))
    repository = read.repository_id or _repository_id(github, name)
    moment = max(first.date, read.newest)
    mark = known.get(repository)
    if mark is None:
        floor = read.newest - LAG
        beginning = RepositoryMark(
            id=repository,
            name=name,
            known_to=floor,
            etag=_tag(first, floor),
            read_at=first.date,
            beginnings=dict.fromkeys(automations, moment),
        )
        return ClosedList(beginning, (), True, read.error)
    mark = replace(mark.listened(automations, moment), name=name, etag=None)
    read.descend(first, mark.known_to)
    # Closings before the watermark are known, even if a run was pruned and somebody now comments on the pull request. After
    # KEPT_DAYS a ledger may have forgotten a closing.
    oldest = max(mark.known_to, first.date - KEPT_DAYS * DAY)
    pulls = [pull for pull in read.found.values() if pull.closed >= oldest and mark.begun_for(pull.closed)]
    if read.error is None:
        known_to = max(mark.known_to, read.newest - LAG)
        mark = replace(mark, known_to=known_to, etag=_tag(read.top, known_to), read_at=first.date)
    pulls.sort(key=lambda pull: pull.closed)
    return ClosedList(mark, tuple(pulls), error=read.error)


class _ListRead:
    """One read of a list, as far as it got."""

    def __init__(self, github: GitHubReads, path: str) -> None:
        self._github, self._path, self._operation = github, path, f"GET {path}"
        self.found: dict[tuple[int, int], ClosedPull] = {}
        """By id and time: a pull request that is closed twice while the list is read has two closings."""
        self.newest = 0
        """The newest update on the first page of the first pass."""
        self.repository_id = 0
        self.top: Page
        """The first page of the last pass."""
        self.error: ServiceError | None = None

    def take(self, page: Page) -> list[ClosedPull]:
        """Check a page and keep its pull requests; return them. Raises `ServiceError` if it is not such a list."""
        try:
            pulls = [_closed_pull(item) for item in items(page.body)]
            updates = [seconds(item["updated_at"]) for item in items(page.body)]
        except (KeyError, TypeError, ValueError) as error:
            problem = f"the answer is not a list of pull requests ({error!r})"
            raise unusable_answer(self._operation, problem) from None
        if updates != sorted(updates, reverse=True):
            raise unusable_answer(self._operation, "the list is not in the order that was asked for")
        closed = [pull for pull in pulls if pull is not None]
        if len(closed) < len(pulls):
            problem = "the list of closed pull requests names one that is not closed"
            self.error = unusable_answer(self._operation, problem)
        for pull in closed:
            if self.repository_id not in (0, pull.repository_id):
                raise unusable_answer(self._operation, "the list names pull requests of two repositories")
            self.repository_id = pull.repository_id
            self.found.setdefault((pull.id, pull.closed), pull)
        self.newest = self.newest or max(updates, default=0)
        return closed

    def descend(self, first: Page, floor: int) -> None:
        """Read down to `floor`, from a checked first page, until two passes in a row list the same.

        A pass misses a pull request only if another one leaves the list meanwhile, and the next pass lacks that one.
        """
        try:
            self.top, before = first, self._pass(first, floor)
            for _ in range(PASSES - 1):
                if before is None:
                    return
                self.top = self._github.read(self._path, QUERY)
                now = self._pass(self.top, floor)
                if now in (before, None):
                    return
                before = now
            problem = f"the list changed each of {PASSES} times that it was read"
            raise unusable_answer(self._operation, problem)
        except ServiceError as error:
            self.error = error

    def _pass(self, page: Page, floor: int) -> frozenset[tuple[int, int]] | None:
        """Take all pages down to `floor`, from a first one; return what they list.

        Updates since the first pass began are left to the next read. None: everything was on one page, which cannot
        shift.
        """
        listed: list[ClosedPull] = []
        for each in pages(self._github, self._path, page, by_number=QUERY):
            listed += self.take(each)
            if _reaches(each, floor):
                break
        if each is page:
            return None
        return frozenset((pull.id, pull.closed) for pull in listed if floor <= pull.updated <= self.newest)


def _reaches(page: Page, floor: int) -> bool:
    """Whether a checked page ends the list or reaches below a time."""
    pulls = items(page.body)
    if pulls and seconds(pulls[-1]["updated_at"]) < floor:
        return True
    return page.next is None and len(pulls) < PER_PAGE


def _tag(page: Page, floor: int) -> str | None:
    """Return the tag of a first page if it reaches below `floor`, so that an unchanged page means an unchanged list.

    Otherwise the next page could have a pull request that was updated in the same second as the last one, or shown late.
    """
    return page.etag if _reaches(page, floor) else None


def _closed_pull(item: Mapping[str, Any]) -> ClosedPull | None:
    """Return a pull request of the list; None if GitHub does not say that it is closed, or when.

    Raises `KeyError`, `TypeError` or `ValueError` for anything that is not a pull request.
    """
    repository, pull = item["base"]["repo"]["id"], item["id"]
    if type(repository) is not int or type(pull) is not int or type(item["number"]) is not int:
        raise TypeError("an id is missing")
    updated = seconds(item["updated_at"])
    if item["state"] != "closed" or item.get("closed_at") is None:
        return None
    return ClosedPull(repository, pull, updated, seconds(item["closed_at"]), item)


def _check_name(name: str, pulls: Sequence[Mapping[str, Any]]) -> None:
    """Raise `ServiceError` if a checked list belongs to a repository whose name differs from the configuration."""
    for pull in pulls[:1]:
        now = str(pull["base"]["repo"].get("full_name", name))
        if now.lower() != name.lower():
            raise unusable_answer(
                f"GET /repos/{name}/pulls",
                f"the repository is called {now} now; write that name into the configuration, because its closings no longer"
                " match it",
            )


def _repository_id(github: GitHubReads, name: str) -> int:
    """Return the id of a repository whose list is empty."""
    body = github.read(f"/repos/{name}", {}).body
    identity = body.get("id") if isinstance(body, dict) else None
    if type(identity) is not int:
        raise unusable_answer(f"GET /repos/{name}", "the answer is not a repository")
    return identity
