"""How far patrol has read, as values that a store keeps: of a repository's list, and of a hook's delivery log.

All times in a mark are GitHub's, in whole seconds since the epoch. The clock of this machine decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from closeout.ports.durable import Json

REPOSITORY = "repository"
HOOK = "hook"
REPORT = "report"
"""The kind of the marks that keep what the last rounds saw: of `lists`, of `logs`, and of orphans."""
DRILL, LAST = "drill", "last"
"""Kind and key of the mark that keeps what the last drill found."""


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
    told: bool = True
    """False until a round after the one that began here: that one may have been killed before it could tell."""

    def begun_for(self, closed: int) -> frozenset[str]:
        """Return the automations whose beginning is before a closing's moment."""
        return _begun(self.beginnings, closed)

    def listened(self, automations: Iterable[str], moment: int) -> RepositoryMark:
        """Return the mark with a beginning for exactly these automations; a new one begins at `moment`.

        One that has left the configuration loses its beginning. Otherwise its return would start everything that was
        closed in between.
        """
        return self._replace(beginnings=_listened(self.beginnings, automations, moment))

    def to_json(self) -> dict[str, Json]:
        """Return what the store keeps."""
        value = {**self._asdict(), "beginnings": dict(self.beginnings)}
        if self.told:
            del value["told"]
        return value


class HookMark(NamedTuple):
    """The last delivery of a hook that patrol knows, and when it last read the log to its end."""

    id: int
    last: int | None
    """Id of the newest delivery; None: there has been none."""
    delivered_at: int
    """When that delivery was sent; without one, when the log was first read."""
    etag: str | None
    read_at: int
    beginnings: Mapping[str, int]
    """As in `RepositoryMark`."""

    def begun_for(self, moment: int) -> frozenset[str]:
        """Return the automations whose beginning is before a moment."""
        return _begun(self.beginnings, moment)

    def listened(self, automations: Iterable[str], moment: int) -> HookMark:
        """Return the mark with a beginning for exactly these automations, as `RepositoryMark` does."""
        return self._replace(beginnings=_listened(self.beginnings, automations, moment))

    def to_json(self) -> dict[str, Json]:
        """Return what the store keeps."""
        return {**self._asdict(), "beginnings": dict(self.beginnings)}


def _begun(beginnings: Mapping[str, int], moment: int) -> frozenset[str]:
    return frozenset(name for name, beginning in beginnings.items() if moment > beginning)


def _listened(beginnings: Mapping[str, int], automations: Iterable[str], moment: int) -> dict[str, int]:
    return {name: beginnings.get(name, moment) for name in automations}


def repository_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, RepositoryMark]:
    """Return the marks of repositories by id."""
    return {int(key): RepositoryMark(**value) for key, value in stored.items()}


def hook_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, HookMark]:
    """Return the marks of hooks by id."""
    return {int(key): HookMark(**value) for key, value in stored.items()}
