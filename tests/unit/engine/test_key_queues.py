"""First in, first out for each key: no run is overtaken or dropped, and one runs at a time."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from closeout.engine.schedule import KeyQueues


def test_the_first_of_a_key_runs_and_the_others_wait() -> None:
    """Only a run that finds its key free starts at once."""
    queues = KeyQueues()
    assert [queues.join("pr-17", number) for number in (1, 2, 3)] == [True, False, False]


def test_runs_without_a_key_start_at_once() -> None:
    """They exclude no other, and hold nothing."""
    queues = KeyQueues()
    assert queues.join(None, 1)
    assert queues.join(None, 2)
    assert queues.leave(None, 1) is None


def test_keys_do_not_block_each_other() -> None:
    """Each key has its own queue."""
    queues = KeyQueues()
    assert queues.join("pr-17", 1)
    assert queues.join("pr-18", 2)


def test_a_run_that_leaves_the_middle_frees_no_other() -> None:
    """If a queued run ends out of turn, the holder stays, and no run takes a second place."""
    queues = KeyQueues()
    for number in (1, 2, 3):
        queues.join("pr-17", number)
    assert queues.leave("pr-17", 2) is None
    assert queues.leave("pr-17", 2) is None
    assert queues.leave("pr-17", 1) == 3


@given(
    keys=st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=30),
    choices=st.lists(st.integers(0, 1000), min_size=60, max_size=60),
)
def test_any_order_of_endings_keeps_the_order_of_acceptance(
    keys: list[str | None], choices: list[int]
) -> None:
    """Each key's runs begin in order of acceptance, one at a time, and all of them begin."""
    queues = KeyQueues()
    running: set[int] = set()
    begun: dict[str | None, list[int]] = defaultdict(list)
    waiting = list(enumerate(keys))

    def begin(number: int) -> None:
        assert number not in running
        assert keys[number] is None or all(keys[other] != keys[number] for other in running)
        running.add(number)
        begun[keys[number]].append(number)

    for choice in choices:
        if waiting and (choice % 2 or not running):
            number, key = waiting.pop(0)
            if queues.join(key, number):
                begin(number)
        elif running:
            number = sorted(running)[choice % len(running)]
            running.remove(number)
            following = queues.leave(keys[number], number)
            if following is not None:
                begin(following)
    while waiting or running:
        if running:
            number = min(running)
            running.remove(number)
            following = queues.leave(keys[number], number)
            if following is not None:
                begin(following)
        else:
            number, key = waiting.pop(0)
            if queues.join(key, number):
                begin(number)
    for key, order in begun.items():
        if key is not None:
            assert order == sorted(order)
    assert sorted(number for order in begun.values() for number in order) == list(range(len(keys)))
