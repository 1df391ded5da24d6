"""Some histories of the model in each run of the tests; `python -m tests.model --histories 2000` makes more."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.model.__main__ import effort
from tests.model.machine import Closings
from tests.model.on_disk import ClosingsOnDisk
from tests.model.people import DAY


def test_every_closing_is_acted_upon_once_and_nothing_else_is_touched() -> None:
    """In memory."""
    run_state_machine_as_test(Closings, settings=effort(12, 30, known=True))


def test_the_same_holds_on_disk() -> None:
    """Over SQLite, whose file each process opens anew."""
    run_state_machine_as_test(ClosingsOnDisk, settings=effort(4, 30, known=True))


@pytest.mark.parametrize("model", [Closings, ClosingsOnDisk])
@pytest.mark.parametrize("fault", [(7, "502"), (3, "404"), (4, "404"), (5, "404")])
def test_a_fortnight_without_the_server_and_every_seventh_call_failing(
    model: type[Closings], fault: tuple[int, str]
) -> None:
    """What issue 10 calls done, as one history: the logs are empty, so the lists tell it all. Some faults are not retried."""
    spend_a_fortnight(model(), fault)


def spend_a_fortnight(machine: Closings, fault: tuple[int, str] = (7, "502")) -> None:
    """Hear of nothing for a fortnight, then patrol: each closing runs once, and patrol's lists tell them all."""
    machine.begin()
    before = len(machine.closings)
    machine.be_away([0] * 6, 14 * DAY, logs=False, fault=fault)
    machine.trouble(7, "502", 0, 5_000)
    for _ in range(3):
        machine.patrol(lists=True, dies_in=None)
        machine.wait(3_600)
    machine.finish_runs()
    ran = sorted((end.closing, end.automation, end.heard) for end in machine.store.endings)
    expected = [
        (str(closing), name, "closed-list")
        for repository, _, closing in machine.closings[before:]
        for name in (("database", "preview") if repository is machine.repositories[0] else ("page",))
    ]
    machine.teardown()
    assert ran == sorted(expected)


def test_a_repository_that_is_renamed_before_the_file_says_so() -> None:
    """Found by the model: the watermark passed what nothing matched."""
    machine = begun()
    machine.rename(0, edit=False)
    for _ in range(2):
        machine.open_pull(0, deployed=True, base="develop")
        machine.wait(301)
        machine.close_pull(1, merged=False)
    machine.lose_all()
    machine.patrol(lists=True, dies_in=None)
    machine.teardown()


def test_a_repository_that_is_renamed_with_the_file() -> None:
    """Found by the model: the beginnings went with the old name, in the first round by the new one."""
    machine = begun()
    machine.open_pull(0, deployed=True, base="develop")
    machine.rename(0, edit=True)
    machine.patrol(lists=True, dies_in=None)
    machine.close_pull(0, merged=False)
    machine.lose(0, logged=False)
    machine.patrol(lists=True, dies_in=None)
    machine.teardown()


@pytest.mark.parametrize("edited", [False, True])
def test_a_repository_is_renamed_after_an_answer_that_lagged(edited: bool) -> None:
    """Found by the model: the further attempt read the delivery with the old name, which nothing matched any more."""
    machine = begun()
    machine.close_and_rename(0, edited, dies_in=None)
    machine.teardown()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_deploy_may_not_begin_while_a_teardown_is_on_its_way(renamed: bool) -> None:
    """The pull request is open again, and its repository may have another name by now."""
    machine = begun()
    machine.reopen_and_ask(0, renamed)
    machine.teardown()


def test_a_log_that_is_empty_after_a_fortnight_is_told_as_a_gap() -> None:
    """Once: the model counts the gaps of each round."""
    machine = begun()
    machine.be_away([0, 1], 14 * DAY, logs=False, fault=(0, "502"))
    machine.teardown()
    assert machine.happened["gap in a log"] == 2


def test_a_closing_that_is_heard_of_without_its_moment_runs_once() -> None:
    """Its run is named after the delivery, and that of patrol after the closing."""
    machine = begun()
    machine.close_pull(0, merged=False)
    machine.arrive(0, after=0, as_sent=False, dies_in=None)
    machine.work(dies_in=None)
    machine.teardown()


def test_an_answer_that_lags_cancels_a_run_and_patrol_starts_it_again() -> None:
    """The API showed the pull request as open for a minute after its webhook."""
    machine = begun()
    machine.open_pull(0, deployed=True, base="develop")
    machine.trouble(0, "502", 60, 5_000)
    machine.close_pull(0, merged=False)
    machine.arrive(0, after=0, as_sent=True, dies_in=None)
    machine.work(dies_in=None)
    assert {end.verdict for end in machine.store.endings} == {"cancelled"}
    machine.teardown()


@pytest.mark.parametrize("model", [Closings, ClosingsOnDisk])
def test_a_closing_whose_run_met_it_open_starts_anew_after_a_prune(model: type[Closings]) -> None:
    """Found by the model: the pruned run kept the closing, and patrol took it for one that was acted upon."""
    machine = model()
    machine.begin()
    machine.trouble(0, "502", 60, 5_000)
    machine.close_pull(0, merged=False)
    machine.arrive(0, after=0, as_sent=True, dies_in=None)
    machine.work(dies_in=None)
    assert {end.verdict for end in machine.store.endings} == {"cancelled"}
    machine.wait(3_600)
    machine.lose_memory("all deliveries")
    machine.teardown()


@pytest.mark.parametrize("dies_in", range(24))
def test_a_round_that_is_killed_anywhere_is_made_up_for(dies_in: int) -> None:
    """At each call and each write of a round that finds something in a log and in a list."""
    machine = begun()
    for which in (0, 1):
        machine.open_pull(which, deployed=True, base="develop")
        machine.close_pull(which, merged=False)
    machine.lose_all()
    machine.patrol(lists=True, dies_in=dies_in)
    machine.teardown()


def begun() -> Closings:
    """Return a model in which patrol has begun."""
    machine = Closings()
    machine.begin()
    return machine
