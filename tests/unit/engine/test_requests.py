"""Requests of other processes: each gets an outcome, and one that fails blocks no other."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.engine.requests import Requests
from closeout.ports.durable import Request


def request(number: int, kind: str, target: str | None = "r1-1", reason: str | None = None) -> Request:
    """Return a request of ada's."""
    return Request(number, kind, target, "ada", reason)


class Bench:
    """A store of requests, and what an engine does with them."""

    def __init__(self, *waiting: Request, cancel: Callable[[str, str], bool], serve: Any = None) -> None:
        self.outcomes: dict[int, str] = {}
        self.store = store = SimpleNamespace(take_requests=lambda: waiting, finish_request=self._finish)
        engine = SimpleNamespace(
            store=store,
            on_request=serve,
            request_cancel=cancel,
            redact=lambda text: text.replace("hunter2", "***"),
            given_up=Event(),
        )
        self.requests = Requests(cast("Any", engine))

    def taken(self, read: Callable[[], list[Request]]) -> list[Request]:
        """Return what is taken when the store reads the open requests like this."""
        self.store.take_requests = read
        return list(self.requests.take())

    def _finish(self, number: int, outcome: str) -> None:
        self.outcomes[number] = outcome


def never(_target: str, _by: str) -> bool:
    """No cancel was requested."""
    raise AssertionError


def test_a_cancel_records_who_asked_and_its_outcome() -> None:
    """With the reason, if there is one."""
    asked: list[tuple[str, str]] = []

    def cancel(target: str, by: str) -> bool:
        asked.append((target, by))
        return target == "r1-1"

    bench = Bench(
        request(1, "cancel", reason="wrong branch"), request(2, "cancel", target="r9-1"), cancel=cancel
    )
    assert list(bench.requests.take()) == []
    assert asked == [("r1-1", "ada: wrong branch"), ("r9-1", "ada")]
    assert bench.outcomes == {1: "done", 2: "unknown or finished"}


def test_a_failed_cancel_is_its_own_outcome() -> None:
    """The others are carried out. If the store does not answer, all are repeated."""

    def fails(target: str, _by: str) -> bool:
        if target == "bad":
            raise ValueError("no number")
        return True

    bench = Bench(request(1, "cancel", target="bad"), request(2, "cancel"), cancel=fails)
    list(bench.requests.take())
    assert bench.outcomes == {1: "failed: no number", 2: "done"}

    def unavailable(_target: str, _by: str) -> bool:
        raise StoreUnavailable("busy")

    bench = Bench(request(1, "cancel"), cancel=unavailable)
    with pytest.raises(StoreUnavailable):
        list(bench.requests.take())
    assert bench.outcomes == {}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(None, "done"), ("r2-1", "r2-1"), (RuntimeError("hunter2 is wrong"), "failed: *** is wrong")],
)
def test_other_requests_belong_to_the_owner(answer: Any, outcome: str) -> None:
    """Each is handed over once; its outcome contains no secret."""

    def serve(_request: Request) -> str | None:
        if isinstance(answer, Exception):
            raise answer
        return cast("str | None", answer)

    bench = Bench(request(1, "rerun"), cancel=never, serve=serve)
    (found,) = bench.requests.take()
    assert list(bench.requests.take()) == []
    bench.requests.serve(found)
    assert bench.outcomes == {1: outcome}


def test_a_request_that_ends_while_the_list_is_read_is_not_carried_out_twice() -> None:
    """A worker stores its outcome after the scheduler has read which requests are open."""
    asked = [request(1, "replay")]
    bench = Bench(cancel=never, serve=lambda _request: "r2-1")
    (found,) = bench.taken(lambda: list(asked))

    def read_then_ended() -> list[Request]:
        waiting = list(asked)
        bench.requests.serve(found)
        asked.clear()
        return waiting

    assert bench.taken(read_then_ended) == []
    assert bench.outcomes == {1: "r2-1"}
    assert bench.taken(lambda: list(asked)) == []
    asked.append(request(1, "replay", target="r3-1"))
    assert bench.taken(lambda: list(asked)) == asked, (
        "a ledger whose requests were pruned uses a number again"
    )


def test_an_engine_without_an_owner_refuses_other_requests() -> None:
    """Otherwise the request would stay open forever."""
    bench = Bench(request(1, "rerun"), cancel=never)
    for found in bench.requests.take():
        bench.requests.serve(found)
    assert bench.outcomes == {1: "this server cannot rerun"}
