"""Log lines before they are stored: redacted, storable, and no more of them than a disk can hold."""

from __future__ import annotations

import pytest

from closeout.ledger import lines
from closeout.ledger.lines import FULL, LONGEST_LINE, JournalLines


def test_a_long_line_is_cut_and_says_how_much_was_there() -> None:
    """One of exactly the limit is whole."""
    journal = JournalLines(str)
    assert journal.line("a", "x" * LONGEST_LINE) == "x" * LONGEST_LINE
    assert journal.line("a", "x" * (LONGEST_LINE + 3)) == "x" * LONGEST_LINE + " … (3 characters more)"


def test_a_line_is_redacted_and_made_storable() -> None:
    """A lone surrogate is no UTF-8."""
    assert (
        JournalLines(lambda text: text.replace("secret", "***")).line("a", "a secret \ud800")
        == "a *** \\ud800"
    )


def test_an_execution_has_a_limit_of_characters_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that goes over it says so, those after it are dropped, and others go on."""
    monkeypatch.setattr(lines, "MOST_CHARACTERS", 10)
    journal = JournalLines(str)
    assert [journal.line("a", "12345") for _ in range(4)] == ["12345", "12345", FULL, None]
    assert journal.line("b", "12345") == "12345"


def test_an_execution_has_a_limit_of_lines_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for characters."""
    monkeypatch.setattr(lines, "MOST_LINES", 2)
    journal = JournalLines(str)
    assert [journal.line("a", "x") for _ in range(5)] == ["x", "x", FULL, None, None]
    assert journal.line("b", "x") == "x"


def test_the_execution_that_wrote_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lives for years counts no more than it must."""
    monkeypatch.setattr(lines, "REMEMBERED", 2)
    monkeypatch.setattr(lines, "MOST_LINES", 1)
    journal = JournalLines(str)
    assert [journal.line(name, "x") for name in "abacaba"] == ["x", "x", FULL, "x", None, "x", None]
