"""What a ledger shows and has stored after one sequence of events: a promise to the releases before and after."""

from __future__ import annotations

from pathlib import Path

from tests.contract.story import KEPT, dynamodb_story, sqlite_story, written
from tests.stack_aws import StackAws


def kept(store: str) -> list[str]:
    """Return the lines of a store."""
    return [line for line in KEPT.read_text("utf-8").splitlines() if line.startswith(f"{store} ")]


def test_a_servers_ledger_shows_and_stores_exactly_this(tmp_path: Path) -> None:
    """Including each row of each table."""
    assert written({"sqlite": sqlite_story(tmp_path)}).splitlines() == kept("sqlite")


def test_a_stacks_ledger_shows_and_stores_exactly_this(aws: StackAws) -> None:
    """Including each item of the table, with the time at which it may expire."""
    assert written({"dynamodb": dynamodb_story(aws)}).splitlines() == kept("dynamodb")
