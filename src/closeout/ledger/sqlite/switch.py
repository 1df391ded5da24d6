"""Whether destructive calls are paused: the newest request counts, whether the engine has taken it or not.

So `closeout pause` holds from the moment its row is written, with or without a server running.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.views import pause_phrase
from closeout.ports import Request


def paused(read: Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]) -> str | None:
    """Return who paused and why as one phrase, or None. `read` executes a named statement."""
    asked = read("switch", ())
    if asked:
        kind, by, reason = asked[0]
        return pause_phrase(by, reason) if kind == "pause" else None
    rows = read("setting", ("paused",))
    if not rows:
        return None
    value = json.loads(rows[0][0])
    return pause_phrase(value["by"], value["reason"])


def turn_switch(connection: sqlite3.Connection, request: Request, at: float) -> None:
    """Pause or resume as `request` says, in the transaction at hand; finish it and all such requests before it."""
    if request.kind == "pause":
        value = json.dumps({"by": request.by, "reason": request.reason, "at": at})
        connection.execute(SQL["put_setting"], ("paused", value.encode()))
    else:
        connection.execute(SQL["drop_setting"], ("paused",))
    connection.execute(SQL["finish_switch_requests"], (at, request.id))
