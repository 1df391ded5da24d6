"""The line that a round of patrol leaves: a log line that CloudWatch reads as metrics."""

from __future__ import annotations

import json

from bench import costs
from closeout.lambdas.patrol_log import MOST_TOLD, lines
from closeout.patrol.report import Report


def test_a_line_has_the_report_and_its_metrics() -> None:
    """Each metric is named once, and has its value beside it. Odd text breaks no line."""
    report = Report(recovered=2, started=1, gaps=1, errors=["no \ud800\n\x1b[31m answer"], repositories=3)
    (text,) = lines(report, None, "closeout/staging", 1_700_000_000.5)
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
    found = json.loads(next(lines(Report(), None, "closeout", 1.0)))
    assert "PatrolRepositories" not in found
    assert found["level"] == "info"


def test_what_is_long_costs_no_metric() -> None:
    """CloudWatch cuts a line of 256 KB, and then the alarm would say that patrol made no round."""
    orphans = [f"preview-{number} is left of acme/{'x' * 90}#{number}" for number in range(10_000)]
    first, *more = lines(Report(notes=orphans, orphans_found=10_000), None, "closeout", 1.0)
    assert max(map(len, (first, *more))) < 50_000
    found = json.loads(first)
    assert found["notes"][MOST_TOLD] == "and 9900 more, which the log of the function names"
    told = [text for each in more for text in json.loads(each)["more"]]
    assert [*found["notes"][:MOST_TOLD], *told] == orphans
