"""The report of a patrol, which scripts read.

The keys are part of the command line's interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from closeout.core.errors import CloseoutError

COUNTED = ("rounds", "closings", "started", "recovered", "ignored", "gaps", "errors")
"""The figures that are summed over all rounds of a process."""


@dataclass(slots=True)
class Report:
    """The report of one round. `notes` are for people: they say what is new, not what is wrong."""

    deliveries_seen: int = 0
    recovered: int = 0
    ignored: int = 0
    gaps: int = 0
    closings_seen: int = 0
    started: int = 0
    orphans_found: int = 0
    orphans_started: int = 0
    orphans_unknown: int = 0
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    repositories: int | None = None
    """Repositories whose list was read completely; None for a round that read no lists."""

    def failed(self, error: CloseoutError) -> None:
        """Count an error."""
        self.errors.append(error.message)

    @property
    def found(self) -> bool:
        """Whether patrol found something that closeout had missed."""
        return bool(self.recovered or self.gaps or self.started or self.orphans_found)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "deliveries": {
                "seen": self.deliveries_seen,
                "recovered": self.recovered,
                "ignored": self.ignored,
                "gaps": self.gaps,
            },
            "closings": {"seen": self.closings_seen, "started": self.started},
            "orphans": {
                "found": self.orphans_found,
                "started": self.orphans_started,
                "unknown": self.orphans_unknown,
            },
            "errors": list(self.errors),
        }

    def with_notes(self) -> dict[str, Any]:
        """Return `to_json` with the notes for people."""
        return {**self.to_json(), "notes": list(self.notes)}


def first(texts: Sequence[str], most: int, where_to_look: str) -> list[str]:
    """Return the first texts and, if there are more than `most`, a sentence with how many more and `where_to_look`."""
    more = len(texts) - most
    return [*texts[:most], *([f"and {more} more, which {where_to_look}"] if more > 0 else [])]


class PatrolFigures(NamedTuple):
    """Patrol's figures for the metrics."""

    ended_at: Mapping[str, float]
    """When a round last ended: `logs` without lists, `lists` with them."""
    repositories: int
    """How many lists the last round with lists read completely."""
    uncovered: int
    """Patterns in the configuration that patrol cannot follow, because they name no owner."""
    totals: Mapping[str, int]
    """Sums by the names in `COUNTED`."""
    orphans: int
    """How many orphans the last audit found."""
