"""Turns alone after a crash: how long each is, which run comes first, and what the log says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.core.runs import MAX_DEATHS
from closeout.engine import turns


def pending(name: str, **more: Any) -> Any:
    """Return an execution that a start takes up."""
    return SimpleNamespace(**{"execution": name, "alone": "due", "suspected": 1, "deaths": 0, **more})


@pytest.mark.parametrize(
    ("suspected", "seconds"), [(0, 5.0), (1, 5.0), (2, 10.0), (3, 20.0), (64, turns.LONGEST_TURN)]
)
def test_a_turn_doubles_with_each_suspicion_after_the_first(suspected: int, seconds: float) -> None:
    """Up to a limit."""
    assert turns.seconds(5.0, suspected) == seconds


def test_suspects_come_first_and_those_with_most_deaths_before_others() -> None:
    """The other runs keep their order."""
    found = [
        pending("new", alone=None),
        pending("once"),
        pending("twice", suspected=2),
        pending("dead", deaths=1),
    ]
    assert [one.execution for one in sorted(found, key=turns.recovery_order)] == [
        "dead",
        "twice",
        "once",
        "new",
    ]


def said(*found: Any) -> list[str]:
    """Return what is reported."""
    lines: list[str] = []
    turns.announce(cast("Any", found), 5.0, lines.append)
    return lines


def test_a_start_logs_which_runs_take_turns() -> None:
    """One, several, and more than it names."""
    assert said(pending("new", alone=None)) == []
    begins = "after a crash: "
    ends = "before anything else begins,"
    assert said(pending("a")) == [f"{begins}1 run takes a turn alone {ends} 5 s at most in all: a (5 s)"]
    named = f"a (10 s, 1 of {MAX_DEATHS} deaths alone), b (5 s)"
    assert said(pending("a", suspected=2, deaths=1), pending("b")) == [
        f"{begins}2 runs take turns alone {ends} 15 s at most in all: {named}"
    ]
    for more, told in ((0, ""), (1, " and 1 more")):
        (line,) = said(*(pending(f"r{number}") for number in range(turns.NAMED + more)))
        assert line.endswith(f"r{turns.NAMED - 1} (5 s){told}")


def test_a_turn_begins_when_its_run_is_in_progress() -> None:
    """No other run sets its end, and at the end itself it is over."""
    one = turns.Turns()
    assert one.add(1, (0, 1)) == [1]
    assert one.overdue(1e9) is None
    one.set_end(2, 3.0)
    one.set_end(1, 5.0)
    assert [one.overdue(at) for at in (4.9, 5.0)] == [None, 1]
    assert one.remaining(3.0) == 2.0
