"""Times as lists and limits say them."""

from __future__ import annotations

import pytest

from closeout.server.pages.wording import ago, rough


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5.0, "just now"),
        (59.0, "just now"),
        (60.0, "1 min ago"),
        (3_599.0, "59 min ago"),
        (3_600.0, "1 h ago"),
        (86_399.0, "23 h ago"),
        (86_400.0, "1 d ago"),
        (2_000_000.0, "23 d ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds: float, said: str) -> None:
    """A time of a clock that is ahead is just now."""
    assert ago(1_000_000.0 - seconds, 1_000_000.0) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59.0, "59 s"),
        (60.0, "1 min"),
        (119.0, "1 min"),
        (5_460.0, "1 h 31 min"),
        (86_400.0, "1 d"),
        (90_000.0, "1 d 1 h"),
        (180_000.0, "2 d 2 h"),
    ],
)
def test_a_limit_is_said_without_the_seconds_of_a_minute(seconds: float, said: str) -> None:
    """And a day or more without minutes."""
    assert rough(seconds) == said
