"""The figures in README are those of the newest kept pages: nothing is typed by hand."""

from __future__ import annotations

from bench import figures


def test_readme_says_what_was_measured() -> None:
    """Run `python -m bench.figures --write` after a page was kept."""
    text = figures.README.read_text("utf-8")
    assert text.split(figures.BEGIN)[1].split(figures.END)[0] == figures.block()
