"""The list of closed pull requests, read while the world changes and calls fail: nothing is lost, nothing is old."""

from __future__ import annotations

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.patrol.answers import seconds
from closeout.patrol.closings import ClosedLists
from closeout.patrol.reader import Reader
from closeout.patrol.report import Report
from tests.unit.patrol.lists import Lists, MemoryMarks, Taken, failure

WAITS = (1, 2, 200, 299, 300, 301, 1_000)
LAGS = (0, 0, 5, 120, 280)


class World:
    """GitHub, what is kept, and what must hold."""

    def __init__(self) -> None:
        self.github = Lists(per_page=2)
        self.store, self.taken = MemoryMarks(), Taken()
        self.automations: tuple[str, ...] = ("a",)
        self.began: dict[str, int] = {}

    def act(self, random: Random, most: int) -> None:
        """Let some things happen: people close what is open and open what is closed."""
        for _ in range(random.randint(0, most)):
            number = random.randint(1, 12)
            closed = self.github.pulls.get(number, {"state": "open"})["state"] == "closed"
            what = random.choice(["close", "close", "open", "comment", "wait"])
            if what == "wait":
                self.github.now += random.choice(WAITS)
            elif what == "comment" and number in self.github.pulls:
                self.github.comment(number)
            elif what == "open" and closed:
                self.github.open(number)
            elif what == "close" and not closed:
                self.github.close(number)

    def patrol(self) -> Report:
        """Make one round, and hold what it started against the beginnings."""
        before = len(self.taken.started)
        report = Report()
        reader = Reader(self.github, lambda _seconds: None)
        ClosedLists(reader, self.store, self.taken, {"acme/shop": self.automations}, report).patrol()
        for mark in self.store.marks("repository").values():
            for name in set(self.began) - set(mark["beginnings"]):
                del self.began[name]
            for name, beginning in mark["beginnings"].items():
                assert self.began.setdefault(name, beginning) == beginning, "a beginning never moves"
        for number, closed_at, automation in self.taken.started[before:]:
            assert seconds(closed_at) > self.began[automation], (number, closed_at, automation)
        return report


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9).map(Random))
@example(Random(2532))
def test_every_closing_since_the_beginning_is_taken_in_once_and_none_before(random: Random) -> None:
    """Whatever happens between and during the calls, and whichever calls fail."""
    world = World()
    for _ in range(random.randint(2, 8)):
        world.act(random, 16)
        faulty, restless = random.random() < 0.6, random.random() < 0.5
        world.automations = random.choice([("a",), ("a", "b")])
        world.github.lag = random.choice(LAGS)

        def before(_path: str, faulty: bool = faulty, restless: bool = restless) -> None:
            if restless:
                world.act(random, 2)
            if faulty and random.random() < 0.25:
                raise failure(transient=False)

        def refuse(faulty: bool = faulty) -> None:
            if faulty and random.random() < 0.1:
                raise failure("full", transient=False)

        world.github.before, world.taken.before = before, refuse
        world.patrol()
    world.github.before, world.taken.before = lambda _path: None, lambda: None
    world.github.lag = 0
    for _ in range(2):
        assert world.patrol().errors == []
    assert len(world.taken.started) == len(set(world.taken.started))
    expected = {
        (number, closed_at, automation)
        for number, closed_at in world.github.closings()
        for automation in world.automations
        if seconds(closed_at) > world.began[automation]
    }
    assert expected <= set(world.taken.started), expected - set(world.taken.started)
