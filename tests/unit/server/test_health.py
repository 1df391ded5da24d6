"""Whether the server is ready: what is said, and how often the ledger is asked."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.server.health import KEPT_SECONDS, Readiness
from closeout.server.log import Log


class Asked:
    """A ledger that fails so, and counts how often it is asked."""

    def __init__(self, error: StoreUnavailable | None = None) -> None:
        self.error = error
        self.times = 0

    def __call__(self) -> None:
        """Raise what it has."""
        self.times += 1
        if self.error is not None:
            raise self.error


def answers(
    ready: Asked,
    *moments: float,
    before: Callable[[Readiness], None] = lambda _: None,
    written: io.StringIO | None = None,
) -> list[object]:
    """Ask at these moments; return the answers."""
    now = [0.0]

    async def scene() -> list[object]:
        asked = Readiness(ready, Log(stream=written or io.StringIO()), lambda: now[0])
        before(asked)
        found: list[object] = []
        for now[0] in moments:
            text = await asked.reason()
            found.append(None if text is None else json.loads(text))
        return found

    return asyncio.run(scene())


def test_a_server_that_can_store_is_ready_and_is_asked_once_a_second() -> None:
    """A load balancer asks more often."""
    ready = Asked()
    assert answers(ready, 5.0, 5.0 + KEPT_SECONDS, 5.1 + KEPT_SECONDS) == [None, None, None]
    assert ready.times == 2


def test_only_what_is_public_is_said_of_an_error() -> None:
    """A message may name paths of the machine. It is in the log."""
    error = StoreUnavailable("/srv/closeout.db: disk full")
    written = io.StringIO()
    assert answers(Asked(error), 0.0, written=written) == [
        {"error": error.code, "message": error.public or "The ledger cannot be written."}
    ]
    assert written.getvalue().endswith(f"not ready code={error.code} reason=/srv/closeout.db: disk full\n")
    error.public = "The disk is full."
    assert answers(Asked(error), 0.0) == [{"error": error.code, "message": "The disk is full."}]


def test_a_write_that_hangs_is_no_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer gets an answer all the same."""
    monkeypatch.setattr("closeout.server.health.GIVEN_SECONDS", 0.01)
    ends = threading.Event()

    async def scene() -> bytes | None:
        asked = Readiness(lambda: (ends.wait(10), None)[1], Log(stream=io.StringIO()))
        try:
            return await asked.reason()
        finally:
            ends.set()

    assert json.loads(asyncio.run(scene()) or b"{}") == {
        "error": "store-unavailable", "message": "A write to the ledger timed out."
    }  # fmt: skip


def test_a_server_that_is_shutting_down_is_not_ready() -> None:
    """It finishes what it has, and gets nothing new."""

    def drain(asked: Readiness) -> None:
        asked.draining = True

    ready = Asked()
    (said,) = answers(ready, 0.0, before=drain)
    assert said == {"error": "draining", "message": "The server is shutting down."}
    assert ready.times == 0
