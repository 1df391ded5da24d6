"""Durations and sizes: written, read and shown in one format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core.units import duration_text, parse_duration, spoken_duration, spoken_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("1d1h1m1s", 90_061), ("0s", 0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """Days, hours, minutes and seconds, in this order."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "h", "1m1h", "1.5h", "-1s", "1 h", "1H", "1s ", "1s\n", "1w", "१s", "9" * 20 + "s"]
)
def test_other_texts_are_not_durations(text: str) -> None:
    """A plain number least of all: nobody remembers its unit."""
    assert parse_duration(text) is None


@given(st.integers(min_value=1, max_value=10**7))
def test_a_written_duration_can_be_read(seconds: int) -> None:
    """The text of a whole number of seconds means that number."""
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.95, "10 s"), (9.96, "10 s"), (59.6, "1 min"), (65, "1 min 5 s"), (900, "15 min"), (3600, "1 h"), (7830, "2 h 10 min")],
)  # fmt: skip
def test_a_duration_is_shown_in_at_most_two_units(seconds: float, text: str) -> None:
    """Rounded, and never with 60 seconds."""
    assert spoken_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (99_900, "99.9 KB"), (100_000, "100 KB"), (1_000_000, "1.0 MB"), (23_700, "23.7 KB"), (238_400_000, "238 MB"), (1_200_000_000, "1.2 GB"), (5 * 10**15, "5000 TB")],
)  # fmt: skip
def test_a_size_has_a_unit(count: int, text: str) -> None:
    """Bytes are counted in thousands, with three digits."""
    assert spoken_size(count) == text
