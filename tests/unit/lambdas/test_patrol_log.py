"""The log line of a patrol round, which CloudWatch reads as metrics."""

from __future__ import annotations

import json

from bench import costs
from closeout.lambdas.patrol_log import MOST_REPORTED, lines
from closeout.patrol.report import Report
from closeout.wiring.stack_drills import DrillFigures
from closeout.wiring.stack_patrols import RoundResult


def test_a_line_has_the_report_and_its_metrics() -> None:
    """Each metric is named once, next to its value. Odd text breaks no line."""
    report = Report(
        recovered=2,
        started=1,
        orphans_started=4,
        gaps=1,
        errors=["no \ud800\n\x1b[31m answer from Zürich"],
        repositories=3,
    )
    (text,) = lines(RoundResult(report, None, DrillFigures(2, 1, 60.5)), "closeout/staging", 1_700_000_000.5)
    assert "\n" not in text
    assert "\x1b" not in text
    assert "Zürich" in text, "people search the log for it"
    found = json.loads(text)
    (about,) = found["_aws"]["CloudWatchMetrics"]
    assert found["_aws"]["Timestamp"] == 1_700_000_000_500
    assert (about["Namespace"], about["Dimensions"]) == ("closeout/staging", [[]])
    values = {one["Name"]: found[one["Name"]] for one in about["Metrics"]}
    assert values == {
        "PatrolRounds": 1,
        "PatrolErrors": 1,
        "PatrolStarted": 5,
        "PatrolRecovered": 2,
        "PatrolGaps": 1,
        "PatrolRepositories": 3,
        "DrillAge": 60,
        "DrillFailed": 2,
        "DrillUnknown": 1,
    }
    assert {one["Name"]: one["Unit"] for one in about["Metrics"] if one["Unit"] != "Count"} == {
        "DrillAge": "Seconds"
    }
    assert len(values) + len(["PatrolOrphans"]) == costs.PATROL_METRICS
    assert (found["level"], found["deliveries"]["recovered"]) == ("error", 2)


def test_a_round_without_lists_omits_their_metrics() -> None:
    """Zero repositories would look like a loss of coverage."""
    found = json.loads(next(lines(RoundResult(Report(), None), "closeout", 1.0)))
    assert "PatrolRepositories" not in found
    assert found["level"] == "info"


def test_before_the_first_drill_its_metric_is_omitted() -> None:
    """The result is not known yet."""
    found = json.loads(
        next(lines(RoundResult(Report(), None, DrillFigures(None, None, 5.0)), "closeout", 1.0))
    )
    assert found["DrillAge"] == 5
    assert not {"DrillFailed", "DrillUnknown"} & set(found)


def test_a_long_report_costs_no_metric() -> None:
    """CloudWatch cuts a line at 256 KB, and the alarm would say that patrol made no round."""
    orphans = [f"preview-{number} is left of acme/{'x' * 90}#{number}" for number in range(10_000)]
    first, *more = lines(RoundResult(Report(notes=orphans, orphans_found=10_000), None), "closeout", 1.0)
    assert max(map(len, (first, *more))) < 50_000
    found = json.loads(first)
    assert found["notes"][MOST_REPORTED] == "and 9900 more, which the log of the function names"
    told = [text for each in more for text in json.loads(each)["more"]]
    assert [*found["notes"][:MOST_REPORTED], *told] == orphans


def test_the_most_entries_are_listed_in_full() -> None:
    """One more is counted instead."""
    for many, more in (
        (MOST_REPORTED, []),
        (MOST_REPORTED + 1, ["and 1 more, which the log of the function names"]),
    ):
        (text, *_) = lines(RoundResult(Report(errors=["x"] * many), None), "closeout", 1.0)
        assert json.loads(text)["errors"] == ["x"] * MOST_REPORTED + more
