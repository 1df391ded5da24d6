"""How many connections a server takes."""

from __future__ import annotations

import resource

import pytest

from closeout.server.serve import MOST_FILES, connections_within, most_connections


@pytest.mark.parametrize(
    ("files", "connections"),
    [
        (resource.RLIM_INFINITY, 3584),
        (1_000_000, 3584),
        (4096, 3584),
        (1024, 512),
        (600, 300),
    ],
)
def test_some_of_the_open_files_are_left_for_the_ledger_and_for_runs(files: int, connections: int) -> None:
    """Half of them when there are few, and 512 of many."""
    assert connections_within(files) == connections


def test_a_low_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    """Idle connections would soon use up a service manager's default; a limit that is high enough stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    try:
        for before in (allowed // 2, allowed):
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
            assert most_connections() == connections_within(allowed)
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
