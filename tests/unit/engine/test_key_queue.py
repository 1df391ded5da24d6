"""A run's place in the queue of its key on AWS: when it checks again, and which leftovers it clears."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.core.errors import LedgerError
from closeout.engine.key_queue import (
    LONGEST_QUEUE,
    MOST_CLEARED,
    SHORTEST_QUEUE,
    SUSPECT,
    UNSTARTED,
    KeyQueue,
    next_check,
)
from closeout.stack.invocation import ALIVE
from closeout.testing.durable import FakeClock

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("waited", "pause"),
    [
        (-5.0, SHORTEST_QUEUE),
        (0.0, SHORTEST_QUEUE),
        (60.0, SHORTEST_QUEUE),
        (64.0, 16.0),
        (4 * LONGEST_QUEUE + 4, LONGEST_QUEUE),
    ],
)
def test_the_pause_grows_with_the_waiting_time(waited: float, pause: float) -> None:
    """Between a minimum and a maximum."""
    assert next_check(NOW - waited, 10**9, NOW) == NOW + pause


def test_the_last_check_is_at_the_queues_timeout() -> None:
    """A late one follows in a second."""
    assert next_check(NOW, 10.0, NOW) == NOW + 10.0
    assert next_check(NOW - 20.0, 10.0, NOW) == NOW + 1.0


def record(
    name: str, *, state: str = "running", age: float = 0.0, started: bool = True, cancel: str | None = None
) -> Any:
    """Return a run's record."""
    run = SimpleNamespace(state=state, cancel=cancel)
    return SimpleNamespace(
        execution=name, run=run, accepted_at=NOW - age, started=started, queue_timeout=100.0
    )


class Scene:
    """A queue with one run ahead, and what happens to that run."""

    def __init__(
        self, ahead: Any, *, status: str | Exception = "SUCCEEDED", wake_up: float | None = None
    ) -> None:
        self.there = True
        self.done: list[str] = []
        self.reports: list[str] = []
        self.looks = 0

        def look(_name: str) -> Any:
            self.looks += 1
            return ahead

        def ensure(name: str) -> str:
            self.done.append(f"ask {name}")
            if isinstance(status, Exception):
                raise status
            return status

        def clear(_key: str, name: str) -> None:
            self.done.append(f"clear {name}")
            self.there = False

        def finalize(name: str, word: str, _remaining: Any) -> bool:
            self.done.append(f"end {name} {word}")
            self.there = False
            return True

        self.store = SimpleNamespace(
            ahead=lambda _record: "other" if self.there else None,
            look=look,
            clear=clear,
            wake_up=lambda _name: None if wake_up is None else SimpleNamespace(until=wake_up),
            next_in_line=lambda key: key,
        )
        self.queue = KeyQueue(
            cast("Any", self.store),
            cast("Any", SimpleNamespace(ensure=ensure, wake=lambda name: self.done.append(f"wake {name}"))),
            finalize,
            FakeClock(NOW),
            lambda execution, error, text: self.reports.append(f"{execution}: {text}: {error.message}"),
        )

    def turn(self, mine: Any | None = None) -> tuple[str | None, list[str]]:
        """Return the turn of a run behind it, and what was done."""
        return self.queue.turn(
            mine or record("mine", state="queued", age=SUSPECT), "key", lambda: 60.0
        ), self.done


@pytest.mark.parametrize(
    ("ahead", "mine", "turn", "done"),
    [
        (None, SUSPECT, "own", ["clear other"]),
        (None, SUSPECT - 1, None, []),
        (record("other", state="finished"), 0.0, "own", ["clear other"]),
        (record("other", age=SUSPECT), 0.0, "own", ["ask other", "end other SUCCEEDED"]),
        (record("other", age=SUSPECT - 1), 0.0, None, []),
        (record("other", age=UNSTARTED, started=False), 0.0, "own", ["ask other", "end other SUCCEEDED"]),
        (record("other", age=UNSTARTED - 1, started=False), 0.0, None, []),
    ],
)
def test_finished_runs_are_cleared_and_possibly_dead_ones_checked(
    ahead: Any, mine: float, turn: str | None, done: list[str]
) -> None:
    """To the second: a ticket may be visible before its row, and each request to Lambda counts."""
    scene = Scene(ahead)
    assert scene.turn(record("mine", state="queued", age=mine)) == (turn, done)
    assert scene.looks == 1


@pytest.mark.parametrize("status", sorted(ALIVE))
def test_a_live_run_is_left_alone(status: str) -> None:
    """However old it is."""
    assert Scene(record("other", age=9 * SUSPECT), status=status).turn() == (None, ["ask other"])


def test_a_status_that_cannot_be_read_is_logged_and_clears_nothing() -> None:
    """With the run's name and the reason."""
    scene = Scene(record("other", age=SUSPECT), status=LedgerError("no"))
    assert scene.turn() == (None, ["ask other"])
    assert scene.reports == ["other: its status in Lambda is unknown: no"]


@pytest.mark.parametrize(
    ("state", "until", "asked"),
    [
        ("queued", NOW - SUSPECT + 1, False),
        ("queued", NOW - SUSPECT, True),
        ("running", NOW, True),
        ("queued", None, True),
    ],
)
def test_a_run_that_waits_and_checks_for_itself_is_not_asked_about(
    state: str, until: float | None, asked: bool
) -> None:
    """Only the first of a queue asks."""
    scene = Scene(record("other", state=state, age=SUSPECT), wake_up=until, status="RUNNING")
    assert scene.turn() == (None, ["ask other"] if asked else [])


def test_a_cancel_comes_before_the_timeout_and_both_after_the_turn() -> None:
    """At the timeout itself the run has expired."""
    for mine, turn in (
        (record("mine", cancel="ada", age=100.0), "cancelled"),
        (record("mine", age=100.0), "expired"),
        (record("mine", age=99.0), None),
    ):
        assert Scene(record("other")).turn(mine)[0] == turn
    free = Scene(None)
    free.there = False
    assert free.turn(record("mine", cancel="ada", age=100.0)) == ("own", [])


def test_a_limited_number_is_cleared_at_once() -> None:
    """The rest at the next check."""
    scene = Scene(record("other", state="finished"))
    scene.store.clear = lambda _key, name: scene.done.append(name)
    assert scene.turn() == (None, ["other"] * MOST_CLEARED)


def test_the_next_of_a_key_is_woken_and_an_error_logged() -> None:
    """Otherwise it checks later by itself."""
    scene = Scene(None)
    scene.queue.wake_next("k")
    scene.queue.wake_next(None)
    assert scene.done == ["wake k"]

    def fail(_key: str) -> str:
        raise LedgerError("no")

    scene.store.next_in_line = fail
    scene.queue.wake_next("k")
    assert scene.reports == [": it could not be woken for its turn: no"]
