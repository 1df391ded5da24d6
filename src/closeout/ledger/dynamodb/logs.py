"""Read a run's log from CloudWatch Logs: the lines that the worker wrote to its standard output.

A new line may become visible only after some seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from closeout.adapters.aws import translated
from closeout.core.errors import ServiceError
from closeout.ports import LogLine
from closeout.stack.console import run_pattern

MILLION = 1_000_000


class CloudWatchLogs:
    """Reads the worker's log group with boto3's client of CloudWatch Logs."""

    def __init__(self, client: Any, group: str, *, now: Callable[[], float]) -> None:
        self._client = client
        self._group = group
        self._now = now

    def lines(self, run_id: str, execution: str, since: float) -> list[LogLine]:
        """Return an attempt's lines in order; ids are microseconds. Raises `ServiceError`.

        Lines of one microsecond get ids one apart; `since` (seconds since the epoch) is when the run was accepted.
        """
        found = sorted(
            (
                line
                for line in self._events(run_id, since)
                if line.get("execution") == execution and "verdict" not in line
            ),
            key=lambda line: float(line["at"]),
        )
        lines: list[LogLine] = []
        last = 0
        for line in found:
            last = max(last + 1, int(float(line["at"]) * MILLION))
            lines.append(LogLine(last, line.get("step"), float(line["at"]), str(line["text"])))
        return lines

    def _events(self, run_id: str, since: float) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {
            "logGroupName": self._group,
            "filterPattern": run_pattern(run_id),
            "startTime": max(0, int(since * 1000) - 1000),
        }
        while True:
            try:
                with translated("logs", "FilterLogEvents", self._now):
                    answer = self._client.filter_log_events(**arguments)
            except ServiceError as error:
                if error.reason == "ResourceNotFoundException":
                    return
                raise
            for event in answer.get("events", ()):
                line = _parsed(str(event.get("message", "")))
                if line is not None and line.get("run") == run_id:
                    yield line
            if not answer.get("nextToken"):
                return
            arguments["nextToken"] = answer["nextToken"]


def _parsed(message: str) -> dict[str, Any] | None:
    """Return the object of a line that the journal wrote; other lines are Lambda's own."""
    try:
        line = json.loads(message)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"run", "text", "at"} <= line.keys() else None
