"""The line that a round of patrol leaves: a log line that CloudWatch reads as metrics."""

from __future__ import annotations

import json

from bench import costs
from closeout.lambdas.patrol_log import line
from closeout.patrol.report import Report


def test_a_line_has_the_report_and_its_metrics() -> None:
    """Each metric is named once, and has its value beside it. Odd text breaks no line."""
    report = Report(recovered=2, started=1, gaps=1, errors=["no \ud800\n\x1b[31m answer"], repositories=3)
    text = line(report, None, "closeout/staging", 1_700_000_000.5)
    assert "\n" not in text
    assert "\x1b" not in text
    found = json.loads(text)
    (about,) = found["_aws"]["CloudWatchMetrics"]
    assert found["_aws"]["Timestamp"] == 1_700_000_000_500
    assert (about["Namespace"], about["Dimensions"]) == ("closeout/staging", [[]])
    values = {one["Name"]: found[one["Name"]] for one in about["Metrics"]}
    assert values == {
        "PatrolRounds": 1,
        "PatrolErrors": 1,
        "PatrolStarted": 1,
        "PatrolRecovered": 2,
        "PatrolGaps": 1,
        "PatrolRepositories": 3,
    }
    assert len(values) + len(["PatrolOrphans"]) == costs.PATROL_METRICS
    assert (found["level"], found["deliveries"]["recovered"]) == ("error", 2)


def test_a_round_without_lists_says_nothing_of_them() -> None:
    """Zero repositories would look like a loss of coverage."""
    found = json.loads(line(Report(), None, "closeout", 1.0))
    assert "PatrolRepositories" not in found
    assert found["level"] == "info"
