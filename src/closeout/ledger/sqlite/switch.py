"""Whether destructive calls are paused: the newest word counts, taken by the engine or not.

So `closeout pause` holds from the moment its row is written, with or without a server running.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from closeout.ledger.views import pause_phrase


def paused(read: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]) -> str | None:
    """Return who paused and why as one phrase, or None."""
    asked = read("switch", ())
    if asked:
        kind, by, reason = asked[0]
        return pause_phrase(by, reason) if kind == "pause" else None
    rows = read("setting", ("paused",))
    if not rows:
        return None
    value = json.loads(rows[0][0])
    return pause_phrase(value["by"], value["reason"])
