"""What the service's journal says of runs and of patrol."""

from __future__ import annotations

import io

from closeout.patrol.report import Report
from closeout.server import service
from closeout.server.log import Log


def lines(report: Report) -> list[str]:
    """Return what is logged of a round, without the time."""
    stream = io.StringIO()
    service._patrolled(Log(stream=stream), report)
    return [line.partition("closeout: ")[2] or line for line in stream.getvalue().splitlines()]


def test_a_round_that_found_something_says_so() -> None:
    """With what is new for people, and what could not be read."""
    report = Report(started=2, recovered=1, gaps=3, notes=["a hook is new"], errors=["GitHub: 502"])
    note, found, error = lines(report)
    assert note.endswith("patrol: a hook is new")
    assert found.endswith("patrol: 2 closings started, 1 deliveries recovered, 3 gaps")
    assert "patrol could not read all" in error
    assert "GitHub: 502" in error


def test_a_round_that_found_nothing_says_nothing() -> None:
    """There is one every few minutes."""
    assert lines(Report(deliveries_seen=5, closings_seen=2, ignored=1, repositories=3)) == []


def test_each_thing_that_nobody_had_told_is_a_find() -> None:
    """One alone is enough."""
    for found in (Report(recovered=1), Report(gaps=1), Report(started=1), Report(orphans_found=1)):
        assert found.found
        assert len(lines(found)) == 1
    assert not Report(orphans_unknown=1, orphans_started=1).found
