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
    level = "error" if report.errors else "info"
    told = {"level": level, "text": "patrol ended", "errors": report.errors, "notes": report.notes, "at": now}
    value = {"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [about]}, **told, **found}
    return escaped_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def metrics(report: Report, rounds: Rounds | None) -> dict[str, int]:
    """Return the metrics of a round by name."""
    found = {
        "PatrolRounds": 1,
        "PatrolErrors": len(report.errors),
        "PatrolFailedRounds": int(bool(report.errors)),
        "PatrolClosings": report.closings_seen,
        "PatrolStarted": report.started,
        "PatrolRecovered": report.recovered,
        "PatrolIgnored": report.ignored,
        "PatrolGaps": report.gaps,
    }
    if report.repositories is not None:
        found["PatrolRepositories"] = report.repositories
    if rounds is not None:
        figures = rounds.figures()
        found |= {"PatrolUncoveredPatterns": figures.uncovered, "PatrolOrphans": figures.orphans}
    return found
