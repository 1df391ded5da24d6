"""Waiting between attempts: capped, with jitter, and never shorter than a service asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core.retry import Backoff, Retry


def test_waits_grow_by_their_factor_up_to_the_cap() -> None:
    """1, 2, 4, 5, 5 seconds."""
    backoff = Backoff(first=1.0, factor=2.0, cap=5.0)
    assert [backoff.delay(tries) for tries in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_shortens_a_wait_by_up_to_a_quarter() -> None:
    """So that a burst of closes does not return as one burst."""
    backoff = Backoff(first=8.0, factor=1.0, cap=8.0)
    assert (backoff.delay(1, 0.0), backoff.delay(1, 1.0)) == (8.0, 6.0)


def test_a_service_gets_the_time_that_it_asks_for() -> None:
    """`retry-after` is a lower bound, even above the cap and despite jitter."""
    retry = Retry(attempts=3, backoff=Backoff(first=1.0, factor=2.0, cap=5.0))
    assert retry.delay(1, jitter=1.0, retry_after=60.0) == 60.0
    assert retry.delay(3, retry_after=1.0) == 4.0


@pytest.mark.parametrize("tries", [0, -5])
def test_an_attempt_below_one_counts_as_the_first(tries: int) -> None:
    """A count that is off by one does not shorten the wait."""
    assert Backoff(first=3.0).delay(tries) == 3.0


@given(st.integers(1, 10**9), st.floats(0, 1), st.floats(0.1, 60), st.floats(1, 10), st.floats(1, 3600))
def test_a_wait_is_always_finite_and_within_its_cap(
    tries: int, jitter: float, first: float, factor: float, cap: float
) -> None:
    """However often something failed: the number of attempts does not overflow."""
    assert 0 < Backoff(first=first, factor=factor, cap=cap).delay(tries, jitter) <= cap
