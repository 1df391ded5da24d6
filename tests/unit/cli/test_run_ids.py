"""A run is found by a prefix of its id, if the prefix is unique."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.cli.main import main
from closeout.cli.runs import CANDIDATES, find
from closeout.core.errors import NotFound, UsageError
from closeout.ledger.sqlite import Ledger, Views
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

ONE, TWO = "pychgk" + "a" * 20, "pychgk" + "b" * 20
MANY = [f"qqqqqq{letter}" + "c" * 19 for letter in "abcdefg"]


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    """A ledger with runs whose ids are chosen; ONE has a second attempt."""
    path = tmp_path / "ledger.db"
    with Ledger(path, clock=HandClock()) as ledger:
        for run in (ONE, TWO, *MANY):
            ledger.accept_wait(delivery(guid=run), [new_run(run, automation=run)])
        opened = Views(path)
        yield opened
        opened.close()


@pytest.mark.parametrize("text", [ONE, "pychgkaaaa", "pychgka", f"{ONE}-1", "pychgka-1"])
def test_a_unique_prefix_finds_its_run(views: Views, text: str) -> None:
    """The whole id, a prefix, and either with the attempt."""
    run = find(views, text)
    assert (run.id, run.attempt) == (ONE, 1)


def test_an_ambiguous_prefix_lists_its_runs(views: Views) -> None:
    """Nothing is guessed: cancelling or rerunning the wrong run would be worse than a question."""
    with pytest.raises(UsageError) as two:
        find(views, "pychgk")
    assert two.value.message == f"Several runs begin with pychgk: {ONE}, {TWO}. Write more of the id."
    with pytest.raises(UsageError) as many:
        find(views, "qqqqqq")
    assert many.value.message.endswith(f"{', '.join(MANY[:CANDIDATES])} and others. Write more of the id.")


@pytest.mark.parametrize("text", ["", "x", "pych%", "PYCHGK", ONE + "a", "z" * 26, "-1", "pychgka-2"])
def test_an_unknown_prefix_is_not_found(views: Views, text: str) -> None:
    """An empty text is not a prefix, and there are no wildcards."""
    with pytest.raises(NotFound, match=r"the ledger has no|The ledger has no"):
        find(views, text)


@pytest.mark.parametrize("text", ["p", "pychg", "pychg-1"])
def test_a_prefix_must_have_a_minimum_length(views: Views, text: str) -> None:
    """A list may omit another run with the same prefix."""
    with pytest.raises(NotFound, match="at least its first 6 characters"):
        find(views, text)


@pytest.mark.parametrize(("text", "asked"), [("z" * 26, ["z" * 26]), ("pychgka", [ONE]), ("zzzzzzz", [])])
def test_a_problem_whose_run_was_pruned_can_be_dismissed(tmp_path: Path, text: str, asked: list[str]) -> None:
    """Otherwise it would be reported daily forever; only a whole id names a run that is gone."""
    path = tmp_path / "ledger.db"
    with Ledger(path, clock=HandClock()) as ledger:
        ledger.accept_wait(delivery(guid=ONE), [new_run(ONE, automation=ONE)])
    assert (main(["runs", "dismiss", text, "--db", str(path)]) == 0) is bool(asked)
    with Ledger(path, clock=HandClock()) as ledger:
        assert [(one.kind, one.target) for one in ledger.take_requests()] == [
            ("dismiss", id_) for id_ in asked
        ]
