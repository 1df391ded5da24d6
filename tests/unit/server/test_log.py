"""Log lines: secrets go last, floods are counted, nothing raises."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest

from closeout.server.log import Log


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_for_people_or_one_json_object() -> None:
    """The same call gives either."""
    plain, objects = io.StringIO(), io.StringIO()
    Log(stream=plain, clock=Clock()).line("request", status=200)
    Log(stream=objects, as_json=True, clock=Clock()).line("request", status=200)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(100.0))
    assert plain.getvalue() == f"{at} closeout: request status=200\n"
    assert json.loads(objects.getvalue()) == {"at": 100.0, "message": "request", "status": 200}


def test_the_journal_gives_a_line_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under systemd a line has no second time; a stream that is not the journal's has one, whatever was inherited."""
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as file:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        for stream in (journal, file):
            Log(stream=stream, clock=Clock()).line("x")
    assert (tmp_path / "journal").read_text() == "closeout: x\n"
    assert (tmp_path / "file").read_text().endswith("0 closeout: x\n")


def test_secrets_are_taken_out_last() -> None:
    """Also out of what was formatted, a traceback for example."""
    stream = io.StringIO()
    log = Log(stream=stream, redact=lambda text: text.replace("s3cret", "[redacted]"))
    try:
        raise ValueError("it was s3cret")
    except ValueError as error:
        log.unforeseen("failed", error)
    assert "ValueError" in stream.getvalue()
    assert "s3cret" not in stream.getvalue()


def test_what_the_engine_says_again_and_again_comes_ever_more_seldom() -> None:
    """Its sentences are of one kind by what stands before the first colon, whatever run and reason follow."""
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    for second in range(600):
        clock.now = 100.0 + second / 2
        log.report(f"a run cannot be taken up now: run-{second}: the ledger is damaged")
    log.report("the schedule cannot be read: the ledger is damaged")
    lines = stream.getvalue().splitlines()
    assert 5 < len(lines) < 15
    assert "the schedule" in lines[-1]


def test_a_flood_of_one_kind_is_a_line_a_second() -> None:
    """What was held back is counted in the next line."""
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    for _ in range(500):
        log.seldom("a request was refused", code="unauthorized")
    clock.now += 1.5
    log.seldom("a request was refused", code="unauthorized")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("and_before=499")


def test_what_strangers_cause_for_hours_fills_no_disk() -> None:
    """A flood of an hour is some seventy lines, which count it; after a quiet while a line comes at once again."""
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    for _ in range(3600 * 20):
        clock.now += 0.05
        log.rarely("a request was refused: it has no signature")
    lines = stream.getvalue().splitlines()
    assert 60 < len(lines) < 80
    clock.now += 61
    for _ in range(2):
        clock.now += 2
        log.rarely("a request was refused: it has no signature")
    assert len(stream.getvalue().splitlines()) == len(lines) + 2


def test_a_closed_stream_fails_nobody() -> None:
    """A delivery is worth more than its log line."""
    stream = io.StringIO()
    stream.close()
    Log(stream=stream).line("x")
