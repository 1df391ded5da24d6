"""Check the answers that patrol reads: lists that end, and times in GitHub's format.

Anything else is an error, never an empty list or a missing time, because patrol would then stop reading at the wrong place.
An unusable answer may be a proxy's, or incomplete; the same call may return the complete one later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from closeout.core.errors import unusable_answer
from closeout.ports.patrol import GitHubReads, Page

PER_PAGE = 100
MOST_PAGES = 2_000
"""Pages of one list. GitHub's lists end long before; one that does not is an error."""
FORM = "%Y-%m-%dT%H:%M:%SZ"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z")


def pages(
    github: GitHubReads,
    path: str,
    page: Page,
    what: str = "list",
    by_number: Mapping[str, str] | None = None,
) -> Iterator[Page]:
    """Yield a first page and those that follow. Raises `ServiceError`, even if they do not end.

    With `by_number`, the list's query, only a page with room ends the list: a proxy may drop the header that names the next one.
    """
    for number in range(2, MOST_PAGES + 2):
        yield page
        following = page.next
        if following is None and by_number is not None and len(items(page.body)) >= PER_PAGE:
            following = {**by_number, "page": str(number)}
        if following is None:
            return
        if number <= MOST_PAGES:
            page = github.read(path, following)
    raise unusable_answer(f"GET {path}", f"the {what} does not end")


def items(body: Any) -> Sequence[Mapping[str, Any]]:
    """Return the items of a list. Raises `TypeError` for anything else."""
    if not isinstance(body, list):
        raise TypeError("not a list")
    return body


def seconds(text: object) -> int:
    """Return `2026-03-10T08:00:00Z` in whole seconds since the epoch, without fractions. Raises `ValueError`."""
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise ValueError("not a time of GitHub's")
    return int(datetime.fromisoformat(text).timestamp())


def shown(moment: int) -> str:
    """Return a time as GitHub writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime(FORM)
