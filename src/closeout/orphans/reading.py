"""Read many pull requests of one repository with few calls: from the list if that is cheaper, else one by one.

An unclear answer of GitHub's never means "closed" or "absent": such a pull request gets a reason instead. After an error
that is not about a single pull request, nothing more is asked about this repository.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from closeout.core.errors import ServiceError, unusable_answer
from closeout.ports import GitHub, Json

AT_ONCE = 8
PAGE = 100
Item = TypeVar("Item")
Found = TypeVar("Found")


class Pull(NamedTuple):
    """A pull request on GitHub. `whole`: it was read individually, so that no field is missing."""

    answer: Json
    whole: bool


class UnknownState(NamedTuple):
    """Why the state of a pull request is unknown. `failed`: GitHub could not be asked."""

    reason: str
    failed: bool


def at_once(work: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """Return `work`'s result for each item, in their order, a few at a time."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="closeout-audit") as pool:
        return list(pool.map(work, items))


@dataclass(slots=True)
class PullRequestReader:
    """The pull requests of one repository, for one audit. `name` and `id` are GitHub's own."""

    github: GitHub
    name: str
    id: int
    private: bool
    failure: str = ""
    """Why nothing more is asked."""
    found: dict[int, Pull] = field(default_factory=dict)

    def read(self, numbers: Collection[int]) -> dict[int, Pull | UnknownState]:
        """Return an answer for each number."""
        left = set(numbers)
        if left:
            newest = self._page(1)
            left = {number for number in left - self.found.keys() if number <= newest}
        if left and not self.failure:
            pages = (newest - min(left)) // PAGE + 1
            if pages < len(left):
                self._list(min(left), pages)
        one_by_one = sorted(left - self.found.keys())
        alone = dict(zip(one_by_one, at_once(self.alone, one_by_one), strict=True))
        return {
            number: self.found.get(number) or alone.get(number) or self._absent(number) for number in numbers
        }

    def alone(self, number: int) -> Pull | UnknownState:
        """Read one pull request individually."""
        if self.failure:
            return UnknownState(self.failure, failed=True)
        path = f"/repos/{self.name}/pulls/{number}"
        try:
            answer = self.github.request("GET", path)
            self._check(path, answer)
            if answer["number"] != number:
                raise unusable_answer(f"GET {path}")
        except ServiceError as error:
            if error.http_status == 404:
                return self._absent(number)
            self.failure = self.failure or error.message
            return UnknownState(error.message, failed=True)
        return Pull(answer, whole=True)

    def _absent(self, number: int) -> UnknownState:
        if self.failure:
            return UnknownState(self.failure, failed=True)
        return UnknownState(f"{self.name} has no pull request {number}", failed=False)

    def _list(self, oldest: int, pages: int) -> None:
        """Read the list, the newest first, down to the number `oldest`, in at most this many pages.

        Pull requests that are opened meanwhile move others from page to page. One that is missed is read individually.
        """
        for first in range(2, pages + 1, AT_ONCE):
            last = min(first + AT_ONCE, pages + 1)
            lowest = min(at_once(self._page, range(first, last)))
            if self.failure or lowest <= oldest:
                return

    def _page(self, page: int) -> int:
        """Keep a page's pull requests; return its highest number for page 1, the lowest for others, 0 without any."""
        if self.failure:
            return 0
        path = f"/repos/{self.name}/pulls"
        query = {
            "state": "all",
            "sort": "created",
            "direction": "desc",
            "per_page": str(PAGE),
            "page": str(page),
        }
        try:
            answer = self.github.request("GET", path, query=query)
            if not isinstance(answer, list):
                raise unusable_answer(f"GET {path}")
            for pull in answer:
                self._check(path, pull)
        except ServiceError as error:
            self.failure = self.failure or error.message
            return 0
        self.found.update((pull["number"], Pull(pull, whole=False)) for pull in answer)
        numbers: list[int] = [pull["number"] for pull in answer] or [0]
        return max(numbers) if page == 1 else min(numbers)

    def _check(self, path: str, pull: Any) -> None:
        """Raise `ServiceError` unless this is a pull request of this repository, open or closed."""
        with suppress(KeyError, TypeError, IndexError):
            if (
                type(pull["number"]) is int
                and pull["state"] in ("open", "closed")
                and pull["base"]["repo"]["id"] == self.id
            ):
                return
        raise unusable_answer(f"GET {path}")


def reading(github: GitHub, repository: str) -> PullRequestReader:
    """Return the reader of a repository's pull requests. Raises `ServiceError` if GitHub does not show the repository.

    Raises it for a renamed one, too, because GitHub's answer is about another name than the configuration's.
    """
    path = f"/repos/{repository}"
    answer = github.request("GET", path)
    name, number = None, None
    with suppress(KeyError, TypeError, IndexError):
        name, number = answer["full_name"], answer["id"]
    if not isinstance(name, str) or type(number) is not int:
        raise unusable_answer(f"GET {path}")
    if name.lower() != repository.lower():
        raise unusable_answer(f"GET {path}", f"{repository} is now {name}; write that into `repositories`")
    return PullRequestReader(github, name, number, private=answer.get("private") is True)
