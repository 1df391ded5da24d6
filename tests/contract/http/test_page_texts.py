"""What every page says, word for word: a number, a link or a line that is lost is seen by nobody else."""

from __future__ import annotations

from tests.contract.http.page_texts import KEPT, told


def test_every_page_says_exactly_this() -> None:
    """`python -m tests.contract.http.page_texts` writes what they say now."""
    assert told().split("\n== ") == KEPT.read_text("utf-8").split("\n== ")
