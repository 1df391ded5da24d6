"""What a scene measured and which promises it saw broken: one row of the table, carried between processes as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

HOLDS, BROKEN, ABSENT = "holds", "BROKEN", "ABSENT"
SHOWN = 12
"""Broken promises of one scene that are written out; the rest are counted."""


@dataclass
class Report:
    """One scene's figures. Memory is the server's resident memory in MB (10^6 bytes)."""

    scene: str
    events: list[str] = field(default_factory=list)
    """What was done, with numbers: `12,345 requests`."""
    good_sent: int | None = None
    good_in: int = 0
    worst_ms: float = 0.0
    memory: tuple[float, float, float] | None = None
    """At the start, at the peak, afterwards."""
    descriptors: tuple[int, int] | None = None
    broken: list[str] = field(default_factory=list)
    absent: str = ""
    """Why the scene could not be played, if it could not."""
    seconds: float = 0.0

    def check(self, holds: bool, promise: str) -> bool:
        """Note a promise as broken unless it holds."""
        if not holds and promise not in self.broken:
            self.broken.append(promise)
        return holds

    @property
    def verdict(self) -> str:
        """`holds`, `BROKEN` or `ABSENT`."""
        return BROKEN if self.broken else ABSENT if self.absent else HOLDS

    def to_json(self) -> str:
        """Return the row as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        for name in ("memory", "descriptors"):
            values[name] = tuple(values[name]) if values[name] else None
        return cls(**values)
