"""First in, first out for each key: nobody overtaken, nobody dropped, one at a time."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from closeout.engine.schedule import KeyQueues


def test_the_first_of_a_key_runs_and_the_others_wait() -> None:
    """Only who comes to a free key may run at once."""
    queues = KeyQueues()
    assert [queues.join("pr-17", number) for number in (1, 2, 3)] == [True, False, False]


def test_without_a_key_everybody_runs() -> None:
    """No key, no exclusion, nothing to give up."""
    queues = KeyQueues()
    assert queues.join(None, 1)
    assert queues.join(None, 2)
    assert queues.leave(None, 1) is None


def test_other_keys_are_not_in_the_way() -> None:
    """Each key has its own queue."""
    queues = KeyQueues()
    assert queues.join("pr-17", 1)
    assert queues.join("pr-18", 2)


def test_who_leaves_the_middle_frees_nobody() -> None:
    """A queued run that ends out of turn changes nothing for the holder, and nobody takes its place twice."""
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
    """Whatever ends when, each key's runs begin in order of acceptance, one at a time, and all of them begin."""
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
