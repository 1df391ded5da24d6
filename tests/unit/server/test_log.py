"""Log lines: secrets go last, floods are counted, nothing raises."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from closeout.core.redact import Redactor
from closeout.server.log import Log


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_for_people_or_one_json_object() -> None:
    """The same call writes either. A time has its zone, and a program gets ISO 8601."""
    plain, objects = io.StringIO(), io.StringIO()
    Log(stream=plain, clock=Clock()).line("request", status=200)
    Log(stream=objects, as_json=True, clock=Clock()).line("request", status=200)
    assert re.fullmatch(
        r"19[\d-]{8} [\d:]{8}( UTC|[+-][\d:]+) closeout: request status=200\n", plain.getvalue()
    )
    assert json.loads(objects.getvalue()) == {
        "at": "1970-01-01T00:01:40.000Z", "message": "request", "status": 200
    }  # fmt: skip


def test_the_journal_gives_a_line_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under systemd a line has no second time; a stream that is not the journal's has one, whatever was inherited."""
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as file:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        memory = io.StringIO()
        for stream in (journal, file, memory):
            Log(stream=stream, clock=Clock()).line("x")
    assert (tmp_path / "journal").read_text() == "closeout: x\n"
    for written in ((tmp_path / "file").read_text(), memory.getvalue()):
        assert re.fullmatch(r"[\d-]{10} [\d:]{8}\S* ?\S* closeout: x\n", written)


def test_a_line_is_there_at_once(tmp_path: Path) -> None:
    """Whoever follows the log waits for no buffer to fill."""
    with (tmp_path / "log").open("w") as stream:
        Log(stream=stream).line("x")
        assert (tmp_path / "log").read_text().endswith(" closeout: x\n")


def test_secrets_are_taken_out_last() -> None:
    """Also out of what was formatted, a traceback for example."""
    stream = io.StringIO()
    log = Log(stream=stream, redact=lambda text: text.replace("s3cret", "[redacted]"))
    try:
        raise ValueError("it was s3cret")
    except ValueError as error:
        log.unexpected("failed", error)
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
        log.throttled("a request was refused", code="unauthorized")
    clock.now += 1.5
    log.throttled("a request was refused", code="unauthorized")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("and_before=499")


def test_the_time_between_two_lines_doubles_while_more_arrive() -> None:
    """A line comes as soon as its time is over. One that arrives as late as that ends the flood."""
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    written = []
    for quarter in [*range(33), 48, 52, 56, 60]:
        clock.now = 100.0 + quarter / 4
        before = len(stream.getvalue())
        log.backed_off("a request was refused")
        if len(stream.getvalue()) > before:
            written.append(quarter / 4)
    assert written == [0.0, 1.0, 3.0, 7.0, 15.0]


def test_what_strangers_cause_for_hours_fills_no_disk() -> None:
    """A flood of an hour is some seventy lines, which count it; after a quiet while a line comes at once again."""
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    for _ in range(3600 * 20):
        clock.now += 0.05
        log.backed_off("a request was refused: it has no signature")
    lines = stream.getvalue().splitlines()
    assert 60 < len(lines) < 80
    clock.now += 61
    for _ in range(2):
        clock.now += 2
        log.backed_off("a request was refused: it has no signature")
    assert len(stream.getvalue().splitlines()) == len(lines) + 2


HOSTILE = "/runs/x\n2026-01-01 00:00:00 closeout: forged\r\x1b[2J\x1b]0;t\x07\x9b31m\x7f\x85\u2028\u2029\u202e\u2066\u200b\ufeff\x00\t\ud800"


def controls(text: str) -> set[str]:
    """Everything of a text that a terminal or a log's reader would obey."""
    return {character for character in text.removesuffix("\n") if not character.isprintable()}


@pytest.mark.parametrize("as_json", [False, True])
def test_no_text_forges_a_line_or_reaches_a_terminal(as_json: bool) -> None:
    """In whichever field it stands; in JSON it reads back as it was."""
    stream = io.StringIO()
    log = Log(stream=stream, as_json=as_json, clock=Clock())
    log.line(HOSTILE, path=HOSTILE, **{"k\n": HOSTILE})
    assert controls(stream.getvalue()) == set()
    if as_json:
        assert json.loads(stream.getvalue())["path"] == HOSTILE
    else:
        assert r"path=/runs/x\n2026-01-01 00:00:00 closeout: forged\r\x1b[2J" in stream.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_the_lines_of_a_traceback_are_no_log_lines(as_json: bool) -> None:
    """Its message may be a stranger's: each line stands behind a bar, without controls."""
    stream = io.StringIO()
    Log(stream=stream, as_json=as_json, clock=Clock()).unexpected("failed", ValueError(HOSTILE))
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if controls(line)] == []
    assert [line for line in lines[1:] if not line.startswith("  | ")] == []
    assert len(lines) == (1 if as_json else 7)


def test_secrets_are_taken_out_of_every_field_of_an_object() -> None:
    """Whole, and what is left is JSON: a key that never ends takes the rest of its own field only."""
    stream = io.StringIO()
    redact = Redactor(["s3cret \u00fc"]).text
    log = Log(stream=stream, as_json=True, redact=redact, clock=Clock())
    log.line(
        "it was s3cret \u00fc", a=ValueError("s3cret \u00fc"), b="-----BEGIN PRIVATE KEY-----x", c=1, d=None
    )
    assert json.loads(stream.getvalue()) == {
        "at": "1970-01-01T00:01:40.000Z", "message": "it was ***", "a": "***", "b": "***", "c": 1, "d": None
    }  # fmt: skip


def test_what_libraries_log_and_what_ends_a_thread_comes_here() -> None:
    """Redacted, without controls, and held back like any line that strangers cause."""
    stream = io.StringIO()
    log = Log(stream=stream, redact=lambda text: text.replace("s3cret", "***"), clock=Clock())
    root, before = logging.getLogger(), threading.excepthook
    try:
        log.take_over()
        logging.getLogger("urllib3.pool").warning("a %s\n\x1b[2J s3cret", "text")
        logging.getLogger("quiet").info("not of use")

        def failing() -> None:
            raise RuntimeError("s3cret \x1b[2J")

        try:
            raise KeyError("a reason")
        except KeyError:
            logging.getLogger("asyncio").exception("it ended")
        for target in (failing, sys.exit):
            thread = threading.Thread(target=target, name="the-writer")
            thread.start()
            thread.join()
    finally:
        threading.excepthook = before
        root.removeHandler(root.handlers[-1])
    written = stream.getvalue()
    assert r"urllib3.pool says at WARNING text=a text\n\x1b[2J ***" in written
    assert "asyncio says at ERROR text=it ended\n  | Traceback" in written
    assert "  | KeyError: 'a reason'\n" in written
    assert "closeout: the thread the-writer failed: RuntimeError\n  | Traceback" in written
    assert "SystemExit" not in written
    assert controls(written.replace("\n", "")) == set()
    assert "s3cret" not in written
    assert "not of use" not in written


def test_a_closed_stream_fails_nobody() -> None:
    """A delivery is worth more than its log line."""
    stream = io.StringIO()
    stream.close()
    Log(stream=stream).line("x")
