"""How far patrol has read a repository's list or a hook's delivery log, as values for a store.

All times in a mark are GitHub's, in whole seconds since the epoch. This machine's clock is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

from closeout.ports.durable import Json

REPOSITORY = "repository"
HOOK = "hook"
REPORT = "report"
"""The kind of the marks with the results of the last rounds: `lists`, `logs` and orphans."""
DRILL, LAST = "drill", "last"
"""Kind and key of the mark with the last drill's results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a list has been read, and since when each automation listens to it."""

    id: int
    etag: str | None
    """The tag of the list's first page at the last complete read."""
    read_at: int
    beginnings: Mapping[str, int]
    """For each automation that listens: events at this time or before never start it."""

    def begun_for(self, moment: int) -> frozenset[str]:
        """Return the automations that began before a time."""
        return frozenset(name for name, beginning in self.beginnings.items() if moment > beginning)

    def listened(self, automations: Iterable[str], moment: int) -> Self:
        """Return the mark with a beginning for exactly these automations; a new one begins at `moment`.

        One that has left the configuration loses its beginning. Otherwise its return would start everything since.
        """
        return replace(self, beginnings={name: self.beginnings.get(name, moment) for name in automations})

    def to_json(self) -> dict[str, Json]:
        """Return the object that the store keeps."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryMark(Mark):
    """The watermark of a repository's closed pull requests, kept by its id: a name may change or be taken over."""

    name: str
    """The name by which it was last read."""
    known_to: int
    """Every closing that GitHub updated before this is known."""
    told: bool = True
    """False until the round after the one that began here, which may have been killed before it reported that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMark(Mark):
    """A hook's last delivery that patrol knows, and when it last read the log to its end."""

    last: int | None
    """Id of the newest delivery; None: there has been none."""
    delivered_at: int
    """When that delivery was sent or, without one, when the log was first read."""


def repository_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, RepositoryMark]:
    """Return the marks of repositories by id."""
    return {int(key): RepositoryMark(**value) for key, value in stored.items()}


def hook_marks(stored: Mapping[str, Mapping[str, Json]]) -> dict[int, HookMark]:
    """Return the marks of hooks by id."""
    return {int(key): HookMark(**value) for key, value in stored.items()}
