"""An owner's repositories, as GitHub lists them: the meaning of a pattern such as `acme/*`.

An error of the list never means "no repositories": patrol continues with those it knew. A repository that appears later
begins when its pull requests are first read. Archived ones are listed, too, because a pull request may have been closed a
minute before its repository was archived, and an unchanged page costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from closeout.core.errors import ServiceError, unusable_answer
from closeout.patrol.answers import MOST_PAGES, PER_PAGE, items
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads, Page

SORTED = {"sort": "full_name", "per_page": str(PER_PAGE)}
OF_ORGANIZATION = {"type": "all", **SORTED}
OF_USER = {"type": "owner", **SORTED}
OF_TOKEN = {"affiliation": "owner,collaborator", **SORTED}
"""A user's list shows public repositories only. Private ones are in the list of the token's own user."""


class Owners:
    """The repositories of owners, from one round to the next."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._pages: dict[tuple[str, tuple[tuple[str, str], ...]], Page] = {}
        """By path and query, with only the names as their body."""
        self._of: dict[str, tuple[str, ...]] = {}

    def repositories(
        self, github: GitHubReads, owners: Iterable[str], report: Report
    ) -> dict[str, tuple[str, ...]]:
        """List each owner's repositories; return the known ones, without owners that were never read. Errors are reported."""
        for owner in owners:
            try:
                self._of[owner] = self._listed(github, owner)
            except ServiceError as error:
                report.failed(error)
        return dict(self._of)

    def _listed(self, github: GitHubReads, owner: str) -> tuple[str, ...]:
        if owner not in self._kinds:
            self._kinds[owner] = _kind(github, owner)
        if self._kinds[owner] == "Organization":
            lists = [(f"/orgs/{owner}/repos", OF_ORGANIZATION)]
        else:
            lists = [(f"/users/{owner}/repos", OF_USER), ("/user/repos", OF_TOKEN)]
        names = [name for path, query in lists for name in self._all(github, path, query)]
        return tuple(dict.fromkeys(name for name in names if name.partition("/")[0].lower() == owner.lower()))

    def _all(self, github: GitHubReads, path: str, query: Mapping[str, str]) -> list[str]:
        """Return the names on all pages of a list. A page that GitHub calls unchanged is reused."""
        found: list[str] = []
        for _ in range(MOST_PAGES):
            key = path, tuple(sorted(query.items()))
            before = self._pages.get(key)
            page = github.read(path, query, before.etag if before else None)
            if page.unchanged and before is not None:
                page = before
            else:
                page = self._pages[key] = page._replace(body=_names(path, page.body))
            found += page.body
            if page.next is None:
                return found
            query = page.next
        raise unusable_answer(f"GET {path}", "the list does not end")


def _kind(github: GitHubReads, owner: str) -> str:
    """Return `Organization` or `User`. Raises `ServiceError`."""
    path = f"/users/{owner}"
    body = github.read(path, {}).body
    kind = body.get("type") if isinstance(body, dict) else None
    if kind not in ("Organization", "User"):
        raise unusable_answer(f"GET {path}", "the answer is neither a user nor an organization")
    return str(kind)


def _names(path: str, body: Any) -> tuple[str, ...]:
    """Return the full names on a page. Raises `ServiceError`, even if only one is missing."""
    try:
        names = tuple(item["full_name"] for item in items(body))
    except (KeyError, TypeError):
        raise unusable_answer(f"GET {path}", "the answer is not a list of repositories") from None
    if not all(isinstance(name, str) and "/" in name for name in names):
        raise unusable_answer(f"GET {path}", "the answer is not a list of repositories")
    return names
