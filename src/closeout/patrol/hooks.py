"""Which webhooks lead to this closeout: their delivery logs say what was sent to it and did not arrive.

A hook is ours when its URL is ours, or when its log names a delivery that we have. Hooks are listed for all owners at
first and later for a few an hour, so that a quiet hour costs a few calls however many repositories there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from closeout.core.errors import ServiceError
from closeout.patrol.answers import items, unusable
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads

LISTS_A_ROUND = 4
"""Owners whose hooks are listed again in a later round with lists."""
PER_PAGE = 100
PAGES = 10
FORBIDDEN = (403, 404)


class Hook(NamedTuple):
    """A webhook. `path` is its own in the API."""

    id: int
    path: str
    url: str
    events: tuple[str, ...]


class Hooks:
    """The hooks of the owners that patrol knows, from one round to the next."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Hook, ...]] = {}
        """By path of the owner; those listed longest ago come first."""
        self._unreadable: set[str] = set()
        self.foreign: set[int] = set()
        """Hooks whose log named no delivery that we have; read again when their owner's hooks are listed again."""

    def candidates(
        self, github: GitHubReads, repositories: Iterable[str], report: Report, *, again: bool
    ) -> list[Hook]:
        """Return all hooks that are known, after those of new owners, or `again` of some, were listed. Errors are told."""
        owners = _owners(repositories)
        for path in set(self._of) - set(owners):
            del self._of[path]
        new = [path for path in owners if path not in self._of]
        for path in new or list(self._of)[: LISTS_A_ROUND if again else 0]:
            try:
                found = _listed(github, path)
            except ServiceError as error:
                if error.http_status not in FORBIDDEN or error.transient:
                    report.failed(error)
                    continue
                found = ()
                self._tell_once(path, error, report)
            self._of.pop(path, None)
            self._of[path] = found
            self.foreign -= {hook.id for hook in found}
        return [hook for hooks in self._of.values() for hook in hooks]

    def _tell_once(self, path: str, error: ServiceError, report: Report) -> None:
        """Tell of a repository whose hooks the token may not read. An organization's are a bonus."""
        if path in self._unreadable or path.startswith("/orgs/"):
            return
        self._unreadable.add(path)
        report.notes.append(
            f"{path.removeprefix('/repos/')}: the token may not read webhooks, so patrol has no delivery log here and"
            " relies on the list of closed pull requests; give it `Webhooks: read` (classic: read:repo_hook)"
            f" ({error.message})"
        )


def _owners(repositories: Iterable[str]) -> list[str]:
    """Return the paths of organizations and repositories, in this order."""
    names = list(repositories)
    organizations = dict.fromkeys(f"/orgs/{name.partition('/')[0]}" for name in names)
    return [*organizations, *(f"/repos/{name}" for name in names)]


def _listed(github: GitHubReads, owner: str) -> tuple[Hook, ...]:
    """Return all hooks of an owner. Raises `ServiceError`."""
    found: list[Hook] = []
    query: Mapping[str, str] = {"per_page": str(PER_PAGE)}
    for _ in range(PAGES):
        page = github.read(f"{owner}/hooks", query)
        try:
            found += [_hook(owner, item) for item in items(page.body)]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise unusable(f"{owner}/hooks", "the answer is not a list of webhooks") from None
        if page.next is None:
            break
        query = page.next
    return tuple(found)


def _hook(owner: str, item: Mapping[str, Any]) -> Hook:
    number = int(item["id"])
    url = str((item.get("config") or {}).get("url", ""))
    return Hook(number, f"{owner}/hooks/{number}", url, tuple(str(event) for event in item["events"]))


Ours = Callable[[str], bool]
"""Whether a URL is this closeout's."""
