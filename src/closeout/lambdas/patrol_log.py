"""What a round of patrol tells: one log line, which CloudWatch also reads as metrics.

The embedded metric format needs no right and no call; the names are in the reference.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json

from closeout.core.terminal import escaped_json
from closeout.wiring.stack_patrols import Made

SECONDS = ("DrillAge",)
"""Metrics that count no things."""


def line(made: Made, namespace: str, now: float) -> str:
    """Return the line of a round that ended."""
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
        **report.with_notes(),
    }
    return escaped_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def metrics(made: Made) -> dict[str, int]:
    """Return the metrics of a round by name: few, because AWS bills each. The line has the rest."""
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
        found["DrillAge"] = int(drill.age)
        if drill.failed is not None and drill.unknown is not None:
            found |= {"DrillFailed": drill.failed, "DrillUnknown": drill.unknown}
    return found
