"""What every page says, word for word: no other test notices a lost number, link or line."""

from __future__ import annotations

from tests.contract.http.page_texts import KEPT, told


def test_every_page_says_exactly_this() -> None:
    """`python -m tests.contract.http.page_texts` writes the current texts."""
    assert told().split("\n== ") == KEPT.read_text("utf-8").split("\n== ")
