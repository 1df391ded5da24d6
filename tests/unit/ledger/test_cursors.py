"""Pages of a numbered list: the rows of each, and the cursors to the next and previous page."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from closeout.ledger.cursors import Start, page


@pytest.mark.parametrize(
    ("numbers", "cursor", "limit", "rows", "newer", "older"),
    [
        ((1, 2, 3, 4, 5), None, 2, [5, 4], None, "older-4"),
        ((1, 2, 3, 4, 5), "older-4", 2, [3, 2], "newer-3", "older-2"),
        ((1, 2, 3, 4, 5), "older-2", 2, [1], "newer-1", None),
        ((1, 2, 3, 4, 5), "newer-1", 2, [3, 2], "newer-3", "older-2"),
        ((1, 2, 3, 4, 5), "newer-3", 2, [5, 4], None, "older-4"),
        ((1, 2), None, 2, [2, 1], None, None),
        ((), None, 2, [], None, None),
        # A cursor's target was pruned, or has not arrived: the rows on its other side can be reached.
        ((3, 4, 5), "older-3", 2, [], "newer-2", None),
        ((1, 2, 3), "newer-3", 2, [], None, "older-4"),
        ((1, 2, 3), "older-0", 2, [], "newer-0", None),
        ((), "older-3", 2, [], None, None),
        ((), "newer-3", 2, [], None, None),
    ],
)
def test_a_page_has_cursors_to_its_neighbours(
    numbers: Sequence[int],
    cursor: str | None,
    limit: int,
    rows: list[int],
    newer: str | None,
    older: str | None,
) -> None:
    """Newest first, whichever way it was reached; no cursor leads to an empty page."""

    def read(start: Start, count: int) -> list[tuple[int, int]]:
        if start.newer:
            found = [number for number in numbers if number > (start.number or 0)]
        else:
            found = [number for number in reversed(numbers) if start.number is None or number < start.number]
        return [(number, number) for number in found[:count]]

    assert page(read, cursor, limit) == (rows, newer, older)
