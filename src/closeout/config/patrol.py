"""The file's key `patrol`: how often patrol looks, and how many runs it may start.

Separate from the other settings, because both runtimes read it: a timer on a server, a schedule on AWS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from closeout.config import keys
from closeout.config.document import Scalar
from closeout.config.values import ConfigNode

SHORTEST, LONGEST = 60.0, 86_400.0
MOST_STARTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PatrolSettings:
    """Seconds between two patrols, or two drills; None for one that is off."""

    deliveries: float | None = 300.0
    state: float | None = 3_600.0
    drill: float | None = 86_400.0
    limit: int = 10
    """The number of orphans for which one patrol may start runs."""

    @property
    def minutes(self) -> int | None:
        """Return the whole minutes between two patrols for a schedule; None if both kinds are off."""
        intervals = [one for one in (self.deliveries, self.state) if one is not None]
        return math.ceil(min(intervals) / 60) if intervals else None


def read_patrol(at: ConfigNode | None) -> PatrolSettings:
    """Read the section, with the default for each key that is absent or wrong."""
    section = (at.section(keys.names("patrol")) if at else None) or {}
    given = PatrolSettings()
    return PatrolSettings(
        deliveries=_interval(section.get("deliveries"), given.deliveries),
        state=_interval(section.get("state"), given.state),
        drill=_interval(section.get("drill"), given.drill),
        limit=_limit(section.get("limit"), given.limit),
    )


def read_mode(at: ConfigNode | None) -> str:
    """Read an automation's `patrol`: what patrol does with its orphans."""
    if at is None:
        return "report"
    return "off" if _is_off(at) else at.choice(("report", "repair", "off")) or "report"


def _interval(at: ConfigNode | None, default: float | None) -> float | None:
    if at is None:
        return default
    return None if _is_off(at) else at.duration(SHORTEST, LONGEST)


def _limit(at: ConfigNode | None, default: int) -> int:
    if at is None:
        return default
    return 0 if _is_off(at) else at.integer(1, MOST_STARTED) or default


def _is_off(at: ConfigNode) -> bool:
    """Whether the value is `off`, which YAML 1.1 reads as `false`."""
    value = at.node.value if isinstance(at.node, Scalar) else None
    return value == "off" or value is False
