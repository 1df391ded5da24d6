"""What a waiting run keeps in memory: its number, its name and its alarm, and nothing that was created to run it."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from closeout.core.retry import Backoff, Retry
from closeout.engine.durable import Suspended
from closeout.ports import Durable, Ending, Execution
from closeout.run.workflow import make_run_function
from tests.contract.durable_suite import busy
from tests.contract.local_harness import Bench, eventually, new_delivery, new_run
from tests.unit.run.world import Scene, unreachable

PAYLOAD = 300_000
SMALL = 4_000
"""Bytes that a waiting run may hold, with everything that only it holds."""


def refused() -> None:
    """Raise the error of a throttled service."""
    raise busy(retry_after=3_600.0)


class Witness:
    """Stands for any object of a run function: dead as soon as nothing refers to the run any more."""


@contextmanager
def no_collector() -> Iterator[None]:
    """Let nothing but reference counts free memory: the collector of a busy server comes late."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["sleep", "poll", "retry"])
def test_a_waiting_run_holds_nothing_of_its_execution(tmp_path: Path, how: str) -> None:
    """However it waits: no payload, no traceback, no frame; without help of the garbage collector."""
    witnesses: list[weakref.ref[Any]] = []

    def waits(durable: Durable, execution: Execution) -> Ending:
        assert len(execution.body) > PAYLOAD
        witness = Witness()
        witnesses.append(weakref.ref(witness))
        durable.record("first", lambda: bool(witness))
        if how == "sleep":
            durable.sleep("pause", 3_600.0)
        elif how == "retry":
            durable.record(
                "throttled", refused, Retry(attempts=9, backoff=Backoff(first=3_600.0, cap=3_600.0))
            )
        else:
            durable.wait_until("gone", lambda: None if witness else 1, 3_600.0, 7_200.0)
        return Ending("success", "gone")

    bench = Bench(tmp_path / "ledger.db", waits)
    bench.engine.start()
    with no_collector():
        body = json.dumps({"text": "x" * PAYLOAD}).encode()
        bench.ledger.accept_wait(new_delivery("guid-a", body=body), [new_run("a")])
        bench.engine.wake()
        eventually(lambda: bench.engine.counts()["waiting"])
        eventually(lambda: [witness() for witness in witnesses] == [None])
        [task] = bench.engine._tasks.values()
        assert _weight(task) < SMALL
    bench.close()


def _weight(start: Any) -> int:
    """Return the bytes of an object and of all that it leads to, but for types, modules and what runs them."""
    seen: dict[int, Any] = {}
    todo = [start]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type) or type(each).__name__ == "module":
            continue
        seen[id(each)] = each
        todo += gc.get_referents(each)
    return sum(sys.getsizeof(each) for each in seen.values())


@pytest.mark.parametrize("why", ["paused", "unreadable"])
def test_an_attempt_at_a_held_run_leaves_no_garbage(why: str) -> None:
    """A held run is tried every half minute: its payload must not wait for the collector each time."""
    scene = Scene()
    if why == "paused":
        scene.paused = lambda: "ops"
    else:
        scene.world.faults["read pull request"] = [unreachable() for _ in range(100)]
    run, execution = make_run_function(scene.deps()), scene.execution()

    def once() -> weakref.ref[Any]:
        """Try it, and return what is alive as long as a frame of the try is."""
        durable = scene.durable.replay()
        with contextlib.suppress(Suspended):
            run(durable, execution)
        assert durable.suspended is not None
        scene.clock.advance(max(0.0, durable.suspended - scene.clock.now()))
        return weakref.ref(durable)

    with no_collector():
        tries = [once() for _ in range(5)]
        assert [each() for each in tries] == [None] * 5
