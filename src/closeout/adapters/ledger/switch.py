"""Whether destructive calls are paused: the newest word counts, taken by the engine or not.

So `closeout pause` holds from the moment its row is written, with or without a server running.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def paused(read: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]) -> str | None:
    """Give who paused and why as one phrase, or None."""
    asked = read("switch", ())
    if asked:
        kind, by, reason = asked[0]
        return _phrase(by, reason) if kind == "pause" else None
    rows = read("setting", ("paused",))
    if not rows:
        return None
    value = json.loads(rows[0][0])
    return _phrase(value["by"], value["reason"])


def _phrase(by: str, reason: str | None) -> str:
    return f"by {by}: {reason}" if reason else f"by {by}"
