"""What the server's log says of a round of patrol."""

from __future__ import annotations

import io

from closeout.patrol.report import Report
from closeout.server.log import Log
from closeout.server.service import _patrolled
from closeout.wiring.orphans import STOPPING


def test_a_server_that_stops_does_not_log_what_it_did_not_read() -> None:
    """A person who presses Ctrl-C reads no error; an error of GitHub is still logged."""
    stream = io.StringIO()
    _patrolled(Log(stream=stream), Report(errors=[STOPPING, "GitHub answered 502"]))
    assert STOPPING not in stream.getvalue()
    assert "GitHub answered 502" in stream.getvalue()
