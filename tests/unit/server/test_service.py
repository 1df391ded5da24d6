"""What the service's journal says of runs and of patrol."""

from __future__ import annotations

import io

from closeout.engine.recorder import Finished
from closeout.patrol.report import Report
from closeout.ports import Ending, Execution
from closeout.server import service
from closeout.server.log import Log
from closeout.wiring.orphans import STOPPING


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


def test_a_server_that_stops_does_not_log_what_it_did_not_read() -> None:
    """A person who presses Ctrl-C reads no error; an error of GitHub is still logged."""
    (line,) = lines(Report(errors=[STOPPING, "GitHub answered 502"]))
    assert line.endswith("error=GitHub answered 502")


def test_each_run_that_has_ended_has_a_line() -> None:
    """How it ended, and how long that took since its delivery was accepted."""
    stream = io.StringIO()
    execution = Execution(
        "r-1-1", "r-1", 1, "preview-cleanup", "{}", "pull_request", 7, "g-1", "", b"{}", 100.0, False
    )
    finished = Finished(execution, Ending("success", "deleted 2"), 102.345, ())
    service._finished(Log(stream=stream), finished)
    said = "run=r-1-1 automation=preview-cleanup seconds=2.3 summary=deleted 2"
    assert stream.getvalue().endswith(f"closeout: a run has finished: success {said}\n")
