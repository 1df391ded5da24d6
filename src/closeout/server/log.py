"""Log lines on stderr: one for a person, with its time, or one JSON object, without secrets and without controls.

A module of ours because a flood of bad requests must not fill the disk: of equal kinds of line one a second is written,
then one in two, and in the end one a minute, with a count of the others. Header values never come here, only names of what was wrong.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from closeout.core.terminal import escaped

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


class _Trace(str):
    """A traceback: the one text that stands on lines of its own, each behind a bar that no log line begins with."""

    __slots__ = ()


class Log:
    """Writes lines. `redact` takes secrets out of every text of them; `clock` and `stream` are arguments for tests.

    Whatever a text holds, a call writes one line: a path with a line feed in it must not look like two of them, nor move
    the cursor of whoever reads it.
    """

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
        self.rarely(f"{what}: {type(error).__name__}", error=_Trace(trace))

    def take_over(self) -> None:
        """Have what other libraries log, and what ends a thread, written here instead of raw to stderr."""
        logging.getLogger().addHandler(_Foreign(self))
        threading.excepthook = self._thread_failed

    def _thread_failed(self, failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
            self.unforeseen(
                f"the thread {failed.thread.name if failed.thread else '?'} failed", failed.exc_value
            )

    def _write(self, what: str, details: dict[str, Any]) -> None:
        stream = self._stream or sys.stderr
        text = self._object(what, details) if self._as_json else self._sentence(stream, what, details)
        try:
            stream.write(text + "\n")
            stream.flush()
        except (OSError, ValueError):
            # A closed or full stderr must not fail a delivery.
            return

    def _object(self, what: str, details: dict[str, Any]) -> str:
        clean = {
            key: value if isinstance(value, int | float | None) else self._redact(str(value))
            for key, value in details.items()
        }
        text = json.dumps({"at": round(self._clock(), 3), "message": self._redact(what)} | clean)
        return text.replace("\x7f", "\\u007f")  # the one control that JSON leaves as it is

    def _sentence(self, stream: TextIO, what: str, details: dict[str, Any]) -> str:
        at = "" if in_journal(stream) else time.strftime(TIME, time.localtime(self._clock()))
        words = "".join(f" {key}={value}" for key, value in details.items() if not isinstance(value, _Trace))
        trace = "\n".join(value for value in details.values() if isinstance(value, _Trace))
        lines = [escaped(self._redact(f"{at}closeout: {what}{words}"))]
        lines += [f"  | {escaped(line)}" for line in self._redact(trace).splitlines()]
        return "\n".join(lines)


class _Foreign(logging.Handler):
    """Takes warnings and errors of other libraries: urllib3's, botocore's, asyncio's, uvicorn's."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, rarely: its text may be of a stranger's making."""
        try:
            about = record.getMessage()
        except Exception:  # noqa: BLE001 - a log call whose arguments do not fit its text
            about = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        trace = {"error": _Trace("".join(traceback.format_exception(error)).rstrip())} if error else {}
        self._log.rarely(f"{record.name} says at {record.levelname}", text=about, **trace)
