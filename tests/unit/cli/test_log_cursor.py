"""Following a log: each line once, in whatever order lines become visible."""

from __future__ import annotations

from closeout.cli.ledger_option import OF_FILE, OF_STACK
from closeout.cli.runs import LogCursor
from closeout.ports import LogLine

SECOND = 1_000_000


def line(second: int) -> LogLine:
    """Return a line of this second."""
    return LogLine(second * SECOND, None, float(second), f"line {second}")


class Log:
    """A log in which a test makes lines visible."""

    def __init__(self, back: int) -> None:
        self.cursor = LogCursor(back)
        self.visible: list[int] = []
        self.asked: list[int] = []

    def follow(self, *seconds: int) -> list[int]:
        """Make further lines visible; return the seconds of those that are printed now."""
        self.visible += seconds
        return [int(one.at) for one in self.cursor.unread(self._read)]

    def _read(self, after: int) -> list[LogLine]:
        self.asked.append(after // SECOND)
        return [line(second) for second in sorted(self.visible) if second * SECOND > after]


def test_a_line_that_becomes_visible_after_a_later_one_is_printed() -> None:
    """The next invocation of a run writes to another stream, which CloudWatch Logs may show first."""
    log = Log(OF_STACK.back)
    assert log.follow(100, 103) == [100, 103]
    assert log.follow(101, 104) == [101, 104]
    assert log.follow() == []
    assert log.follow(140) == [140]
    assert log.follow() == []


def test_only_the_end_of_a_log_is_read_again() -> None:
    """Of a file, nothing is: its lines get their ids in order."""
    of_stack, of_file = Log(OF_STACK.back), Log(OF_FILE.back)
    for log in (of_stack, of_file):
        assert log.follow(100, 200) == [100, 200]
        assert log.follow(300) == [300]
        assert log.follow() == []
    assert of_stack.asked == [0, 170, 270]
    assert of_file.asked == [0, 200, 300]
