"""What a round of patrol tells: one log line, which CloudWatch also reads as metrics.

The embedded metric format needs no right and no call; the names are in the reference.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json

from closeout.core.terminal import escaped_json
from closeout.patrol.report import Report
from closeout.wiring.rounds import Rounds


def line(report: Report, rounds: Rounds | None, namespace: str, now: float) -> str:
    """Return the line of a round that ended; `rounds` is None if the configuration could not be read."""
    found = metrics(report, rounds)
    about = {
        "Namespace": namespace,
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in found],
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


def metrics(report: Report, rounds: Rounds | None) -> dict[str, int]:
    """Return the metrics of a round by name: few, because AWS bills each. The line has the rest."""
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
    return found
