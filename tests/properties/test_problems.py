"""Whatever happens to problems, to targets and to the process: each problem is told in time, once a day, and its repair once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.core.problems import AGAIN, WAIT, Notification, Problem, Route, Routes, due
from tests.memory_problems import MemoryProblems

STEP = 10.0
"""Seconds between two looks."""
DAY_STEPS = int(AGAIN / STEP)
TARGETS = ("env:A", "env:B")
ROUTES = Routes(Route(frozenset({"failure", "recovered"}), TARGETS))
KEYS = ("1/1/a", "1/2/a", "1/3/a")

actions = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(KEYS)),
    st.tuples(st.just("close"), st.sampled_from(KEYS)),
    st.tuples(st.just("down"), st.sampled_from(TARGETS)),
    st.tuples(st.just("up"), st.sampled_from(TARGETS)),
    st.tuples(st.just("crash"), st.sampled_from(TARGETS)),
    st.tuples(st.just("wait"), st.sampled_from((1, 5, 11, 100, DAY_STEPS))),
)


class World:
    """Problems, two targets that may be down, and what arrived there."""

    def __init__(self) -> None:
        self.store = MemoryProblems()
        self.now = 0.0
        self.down: set[str] = set()
        self.crash: set[str] = set()
        self.arrived: list[tuple[str, str, str, float]] = []
        """Target, event, key and time."""
        self.waiting: dict[tuple[str, str], float] = {}
        """When the target was first able to hear of a problem that has been open ever since."""

    def look(self) -> None:
        """Send what is due, as the notifier does: mark it told after it was sent, unless the process dies between."""
        for target, messages in due(
            self.store.problems(), self.store.notifications(), self.now, ROUTES
        ).items():
            if target in self.down:
                continue
            for message in messages:
                self.arrived += [(target, message.event, one.key, self.now) for one in message.problems]
                if target in self.crash:
                    self.crash.discard(target)
                    continue
                recovered = message.event == "recovered"
                self.store.record_notifications(
                    Notification(target, one.automation, one.key, self.now, recovered)
                    for one in message.problems
                )

    def check(self) -> None:
        """Hold each open problem against what arrived."""
        for problem in self.store.problems():
            for target in TARGETS:
                if problem.closed_at is not None or target in self.down:
                    self.waiting.pop((target, problem.key), None)
                    continue
                since = max(self.waiting.setdefault((target, problem.key), self.now), problem.since)
                heard = [at for to, _, key, at in self.arrived if (to, key) == (target, problem.key)]
                if self.now - since > WAIT + STEP:
                    assert heard, f"{target} never heard of {problem.key}"
                    assert self.now - heard[-1] <= AGAIN + WAIT + STEP


@settings(max_examples=30, deadline=None)
@given(st.lists(actions, max_size=25))
def test_each_problem_is_told_in_time_and_its_repair_once(history: list[tuple[str, object]]) -> None:
    """Over every history of problems, outages and crashes between the message and its mark."""
    world = World()
    crashes = 0
    for what, value in history:
        key = str(value)
        if what == "open":
            world.store.open_problem(Problem("a", key, "failure", "x", "x", since=world.now))
        elif what == "close":
            world.store.close_problems("a", key, key, world.now, "run")
        elif what == "down":
            world.down.add(key)
        elif what == "up":
            world.down.discard(key)
        elif what == "crash":
            crashes += key not in world.crash
            world.crash.add(key)
        else:
            steps = int(key)
            for _ in range(min(steps, 30)):
                world.now += STEP * max(steps / 30, 1.0)
                world.look()
                if steps <= 30:
                    world.check()
    _check_repeats(world, crashes)


def _check_repeats(world: World, crashes: int) -> None:
    """Nothing is told twice in a day unless it was over meanwhile, and no repair twice; a crash may double one message."""
    for target in TARGETS:
        for key in KEYS:
            heard = [(event, at) for to, event, of, at in world.arrived if (to, of) == (target, key)]
            doubled = sum(
                event == before and (event == "recovered" or at - then < AGAIN)
                for (before, then), (event, at) in pairwise(heard)
            )
            assert doubled <= crashes
            assert not heard or heard[0][0] == "failure"
