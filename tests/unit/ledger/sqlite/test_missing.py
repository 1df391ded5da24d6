"""A missing record is an error or nothing, never an empty run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import LedgerError
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.identity import GONE, FileIdentity
from closeout.ports import Ending, Operation
from tests.unit.ledger.sqlite.conftest import delivery, new_run


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.load(9),
        lambda ledger: ledger.begin(9, "own", 1.0, wait=True),
        lambda ledger: ledger.join(9),
        lambda ledger: ledger.finish(9, Ending("success", "done"), 1.0),
        lambda ledger: ledger.attempts.new_attempt("nobody", "{}", "ada", key=None, queue_timeout=1.0),
        lambda ledger: ledger.attempts.add_runs(9, [new_run("a")], "ada"),
    ],
)
def test_an_unknown_run_or_delivery_is_an_error(ledger: Ledger, call: Callable[[Any], object]) -> None:
    """It was pruned, or its name was mistyped."""
    with pytest.raises(LedgerError, match=r"is no longer in the ledger|there is no "):
        call(ledger)


def test_a_replay_adds_only_new_runs(ledger: Ledger) -> None:
    """An existing one is left alone."""
    accepted = ledger.accept_wait(delivery(), [new_run("a")])
    assert ledger.attempts.add_runs(accepted.delivery, [new_run("a"), new_run("b", "other")], "ada") == (
        "b-1",
    )
    assert ledger.attempts.add_runs(accepted.delivery, [new_run("a"), new_run("b", "other")], "ada") == ()


def test_operations_are_read_by_run_and_by_attempt(path: Path, ledger: Ledger) -> None:
    """Of the latest attempt unless one is named; an unknown run has none."""
    ledger.accept_wait(delivery(), [new_run("a")])
    first = Operation("one/plan", 1, "record", "ok", "{}", 1, None, 1_000.0, 1_001.0)
    ledger.save(1, first)
    ledger.finish(1, Ending("failure", "failed"), 1_002.0)
    ledger.attempts.new_attempt("a", "{}", "ada", key=None, queue_timeout=60.0)
    second = first._replace(name="two/plan")
    ledger.save(2, second)
    views = Views(path)
    assert views.operations("a") == [second]
    assert views.operations("a", 1) == [first]
    assert views.operations("a-1") == [first]
    assert views.operations("nobody") == []
    views.close()


def test_a_file_that_was_lost_or_replaced_stays_lost(tmp_path: Path) -> None:
    """Even if the first one returns: it lacks what was stored meanwhile."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    identity = FileIdentity(path)
    assert identity.lost() is None
    path.rename(tmp_path / "kept.db")
    for _ in range(2):
        error = identity.lost()
        assert error is not None
        assert "was removed or replaced; nothing was stored" in error.message
        assert error.public == GONE
        if not path.exists():
            (tmp_path / "kept.db").replace(path)
