"""How far patrol has read, as values that a store keeps: of a repository's list, and of a hook's delivery log.

All times in a mark are GitHub's, in whole seconds since the epoch. The clock of this machine decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

from closeout.ports.durable import Json

REPOSITORY = "repository"
HOOK = "hook"
REPORT = "report"
"""The kind of the marks that keep what the last rounds saw: of `lists`, of `logs`, and of orphans."""
DRILL, LAST = "drill", "last"
"""Kind and key of the mark that keeps what the last drill found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a list has been read, and since when each automation listens to it."""

    id: int
    etag: str | None
    """Of the list's first page when it was last read as a whole."""
    read_at: int
    beginnings: Mapping[str, int]
    """For each automation that listens: what happened at this moment or before never starts it."""

    def begun_for(self, moment: int) -> frozenset[str]:
        """Return the automations whose beginning is before a moment."""
        return frozenset(name for name, beginning in self.beginnings.items() if moment > beginning)

    def listened(self, automations: Iterable[str], moment: int) -> Self:
        """Return the mark with a beginning for exactly these automations; a new one begins at `moment`.

        One that has left the configuration loses its beginning. Otherwise its return would start everything that
        happened in between.
        """
        return replace(self, beginnings={name: self.beginnings.get(name, moment) for name in automations})

    def to_json(self) -> dict[str, Json]:
        """Return what the store keeps."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryMark(Mark):
    """The watermark of a repository's closed pull requests, kept by its id: a name may change or be taken over."""

    name: str
    """By which it was last read."""
    known_to: int
    """Every closing that GitHub updated before this is known."""
    told: bool = True
    """False until a round after the one that began here: that one may have been killed before it could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMark(Mark):
    """The last delivery of a hook that patrol knows, and when it last read the log to its end."""

    last: int | None
    """Id of the newest delivery; None: there has been none."""
    delivered_at: int
    """When that delivery was sent; without one, when the log was first read."""


def repository_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, RepositoryMark]:
    """Return the marks of repositories by id."""
    return {int(key): RepositoryMark(**value) for key, value in stored.items()}


def hook_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, HookMark]:
    """Return the marks of hooks by id."""
    return {int(key): HookMark(**value) for key, value in stored.items()}
