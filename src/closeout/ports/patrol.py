"""What patrol needs from the outside world: to read GitHub's lists, and to store how far it has read.

Apart from `GitHub`, because no run reads a list conditionally: patrol asks for the same page again and again, and what
GitHub says about the page (its tag, the time, the limit) counts as much as the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from closeout.ports.durable import Json


class Page(NamedTuple):
    """An answer of GitHub's API to a conditional read. Times are whole seconds since the epoch, by GitHub's clock."""

    body: Json
    """None if the page is `unchanged`."""
    unchanged: bool
    """GitHub answered 304: the same as when it gave the tag. Such a call does not count against the limit."""
    etag: str | None
    date: int
    """When GitHub answered."""
    next: Mapping[str, str] | None = None
    """The query of the next page, None on the last one."""
    remaining: int | None = None
    """Calls that the token has left; None if GitHub does not limit it."""
    limit: int | None = None
    scopes: tuple[str, ...] | None = None
    """The scopes of a classic token; None for other tokens, for which GitHub does not say."""


class GitHubReads(Protocol):
    """Reads lists of GitHub's API."""

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read one page; with `etag` only if it has changed since. Raises `ServiceError`, also for half a page."""


class Marks(Protocol):
    """Reads what patrol keeps in the ledger. `kind` and `key` name a mark."""

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Json]]:
        """Return all marks of a kind by key. Raises `StoreUnavailable` or `LedgerError`."""

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Return whether a delivery of a hook is stored."""


class PatrolStore(Marks, Protocol):
    """Stores how far patrol has read. If a mark is lost, patrol starts again and says so."""

    def save_mark(self, kind: str, key: str, value: Mapping[str, Json]) -> None:
        """Keep a mark in place of the one before, durably. Raises `StoreUnavailable`."""
