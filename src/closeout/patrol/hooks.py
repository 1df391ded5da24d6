"""Find the webhooks that lead to this closeout: their delivery logs show what was sent and did not arrive.

A hook is ours if its URL is ours, or if its log names a delivery that we have. Hooks are listed for all owners at first
and later for a few an hour, so that a quiet hour takes only a few calls for any number of repositories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from closeout.core.errors import ServiceError, unusable_answer
from closeout.patrol.answers import PER_PAGE, items, pages
from closeout.patrol.coverage import Coverage
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads

LISTS_A_ROUND = 4
"""Owners whose hooks are listed again in a later round with lists."""
NAMED = 3
"""Repositories that one note names: a pattern may match hundreds."""
PAGES = 10
FORBIDDEN = (403, 404)


Ours = Callable[[str], bool]
"""Whether a URL is this closeout's."""


class Hook(NamedTuple):
    """A webhook. `path` is its path in the API."""

    id: int
    path: str
    url: str
    events: tuple[str, ...]


class Hooks:
    """The hooks of the owners that patrol knows, from one round to the next."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Hook, ...]] = {}
        """By the owner's path; those listed longest ago come first."""
        self._unreadable: set[str] = set()
        self.foreign: set[int] = set()
        """Hooks whose log names no delivery that we have; they are read again when their owner's hooks are listed again."""

    def candidates(
        self, github: GitHubReads, coverage: Coverage, report: Report, *, again: bool
    ) -> list[Hook]:
        """List the hooks of new owners, or `again` of some, and return all known hooks. Errors are reported."""
        owners = [f"/orgs/{owner}" for owner in coverage.owners]
        owners += [f"/repos/{name}" for name in coverage.repositories]
        for path in set(self._of) - set(owners):
            del self._of[path]
        new = [path for path in owners if path not in self._of]
        unreadable: dict[str, ServiceError] = {}
        for path in new or list(self._of)[: LISTS_A_ROUND if again else 0]:
            try:
                found = _listed(github, path)
            except ServiceError as error:
                if error.http_status not in FORBIDDEN or error.transient:
                    report.failed(error)
                    continue
                found = ()
                unreadable[path] = error
            self._of.pop(path, None)
            self._of[path] = found
            self.foreign -= {hook.id for hook in found}
        self._report_unreadable(unreadable, report)
        return [hook for hooks in self._of.values() for hook in hooks]

    def _report_unreadable(self, found: Mapping[str, ServiceError], report: Report) -> None:
        """Report repositories whose hooks the token may not read. An organization's hooks are optional."""
        new = [path for path in found if path.startswith("/repos/") and path not in self._unreadable]
        if not new:
            return
        self._unreadable |= set(new)
        names = ", ".join(path.removeprefix("/repos/") for path in new[:NAMED])
        more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
        report.notes.append(
            f"{names}{more}: the token may not read webhooks, so patrol has no delivery log here and"
            " relies on the list of closed pull requests; give it `Webhooks: read` (classic: read:repo_hook)"
            f" ({found[new[0]].message})"
        )


def _listed(github: GitHubReads, owner: str) -> tuple[Hook, ...]:
    """Return all hooks of an owner. Raises `ServiceError`."""
    path = f"{owner}/hooks"
    first = github.read(path, {"per_page": str(PER_PAGE)})
    try:
        listed = islice(pages(github, path, first), PAGES)
        return tuple(_hook(owner, item) for page in listed for item in items(page.body))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unusable_answer(f"GET {path}", "the answer is not a list of webhooks") from None


def _hook(owner: str, item: Mapping[str, Any]) -> Hook:
    number = int(item["id"])
    url = str((item.get("config") or {}).get("url", ""))
    return Hook(number, f"{owner}/hooks/{number}", url, tuple(str(event) for event in item["events"]))
