"""The local engine when something around it fails: a run that cannot be read, a request that cannot be served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.ledger.sqlite import Requests
from closeout.ports import Durable, Ending, Execution, Request
from tests.contract.local_harness import Bench, eventually


def quick(durable: Durable, _execution: Execution) -> Ending:
    """Record one operation and end."""
    durable.record("one", lambda: None)
    return Ending("success", "done")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine that is not started yet."""
    bench = Bench(tmp_path / "ledger.db", quick)
    yield bench
    bench.close()


def test_the_operations_in_progress_are_named(bench: Bench) -> None:
    """By automation and step; a run between two operations, or one that waits, has none."""
    inside, let = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        let.wait(5)

    def run(durable: Durable, _execution: Execution) -> Ending:
        durable.record("delete-1/plan/x", hold)
        return Ending("success", "done")

    bench.functions["a"] = run
    bench.engine.start()
    assert bench.engine.under_way() == []
    bench.accept("a")
    assert inside.wait(5)
    assert bench.engine.under_way() == ["a/delete-1"]
    assert bench.engine.counts() == {"running": 1}
    let.set()
    bench.ending("a")
    eventually(lambda: bench.engine.under_way() == [])
    eventually(lambda: not bench.engine.counts())


def test_a_start_says_how_many_runs_it_takes_up_and_keeps_no_process_from_ending(bench: Bench) -> None:
    """A hanging script holds a thread forever: the process exits without it."""
    for name in ("a", "b"):
        bench.accept(name, tell=False)
    assert bench.engine.start() == 2
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("engine-")]
    assert len(threads) >= 2
    assert all(thread.daemon for thread in threads)


def test_a_run_that_cannot_be_read_ends_and_lets_the_next_begin(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permanently unreadable run can never be run; an outage is waited for."""
    load, tried = bench.ledger.load, []

    def broken(number: int) -> Any:
        tried.append(number)
        if len(tried) == 1:
            raise ValueError("no such definition")
        if len(tried) == 2:
            raise StoreUnavailable("the disk is away")
        return load(number)

    monkeypatch.setattr(bench.ledger, "load", broken)
    bench.engine.start()
    bench.accept("a", key="k")
    ended = bench.ending("a")
    assert (ended.verdict, ended.summary) == (
        "failure",
        "the run cannot be read from the ledger: no such definition",
    )
    bench.accept("b", key="k")
    eventually(lambda: bench.engine.troubles)
    assert "a run cannot be taken up now: b-1: the disk is away" in bench.reports
    assert bench.ending("b").verdict == "success"
    assert bench.engine.troubles == {}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("b-2", "b-2"), (None, "done"), (ValueError("no way"), "failed: no way")],
)
def test_a_request_gets_its_outcome_whatever_happens(tmp_path: Path, answer: Any, outcome: str) -> None:
    """The requester waits for it, and the next request is served too."""
    served: list[str] = []

    def serve(request: Request) -> str | None:
        served.append(request.kind)
        if isinstance(answer, Exception):
            raise answer
        found: str | None = answer
        return found

    bench = Bench(tmp_path / "ledger.db", quick, on_request=serve)
    requests = Requests(bench.path)
    bench.engine.start()
    numbers = [requests.add_request("rerun", "b", "ada", None) for _ in range(2)]
    bench.engine.wake()
    for number in numbers:
        assert eventually(lambda number=number: requests.outcome(number)) == outcome  # type: ignore[misc]
    assert served == ["rerun", "rerun"]
    bench.close()


def test_a_cancel_of_a_finished_or_unknown_run_says_so(bench: Bench) -> None:
    """A run that has ended, or that never was."""
    requests = Requests(bench.path)
    bench.engine.start()
    number = requests.add_request("cancel", "nobody-1", "ada", "because")
    bench.engine.wake()
    assert eventually(lambda: requests.outcome(number)) == "unknown or finished"
