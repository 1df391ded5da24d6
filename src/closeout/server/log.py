"""Write the log to stderr, as text with the time and its zone or as JSON, without secrets and control characters.

Lines of unauthenticated requests are rate-limited, so that a flood cannot fill the disk: of each kind of line one a second is
written, then one every two seconds, and finally one a minute, with the number of suppressed lines. Header values are never logged.
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
from closeout.core.units import iso, local_time

LONGEST = 60
"""The longest interval between two lines of a kind, as a multiple of the shortest."""


def in_journal(stream: TextIO) -> bool:
    """Whether lines go to systemd's journal, which adds the time itself (JOURNAL_STREAM in systemd.exec(5))."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


class _Trace(str):
    """A traceback: written on lines of its own, each with a bar in front that no log line starts with."""

    __slots__ = ()


class Log:
    """Writes lines. `redact` removes secrets from every text; tests pass `clock` and `stream`.

    A call writes exactly one line: control characters are escaped, so a path with a line feed cannot forge a second line or
    move the cursor of a terminal.
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
        self._last: dict[str, tuple[float, float, float, int]] = {}
        """By kind: when a line was last written, when one was last requested, the interval until the next, how many are held."""

    def line(self, what: str, **details: Any) -> None:
        """Write one line: `what` is a short constant text, `details` are values of JSON."""
        self._write(what, details)

    def throttled(self, what: str, **details: Any) -> None:
        """Write one line of this kind a second at most, and count the others."""
        self._hold_back(what, what, details, self._hold)

    def backed_off(self, what: str, **details: Any) -> None:
        """Write one line as `throttled` does, and back off to one a minute while more arrive: for lines that outsiders cause."""
        self._hold_back(what, what, details, self._hold * LONGEST)

    def report(self, text: str) -> None:
        """Write a sentence of the engine as `backed_off` does. The text before the first colon is its kind."""
        self._hold_back(text.partition(":")[0], text, {}, self._hold * LONGEST)

    def _hold_back(self, kind: str, what: str, details: dict[str, Any], longest: float) -> None:
        now = self._clock()
        with self._lock:
            written, seen, hold, held = self._last.get(kind, (float("-inf"), float("-inf"), self._hold, 0))
            if now - written < hold:
                self._last[kind] = written, now, hold, held + 1
                return
            goes_on = held and now - seen < hold
            self._last[kind] = now, now, min(hold * 2, longest) if goes_on else self._hold, 0
        self._write(what, details | ({"and_before": held} if held else {}))

    def unexpected(self, what: str, error: BaseException) -> None:
        """Write an unexpected error with its traceback, which appears nowhere else."""
        trace = "".join(traceback.format_exception(error)).rstrip()
        self.backed_off(f"{what}: {type(error).__name__}", error=_Trace(trace))

    def take_over(self) -> None:
        """Write what other libraries log, and exceptions that end a thread, through this log instead of raw to stderr."""
        logging.getLogger().addHandler(_Foreign(self))
        threading.excepthook = self._thread_failed

    def _thread_failed(self, failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
            self.unexpected(
                f"the thread {failed.thread.name if failed.thread else '?'} failed", failed.exc_value
            )

    def _write(self, what: str, details: dict[str, Any]) -> None:
        stream = self._stream or sys.stderr
        text = self._object(what, details) if self._as_json else self._sentence(stream, what, details)
        try:
            stream.write(text + "\n")
            stream.flush()
        except (OSError, ValueError):
            # A closed or full stderr must not make a delivery fail.
            return

    def _object(self, what: str, details: dict[str, Any]) -> str:
        clean = {
            key: value if isinstance(value, int | float | None) else self._redact(str(value))
            for key, value in details.items()
        }
        text = json.dumps({"at": iso(self._clock()), "message": self._redact(what)} | clean)
        return text.replace("\x7f", "\\u007f")  # the only control character that JSON does not escape

    def _sentence(self, stream: TextIO, what: str, details: dict[str, Any]) -> str:
        at = "" if in_journal(stream) else f"{local_time(self._clock())} "
        words = "".join(f" {key}={value}" for key, value in details.items() if not isinstance(value, _Trace))
        trace = "\n".join(value for value in details.values() if isinstance(value, _Trace))
        lines = [escaped(self._redact(f"{at}closeout: {what}{words}"))]
        lines += [f"  | {escaped(line)}" for line in self._redact(trace).splitlines()]
        return "\n".join(lines)


class _Foreign(logging.Handler):
    """Takes warnings and errors of other libraries: botocore's, asyncio's, uvicorn's."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, rate-limited: outsiders may control its text."""
        try:
            about = record.getMessage()
        except Exception:  # noqa: BLE001 - the arguments do not fit the format
            about = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        trace = {"error": _Trace("".join(traceback.format_exception(error)).rstrip())} if error else {}
        self._log.backed_off(f"{record.name} says at {record.levelname}", text=about, **trace)
