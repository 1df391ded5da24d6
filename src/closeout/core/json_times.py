"""Times in JSON: seconds since the epoch inside closeout, ISO 8601 in all JSON that leaves it.

One list of keys, so that the command line and the server write the same format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from closeout.core.units import iso

TIMES = (
    "accepted_at",
    "started_at",
    "finished_at",
    "ended_at",
    "received_at",
    "delivered_at",
    "accepted_until",
    "until",
    "since",
    "last_delivery",
    "last_patrol",
    "last_drill",
    "at",
)
"""Keys whose values are times."""
_OTHERS = ("changes", "left")
"""Keys whose values are not closeout's own: a tag may be called `at`."""


def with_iso_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its times and those of nested objects in ISO 8601."""
    return {name: _shown(name, value) for name, value in row.items()}


def _shown(name: str, value: Any) -> Any:
    if name in _OTHERS:
        return value
    if isinstance(value, Mapping):
        return with_iso_times(value)
    if isinstance(value, list | tuple):
        return [with_iso_times(one) if isinstance(one, Mapping) else one for one in value]
    is_time = name in TIMES and isinstance(value, int | float) and not isinstance(value, bool)
    return iso(value) if is_time else value
