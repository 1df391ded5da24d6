"""Explanations: what would come of an event, by the same rules as a run's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from closeout.run.explain import FAIL, RUN, SKIP, explain
from tests.unit.run.world import AUTOMATION, pull_payload


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (None, RUN),
        ("event.pull_request.number == 17", RUN),
        ("event.pull_request.number == 18", SKIP),
        ("event.pull_request.nope == 17", FAIL),
    ],
)
def test_a_condition_decides_and_none_is_no_condition(condition: str | None, outcome: str) -> None:
    """False is a run that is skipped, and what cannot be evaluated one that fails."""
    (row,) = explain([replace(AUTOMATION, condition=condition)], "pull_request", pull_payload())
    assert (row["outcome"], row["matched"]) == (outcome, outcome == RUN)
