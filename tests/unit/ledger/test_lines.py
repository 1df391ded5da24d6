"""Log lines before they are stored: redacted, storable, and limited to what a disk can hold."""

from __future__ import annotations

import pytest

from closeout.ledger import lines
from closeout.ledger.lines import FULL, LONGEST_LINE, JournalLines


def test_a_long_line_is_cut_and_says_how_long_it_was() -> None:
    """A line at the limit is whole."""
    journal = JournalLines(str)
    assert journal.line("a", "x" * LONGEST_LINE) == "x" * LONGEST_LINE
    assert journal.line("a", "x" * (LONGEST_LINE + 3)) == "x" * LONGEST_LINE + " … (3 characters more)"


def test_a_line_is_redacted_and_made_storable() -> None:
    """A lone surrogate is not UTF-8."""
    assert (
        JournalLines(lambda text: text.replace("secret", "***")).line("a", "a secret \ud800")
        == "a *** \\ud800"
    )


def test_each_execution_has_a_limit_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that exceeds it says so, later ones are dropped, and other executions continue."""
    monkeypatch.setattr(lines, "MOST_CHARACTERS", 10)
    journal = JournalLines(str)
    assert [journal.line("a", "12345") for _ in range(4)] == ["12345", "12345", FULL, None]
    assert journal.line("b", "12345") == "12345"


def test_each_execution_has_a_limit_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for characters."""
    monkeypatch.setattr(lines, "MOST_LINES", 2)
    journal = JournalLines(str)
    assert [journal.line("a", "x") for _ in range(5)] == ["x", "x", FULL, None, None]
    assert journal.line("b", "x") == "x"


def test_the_least_recent_execution_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs for years must not count forever."""
    monkeypatch.setattr(lines, "REMEMBERED", 2)
    monkeypatch.setattr(lines, "MOST_LINES", 1)
    journal = JournalLines(str)
    assert [journal.line(name, "x") for name in "abacaba"] == ["x", "x", FULL, "x", None, "x", None]
