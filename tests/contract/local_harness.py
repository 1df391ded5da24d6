"""The local engine on a real ledger, as the suite's harness; the engine's other tests use it too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.engine.local import Engine
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import Ending, RunFunction


class WallClock:
    """The system's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def new_delivery(guid: str, *, hook: str = "1", body: bytes = b"{}", form: bool = False) -> NewDelivery:
    """A delivery as the receiver makes it."""
    return NewDelivery(
        hook, guid, "pull_request", "closed", "acme/shop", body, form, time.time(), "github", 17
    )


def new_run(
    name: str, *, key: str | None = None, queue_timeout: float = 3600.0, definition: str = "{}"
) -> NewRun:
    """A run as the receiver makes it; the automation is named like the run."""
    return NewRun(name, name, key, definition, queue_timeout)


def eventually(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something holds; return its value."""
    deadline = time.monotonic() + seconds
    while True:
        result = holds()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {holds}"
        time.sleep(0.005)


class Bench:
    """One ledger and its engine, which reads the ledger often. `run` may be set per automation in `functions`."""

    def __init__(self, path: Path, run: RunFunction | None = None, **options: Any) -> None:
        self.path = path
        self.functions: dict[str, RunFunction] = {}
        self._run = run
        self.ledger = Ledger(path, clock=WallClock()).open()
        self.views = Views(path)
        self.reports: list[str] = []
        self.engine = Engine(
            self.ledger,
            lambda durable, execution: (self.functions.get(execution.automation) or self._required())(
                durable, execution
            ),
            **{
                "clock": WallClock(),
                "jitter": lambda: 0.0,
                "report": self.reports.append,
                "look_every": 0.05,
                **options,
            },
        )

    def _required(self) -> RunFunction:
        assert self._run is not None, "no function for this automation"
        return self._run

    def accept(self, name: str, *, tell: bool = True, **options: Any) -> Accepted:
        """Accept a run called `name` and notify the engine."""
        accepted = self.ledger.accept_wait(new_delivery(f"guid-{name}"), [new_run(name, **options)])
        if tell:
            self.engine.wake()
        return accepted

    def ending(self, name: str, seconds: float = 30.0) -> Ending:
        """Wait for a run's end."""
        view = eventually(lambda: self._finished(name), seconds)
        return Ending(view.verdict, view.summary)

    def _finished(self, name: str) -> Any:
        view = self.views.run(name)
        return view if view and view.state == "finished" else None

    def state(self, name: str) -> str:
        """Return a run's state in the ledger."""
        view = self.views.run(name)
        assert view is not None
        return view.state

    def operations(self, name: str) -> dict[str, Any]:
        """Return what a run has recorded, by name."""
        execution = self.ledger.find(name)
        number = (
            self.ledger._connection()[0]
            .execute("SELECT number FROM run WHERE run_id || '-' || attempt = ?", (execution,))
            .fetchone()[0]
        )
        return {operation.name: operation for operation in self.ledger.load(number)[1]}

    def close(self, timeout: float = 2.0) -> None:
        """Stop as a server does."""
        self.engine.stop(timeout)
        self.views.close()
        self.ledger.close()

    def crash(self) -> None:
        """Release everything as a dead process does: nothing is drained, nothing is recorded."""
        self.engine.given_up.set()
        self.engine.stopping.set()
        self.engine._nudged.set()
        for _ in self.engine._workers:
            self.engine._ready.put(None)
        self.views.close()
        self.ledger.close(0.5)


class LocalHarness:
    """`durable_suite.Harness` over the local engine."""

    tick = 0.01

    def __init__(self, path: Path) -> None:
        self._bench = Bench(path)
        self._bench.engine.start()
        self._count = 0
        self._lock = threading.Lock()

    def run(self, function: RunFunction, body: bytes = b"{}") -> Ending:
        """Run a function from acceptance to its end."""
        with self._lock:
            self._count += 1
            name = f"run{self._count}"
        self._bench.functions[name] = function
        self._bench.ledger.accept_wait(new_delivery(name, body=body), [new_run(name)])
        self._bench.engine.wake()
        return self._bench.ending(name)

    def close(self) -> None:
        """Stop the engine."""
        self._bench.close()
