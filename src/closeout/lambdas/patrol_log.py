"""Log a round of patrol: one line, which CloudWatch also reads as metrics, and more lines for what is too long for it.

The embedded metric format needs no right and no call. The reference lists the names.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from closeout.core.terminal import escaped_json
from closeout.patrol.report import Report, first
from closeout.wiring.stack_patrols import RoundResult

SECONDS = ("DrillAge",)
"""Metrics that are not counts."""

MOST_REPORTED = 100
"""Errors and notes in a line and in a result: CloudWatch cuts a long line, which then loses its metrics, and Lambda accepts
results of 256 KB. An audit may find 10,000 orphans."""


def lines(made: RoundResult, namespace: str, now: float) -> Iterator[str]:
    """Yield the lines of a finished round."""
    report, found = made.report, metrics(made)
    about = {
        "Namespace": namespace,
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Seconds" if name in SECONDS else "Count"} for name in found],
    }
    value = {
        "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [about]},
        "level": "error" if report.errors else "info",
        "text": "patrol ended",
        "at": now,
        **found,
        **shortened(report),
    }
    yield _line(value)
    for level, texts in (("error", report.errors), ("info", report.notes)):
        for begin in range(MOST_REPORTED, len(texts), MOST_REPORTED):
            more = texts[begin : begin + MOST_REPORTED]
            yield _line({"level": level, "text": "patrol told more", "at": now, "more": more})


def shortened(report: Report) -> dict[str, Any]:
    """Return a report for people and scripts, with only the first errors and notes."""
    content = report.with_notes()
    for key in ("errors", "notes"):
        content[key] = first(content[key], MOST_REPORTED, "the log of the function names")
    return content


def _line(value: dict[str, Any]) -> str:
    return escaped_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def metrics(made: RoundResult) -> dict[str, int]:
    """Return the metrics of a round by name: only a few, because AWS bills each. The line has the rest."""
    report, rounds, drill = made
    found = {
        "PatrolRounds": 1,
        "PatrolErrors": len(report.errors),
        "PatrolStarted": report.started + report.orphans_started,
        "PatrolRecovered": report.recovered,
        "PatrolGaps": report.gaps,
    }
    if report.repositories is not None:
        found["PatrolRepositories"] = report.repositories
    if rounds is not None:
        found["PatrolOrphans"] = rounds.figures().orphans
    if drill is not None:
        counts = {"DrillAge": int(drill.age), "DrillFailed": drill.failed, "DrillUnknown": drill.unknown}
        found |= {name: count for name, count in counts.items() if count is not None}
    return found
