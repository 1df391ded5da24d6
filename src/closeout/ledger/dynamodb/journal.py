"""Write log lines of runs to standard output, one JSON object each; Lambda sends them to CloudWatch Logs.

A filter on `run` finds a run's log: the lines that SQLite's ledger keeps in a table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from closeout.core.ids import split_execution
from closeout.core.terminal import escaped_json
from closeout.ledger.lines import JournalLines
from closeout.ports import Clock


def to_stdout(line: str) -> None:
    """Write one line and flush it: Lambda may freeze the environment as soon as the handler returns."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class LogJournal:
    """`ports.Journal` over `emit`, which takes a line without its newline. `redact` removes secrets."""

    def __init__(
        self, clock: Clock, redact: Callable[[str], str], emit: Callable[[str], None] = to_stdout
    ) -> None:
        self._clock = clock
        self._redact = redact
        self._lines = JournalLines(redact)
        self._emit = emit

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Write one line of a run's log. Never raises for the content of `text`."""
        line = self._lines.line(execution, text)
        if line is not None:
            self._say("info", text=line, execution=execution, step=step)

    def report(self, text: str) -> None:
        """Write a sentence for the operator."""
        self._say("warning", text=self._redact(text))

    def gave_up(self, text: str) -> None:
        """Write a sentence about a recheck that is not repeated; an alarm counts these lines."""
        self._say("error", text=self._redact(text), recheck="given-up")

    def undelivered(self, target: str, since: float, error: str) -> None:
        """Write that a target accepts no messages; an alarm counts these lines."""
        text = self._redact(f"{target} takes no message: {error}")
        seconds = round(self._clock.now() - since)
        self._say("error", text=text, messages="undelivered", notifier=target, seconds=seconds)

    def about(self, execution: str, text: str) -> None:
        """Write a sentence for the operator about an execution."""
        self._say("warning", text=self._redact(text), execution=execution)

    def finished(self, execution: str, automation: str, verdict: str, summary: str, seconds: float) -> None:
        """Write how a run ended; alarms on failed runs count these lines."""
        level = "error" if verdict == "failure" else "info"
        self._say(
            level,
            text=self._redact(summary),
            execution=execution,
            automation=automation,
            verdict=verdict,
            seconds=round(seconds, 3),
        )

    def _say(self, level: str, *, text: str, execution: str | None = None, **more: Any) -> None:
        run = split_execution(execution)[0] if execution else None
        value = {"level": level, "run": run, "execution": execution, **more}
        shown = {name: part for name, part in value.items() if part is not None}
        clean = text.encode("utf-8", "backslashreplace").decode()
        self._emit(
            escaped_json(json.dumps({**shown, "text": clean, "at": self._clock.now()}, ensure_ascii=False))
        )
