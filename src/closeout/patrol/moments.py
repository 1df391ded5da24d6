"""GitHub's times as whole seconds since the epoch, which can be compared and moved.

A time of another form is no time: whoever reads a list by it would stop at the wrong place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?Z")


def seconds(text: object) -> int:
    """Return the seconds of `2026-03-10T08:00:00Z`, fractions dropped. Raises `ValueError` for anything else."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not a time of GitHub's")
    return int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp())


def shown(moment: int) -> str:
    """Return a moment as GitHub writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime(FORM)
