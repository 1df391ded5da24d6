"""Log lines on stderr: one for a person, with its time, or one JSON object; secrets are taken out last.

A module of ours because a flood of bad requests must not fill the disk: of equal kinds of line one a second is written,
then one in two, and in the end one a minute, with a count of the others. Header values never come here, only names of what was wrong.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

LONGEST = 60
"""How many times as long as at first a kind of line is held back in the end."""
TIME = "%Y-%m-%d %H:%M:%S "


def in_journal(stream: TextIO) -> bool:
    """Whether lines go to systemd's journal, which gives each its time (JOURNAL_STREAM in systemd.exec(5))."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


class Log:
    """Writes lines. `redact` is the last thing that happens to each; `clock` and `stream` are arguments for tests."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        redact: Callable[[str], str] = str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
        hold_seconds: float = 1.0,
    ) -> None:
        self._as_json = as_json
        self._redact = redact
        self._stream = stream
        self._clock = clock
        self._hold = hold_seconds
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, float, float]] = {}
        """By kind: when a line was last written and asked for, and for how many seconds the next is held back."""
        self._held: dict[str, int] = {}

    def line(self, what: str, **details: Any) -> None:
        """Write one line: `what` is a short constant text, `details` are values of JSON."""
        self._write(what, details)

    def seldom(self, what: str, **details: Any) -> None:
        """Write one line unless one of the same kind was written within the last second; those are counted."""
        self._hold_back(what, details, self._hold)

    def rarely(self, what: str, **details: Any) -> None:
        """Write one line as `seldom` does, and ever more seldom, down to once a minute, while strangers cause more."""
        self._hold_back(what, details, self._hold * LONGEST)

    def report(self, text: str) -> None:
        """Write a sentence of the engine's as `rarely` does: its kind is what stands before the first colon."""
        self._hold_back(text, {}, self._hold * LONGEST, kind=text.partition(":")[0])

    def _hold_back(
        self, what: str, details: dict[str, Any], longest: float, *, kind: str | None = None
    ) -> None:
        now = self._clock()
        kind = kind or what
        with self._lock:
            written, seen, hold = self._last.get(kind, (float("-inf"), float("-inf"), self._hold))
            if now - written < hold:
                self._last[kind] = written, now, hold
                self._held[kind] = self._held.get(kind, 0) + 1
                return
            held = self._held.pop(kind, 0)
            goes_on = held and now - seen < hold
            self._last[kind] = now, now, min(hold * 2, longest) if goes_on else self._hold
        self._write(what, details | ({"and_before": held} if held else {}))

    def unforeseen(self, what: str, error: BaseException) -> None:
        """Write what nobody foresaw, with its traceback: it goes here and nowhere else."""
        trace = "".join(traceback.format_exception(error)).rstrip()
        self.rarely(f"{what}: {type(error).__name__}", error=trace)

    def _write(self, what: str, details: dict[str, Any]) -> None:
        stream = self._stream or sys.stderr
        if self._as_json:
            text = json.dumps({"at": round(self._clock(), 3), "message": what} | details, default=str)
        else:
            words = "".join(f" {key}={value}" for key, value in details.items())
            at = "" if in_journal(stream) else time.strftime(TIME, time.localtime(self._clock()))
            text = f"{at}closeout: {what}{words}"
        try:
            stream.write(self._redact(text) + "\n")
            stream.flush()
        except (OSError, ValueError):
            # A closed or full stderr must not fail a delivery.
            return
