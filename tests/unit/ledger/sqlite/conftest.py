"""A fresh ledger in a temporary folder, with a clock that tests advance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.sqlite import Ledger, Views


class HandClock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time


def delivery(
    guid: str = "g1", *, hook: str = "h1", body: bytes = b'{"number": 17}', form: bool = False
) -> NewDelivery:
    """A delivery as the receiver makes it."""
    return NewDelivery(hook, guid, "pull_request", "closed", "acme/shop", body, form, 990.0, "github", 17)


def new_run(run_id: str, automation: str = "preview-cleanup", definition: str = "{}") -> NewRun:
    """A run as the receiver makes it."""
    return NewRun(run_id, automation, "acme/shop#17", definition, 3600.0)


@pytest.fixture
def clock() -> HandClock:
    """The ledger's clock."""
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: HandClock) -> Iterator[Ledger]:
    """An open ledger."""
    with Ledger(path, clock=clock) as opened:
        yield opened


@pytest.fixture
def views(ledger: Ledger, path: Path, clock: HandClock) -> Iterator[Views]:
    """What another process sees of it."""
    opened = Views(path, clock=clock)
    yield opened
    opened.close()
