"""The figures in README are those of the newest kept pages: nothing is typed by hand."""

from __future__ import annotations

from bench import figures, report


def test_readme_says_what_was_measured() -> None:
    """Run `python -m bench.figures --write` after a page was kept."""
    text = figures.README.read_text("utf-8")
    assert text.split(figures.BEGIN)[1].split(figures.END)[0] == figures.block()


def test_what_readme_repeats_are_rows_of_the_page() -> None:
    """A row that is renamed on the page does not vanish from README."""
    assert set(figures.ASKED) <= {row[0] for row in report.BUDGETS}


def test_readme_repeats_every_budget_that_does_not_hold() -> None:
    """What is shown is not chosen by how it came out."""
    page, results = figures.newest(starts=False)
    failed = [row for row in report.budgets(results).splitlines() if "does not hold" in row]
    shown = figures.block()
    assert all(row.split("|")[1].strip() in shown for row in failed), page
