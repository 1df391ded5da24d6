"""What other processes ask of the engine: taken from the store, carried out, and answered there.

Apart from the schedule: the engine carries out a cancel itself; its owner carries out everything else, which may take
long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from closeout.core.errors import StoreUnavailable
from closeout.engine.recorder import Wait, persist
from closeout.engine.store import EngineStore
from closeout.ports import Request


@dataclass
class Requests:
    """The requests of one store. `cancel(execution, by)` is the engine's own; see `local.Engine` for the rest."""

    store: EngineStore
    on_request: Callable[[Request], str | None] | None
    cancel: Callable[[str, str], bool]
    redact: Callable[[str], str]
    wait: Wait

    def __post_init__(self) -> None:
        self._taken: set[int] = set()

    def take(self) -> Iterator[Request]:
        """Carry out the cancel requests; yield each other new request, for `serve`. Raises `StoreUnavailable`."""
        for request in self.store.take_requests():
            if request.kind == "cancel":
                self.store.finish_request(request.id, self._cancelled(request))
            elif request.id not in self._taken:
                self._taken.add(request.id)
                yield request

    def serve(self, request: Request) -> None:
        """Call the owner with a request, and store the outcome."""
        try:
            outcome = self.on_request(request) if self.on_request else f"this server cannot {request.kind}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            outcome = f"failed: {self.redact(str(error))}"
        persist(lambda: self.store.finish_request(request.id, outcome or "done"), self.wait)
        self._taken.discard(request.id)

    def _cancelled(self, request: Request) -> str:
        """Carry out a cancel request. One that cannot be read must not block all others."""
        try:
            by = f"{request.by}: {request.reason}" if request.reason else request.by
            done = self.cancel(request.target or "", by)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            return f"failed: {error}"
        return "done" if done else "unknown or finished"
