"""The process's time follows the system's clock forward, and never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closeout.adapters.clock import LONGEST_LEAD, SystemClock

STEPS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e8, 1e8)), max_size=20)


@given(STEPS)
def test_time_advances_at_least_as_fast_as_the_monotonic_clock(steps: list[tuple[float, float]]) -> None:
    """Whatever happens to the system's clock; and it is never behind that clock."""
    wall, monotonic = 1.8e9, 100.0
    clock = SystemClock(lambda: wall, lambda: monotonic)
    before = clock.now()
    for passed, set_by in steps:
        monotonic += passed
        wall += passed + set_by
        now = clock.now()
        assert now >= before + passed - 1e-3
        assert now >= wall - 1e-3
        before = now


def test_an_undisturbed_clock_is_followed_exactly() -> None:
    """The lead over the monotonic clock stays the same."""
    wall = monotonic = 0.0
    clock = SystemClock(lambda: 1.8e9 + wall, lambda: monotonic)
    for wall in (0.0, 1.5, 1000.0):
        monotonic = wall
        assert clock.now() == 1.8e9 + wall


def test_time_continues_from_a_later_stored_moment() -> None:
    """Not from an earlier one, nor from one that no clock has shown."""
    clock = SystemClock(lambda: 1.8e9, lambda: 7.0)
    assert clock.go_on_from(1.8e9 - 60.0) == 0.0
    assert clock.now() == 1.8e9
    assert clock.go_on_from(1.8e9 + 60.0) == 60.0
    assert clock.now() == 1.8e9 + 60.0
    assert clock.go_on_from(1e300) == 1e300
    assert clock.now() == 1.8e9 + 60.0
    assert clock.go_on_from(1.8e9 + 61.0 + LONGEST_LEAD) == LONGEST_LEAD + 1.0
    assert clock.now() == 1.8e9 + 60.0
    assert clock.go_on_from(1.8e9 + 60.0 + LONGEST_LEAD) == LONGEST_LEAD
    assert clock.now() == 1.8e9 + 60.0 + LONGEST_LEAD
