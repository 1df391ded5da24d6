"""Turns alone over whole lives of servers: whoever is innocent succeeds, whoever is not fails, and nobody overtakes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from closeout.core.runs import IN_TURN, MAX_DEATHS, Crashed, Joined, Recorded, RunState, Taken, advance
from closeout.engine.turns import LONGEST_TURN, TURN, Turns, seconds

LONG = 10_000.0
LIVES = 500
"""More than any of these needs; a law that does not end has failed."""

actions = st.lists(
    st.tuples(st.sampled_from(["ready", "suspect", "over", "drop"]), st.integers(1, 6)), max_size=40
)


@given(actions)
def test_nobody_begins_during_a_turn_and_nobody_is_left_behind(steps: list[tuple[str, int]]) -> None:
    """In any order of events: one turn at a time, suspects by number, everybody begins once turns are over."""
    turns = Turns()
    waiting: dict[int, bool] = {}
    for what, number in steps:
        had = turns.current
        if what == "drop":
            assert turns.drop(number) == (waiting.pop(number, None) is not None)
            continue
        if what == "over":
            begun = turns.end(number)
        elif number in waiting or number == had:
            continue
        else:
            waiting[number] = what == "suspect"
            begun = turns.add(number, (0, 1) if waiting[number] else None)
        if had is not None and turns.current == had:
            assert begun == [], "nothing begins during a turn"
        elif begun and turns.current is not None:
            assert begun == [turns.current] == [min(each for each, suspect in waiting.items() if suspect)]
        elif begun:
            assert not any(waiting.values()), "the others come after all suspects"
        for each in begun:
            del waiting[each]
    while turns.current is not None:
        for each in turns.end(turns.current):
            del waiting[each]
    assert waiting == {}


def test_who_died_alone_goes_first() -> None:
    """Then who was under way in more deaths than others, then the others, in order of acceptance."""
    turns = Turns()
    assert turns.add(1, (0, 1)) == [1]
    for number, died in ((4, (1, 1)), (2, (0, 1)), (6, (0, 2)), (5, (2, 3)), (3, (1, 2))):
        assert turns.add(number, died) == []
    order = [turns.end(1), turns.end(5), turns.end(3), turns.end(4), turns.end(6)]
    assert order == [[5], [3], [4], [6], [2]]


def test_each_death_doubles_the_next_turn_up_to_a_day() -> None:
    """However often: no number grows over what a clock can hold."""
    assert [seconds(TURN, suspected) for suspected in (1, 2, 3, 4)] == [15.0, 30.0, 60.0, 120.0]
    assert seconds(TURN, 100_000) == LONGEST_TURN
    assert seconds(0.2, 0) == 0.2


class World:
    """Servers one after another on one ledger, in seconds that nobody waits for.

    Run N takes `needs[N]` seconds, or ends its server `kills[N]` seconds after it began. It has one operation.
    """

    def __init__(self, needs: list[float], kills: dict[int, float]) -> None:
        self.needs = needs
        self.kills = kills
        self.rows = [RunState() for _ in needs]
        self.verdicts: dict[int, str] = {}
        self.deaths = 0
        self.seconds = 0.0
        """For which the servers lived that died."""

    def live(self, power: float = float("inf")) -> None:
        """Let one server run until it dies, by one of its runs or after `power` seconds, or until all is done."""
        turn = next((number for number, row in enumerate(self.rows) if row.alone in IN_TURN), None)
        for number, row in enumerate(self.rows):
            self.rows[number] = advance(row, Crashed(by_another=turn not in (None, number)))
        turns, now = Turns(), 0.0
        began: dict[int, float] = {}

        def begin(numbers: list[int]) -> None:
            for number in numbers:
                alone = turns.current == number
                if self.rows[number].deaths >= MAX_DEATHS:
                    self.verdicts[number] = "failure"
                    begin(turns.end(number))
                    continue
                self.rows[number] = advance(self.rows[number], Taken("own", now, alone, beside=bool(began)))
                began[number] = now
                turns.set_end(number, now + seconds(TURN, self.rows[number].suspected))

        open_runs = [number for number in range(len(self.rows)) if number not in self.verdicts]
        for number in sorted(open_runs, key=self._order):
            row = self.rows[number]
            begin(turns.add(number, None if row.alone is None else (row.deaths, row.suspected)))
        while began:
            happens = [(began[number] + self._lasts(number), number, self._end) for number in began]
            up = now + turns.remaining(now)
            now, number, what = min(happens, key=lambda entry: entry[0])
            if min(now, up) > power:
                self._die(power)
                return
            if up < now and turns.current is not None:
                now, number, what = up, turns.current, self._join
            elif number in self.kills:
                self._die(now)
                return
            what(number, began)
            begin(turns.end(number))

    def _die(self, at: float) -> None:
        self.deaths += 1
        self.seconds += at

    def _order(self, number: int) -> tuple[bool, int, int]:
        row = self.rows[number]
        return row.alone is None, -row.deaths, -row.suspected

    def _lasts(self, number: int) -> float:
        return min(self.needs[number], self.kills.get(number, float("inf")))

    def _end(self, number: int, began: dict[int, float]) -> None:
        del began[number]
        self.rows[number] = advance(self.rows[number], Recorded())
        self.verdicts[number] = "success"

    def _join(self, number: int, began: dict[int, float]) -> None:
        self.rows[number] = advance(self.rows[number], Joined())

    def through(self, power: Callable[[], float] = lambda: float("inf")) -> int:
        """Restart until every run has ended; return how many servers that took."""
        for lives in range(1, LIVES):
            self.live(power())
            if len(self.verdicts) == len(self.rows):
                return lives
        raise AssertionError(f"not at an end after {LIVES} servers: {self.rows}")


@given(
    needs=st.lists(st.floats(0.01, 7_200.0), min_size=1, max_size=8),
    kills=st.dictionaries(st.integers(0, 7), st.floats(0.001, 3_600.0), max_size=6),
)
@example(
    needs=[LONG, LONG, LONG, 2_079.0, 3_917.0, LONG, 3_735.0, LONG, 6_995.0, 388.0, LONG, LONG],
    kills={7: 41.25, 5: 2_810.0, 10: 3_567.0, 0: 48.5, 1: 34.3, 11: 2_593.0},
)
def test_the_guilty_fail_and_the_innocent_succeed(needs: list[float], kills: dict[int, float]) -> None:
    """Wherever they stand, however many there are, however long the others take and however long it takes to kill."""
    kills = {number: after for number, after in kills.items() if number < len(needs)}
    for number in kills:
        needs[number] = LONG
    world = World(needs, kills)
    world.through()
    expected = {number: "failure" if number in kills else "success" for number in range(len(needs))}
    assert world.verdicts == expected


@given(st.lists(st.floats(0.01, 7_200.0), max_size=2), st.lists(st.floats(0.01, 7_200.0), max_size=2))
def test_a_poison_that_kills_at_once_is_found_out_within_a_minute(
    before: list[float], behind: list[float]
) -> None:
    """One or two deaths in company and five alone, and one turn at most of each that was accepted before it."""
    guilty = len(before)
    world = World([*before, 60.0, *behind], {guilty: 0.1})
    while guilty not in world.verdicts and world.deaths < 10:
        world.live()
    assert world.verdicts[guilty] == "failure"
    assert world.deaths <= 2 + MAX_DEATHS
    assert world.seconds <= 35.0
    world.through()
    assert set(world.verdicts.values()) == {"failure", "success"} or world.verdicts == {0: "failure"}
    assert all(row.suspected <= 1 for number, row in enumerate(world.rows) if number != guilty)


@given(
    needs=st.lists(st.floats(0.01, 30.0), min_size=1, max_size=6),
    powers=st.lists(st.floats(0.1, 20.0), max_size=MAX_DEATHS - 1),
)
def test_power_cuts_alone_fail_nobody(needs: list[float], powers: list[float]) -> None:
    """Whatever they hit: four of them are no proof against anybody."""
    world = World(needs, {})
    cuts = iter(powers)
    world.through(lambda: next(cuts, float("inf")))
    assert set(world.verdicts.values()) == {"success"}
