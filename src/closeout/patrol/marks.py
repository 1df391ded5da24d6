"""How far patrol has read, as values that a store keeps: of a repository's list, and of a hook's delivery log.

All times in a mark are GitHub's, in whole seconds since the epoch. The clock of this machine decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from closeout.ports.durable import Json

REPOSITORY = "repository"
HOOK = "hook"


class RepositoryMark(NamedTuple):
    """The watermark of a repository's closed pull requests, kept by its id: a name may change or be taken over."""

    id: int
    name: str
    """By which it was last read."""
    known_to: int
    """Every closing that GitHub updated before this is known."""
    etag: str | None
    """Of the list's first page when it was last read as a whole."""
    read_at: int
    beginnings: Mapping[str, int]
    """For each automation that listens: what was closed at this moment or before never starts it."""

    def begun_for(self, closed: int) -> frozenset[str]:
        """Return the automations whose beginning is before a closing's moment."""
        return frozenset(name for name, beginning in self.beginnings.items() if closed > beginning)

    def listened(self, automations: Iterable[str], moment: int) -> RepositoryMark:
        """Return the mark with a beginning for exactly these automations; a new one begins at `moment`.

        One that has left the configuration loses its beginning. Otherwise its return would start everything that was
        closed in between.
        """
        return self._replace(beginnings={name: self.beginnings.get(name, moment) for name in automations})

    def to_json(self) -> dict[str, Json]:
        """Return what the store keeps."""
        return {**self._asdict(), "beginnings": dict(self.beginnings)}


class HookMark(NamedTuple):
    """The last delivery of a hook that patrol knows, and when it last read the log to its end."""

    id: int
    last: int | None
    """Id of the newest delivery; None: there has been none."""
    delivered_at: int
    """When that delivery was sent; 0 if there has been none."""
    etag: str | None
    read_at: int

    def to_json(self) -> dict[str, Json]:
        """Return what the store keeps."""
        return dict(self._asdict())


def repository_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, RepositoryMark]:
    """Return the marks of repositories by id."""
    return {int(key): RepositoryMark(**value) for key, value in stored.items()}


def hook_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, HookMark]:
    """Return the marks of hooks by id."""
    return {int(key): HookMark(**value) for key, value in stored.items()}
