"""Some histories of the model in each run of the tests; `python -m tests.model --histories 2000` makes more."""

from __future__ import annotations

from hypothesis.stateful import run_state_machine_as_test

from tests.model.__main__ import effort
from tests.model.machine import Closings
from tests.model.on_disk import ClosingsOnDisk


def test_every_closing_is_acted_upon_once_and_nothing_else_is_touched() -> None:
    """In memory."""
    run_state_machine_as_test(Closings, settings=effort(40, known=True))


def test_the_same_holds_on_disk() -> None:
    """Over SQLite, whose file each process opens anew."""
    run_state_machine_as_test(ClosingsOnDisk, settings=effort(8, known=True))
