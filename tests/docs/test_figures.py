"""The figures in the docs are those of the newest kept pages: nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import figures, report


@pytest.mark.parametrize(
    ("page", "made"),
    [(figures.README, figures.line), (figures.PERFORMANCE, figures.block)],
    ids=["README", "performance"],
)
def test_a_page_says_what_was_measured(page: Path, made: Callable[[], str]) -> None:
    """Run `python -m bench.figures --write` after a page was kept."""
    assert figures.between(page.read_text("utf-8")) == made()


def test_what_the_page_repeats_are_rows_of_the_results() -> None:
    """A row that is renamed in the results does not vanish from the page."""
    assert set(figures.ASKED) <= {row[0] for row in report.BUDGETS}


def test_the_page_repeats_every_budget_that_does_not_hold() -> None:
    """What is shown is not chosen by how it came out."""
    page, results = figures.newest(starts=False)
    failed = [row for row in report.budgets(results).splitlines() if "does not hold" in row]
    shown = figures.block()
    assert all(row.split("|")[1].strip() in shown for row in failed), page
