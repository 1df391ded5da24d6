"""What of closeout itself is overdue or wrong: patrol after three of its intervals, and a drill's findings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from closeout.wiring.notifying import stale

EVERY: Mapping[str, float | None] = {"logs": 300.0, "lists": 3_600.0}


def names(
    ended: dict[str, float], *, started: float = 0.0, every: Mapping[str, float | None] = EVERY
) -> set[str]:
    """Return what is stale at 100,000 s."""
    found = stale(every, ended, {}, started=started, now=100_000.0)
    return {name for name, why in found.items() if why is not None}


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        ({"lists": 99_000.0, "logs": 99_900.0}, set()),
        ({"lists": 89_200.0, "logs": 99_100.0}, set()),
        ({"lists": 89_199.0, "logs": 99_100.0}, {"patrol/lists"}),
        ({"lists": 89_199.0, "logs": 99_099.0}, {"patrol/lists", "patrol/logs"}),
        ({"lists": 99_900.0, "logs": 1.0}, set()),
        ({}, {"patrol/lists", "patrol/logs"}),
    ],
)
def test_patrol_is_overdue_after_three_intervals(ended: dict[str, float], found: set[str]) -> None:
    """A round with lists also counts as one that read the logs."""
    assert names(ended) == found


def test_time_before_the_start_does_not_count() -> None:
    """A server that was down for a day begins with a round."""
    assert names({"lists": 1.0}, started=99_990.0) == set()


@pytest.mark.parametrize(
    ("ended", "unknown"),
    [
        ({}, {"patrol/logs", "patrol/lists"}),
        ({"lists": 1.0, "logs": 99_989.0}, {"patrol/logs", "patrol/lists"}),
        ({"lists": 1.0, "logs": 99_995.0}, {"patrol/lists"}),
        ({"lists": 99_995.0}, set()),
    ],
)
def test_a_restart_closes_no_problem(ended: dict[str, float], unknown: set[str]) -> None:
    """Before its first round has ended, it is unknown whether patrol works again."""
    found = stale(EVERY, ended, {}, started=99_990.0, now=100_000.0)
    assert found == dict.fromkeys(unknown)


def test_a_part_that_is_switched_off_is_never_overdue() -> None:
    """Neither is patrol without anything to watch."""
    assert names({}, every={"logs": None, "lists": None}) == set()
    assert names({}, every={}) == set()


def test_a_drill_names_what_is_wrong_and_what_is_unknown() -> None:
    """Unknown is neither wrong nor fine."""
    drill = {"hook-active": "wrong", "github-api": "unknown", "disk": "fine"}
    found = stale({}, {}, drill, started=0.0, now=1.0)
    assert found == {
        "drill/hook-active": "the drill found something wrong with `hook-active`",
        "drill/github-api": None,
    }
