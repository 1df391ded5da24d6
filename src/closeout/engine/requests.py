"""Requests of other processes to the engine: it takes them from the store, carries them out, and stores the outcomes.

They are separate from the schedule, because only a cancel is carried out by the engine itself. Its owner carries out
everything else, which may take long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from closeout.core.errors import StoreUnavailable
from closeout.engine.recorder import persist
from closeout.ports import Request

if TYPE_CHECKING:
    from closeout.engine.local import Engine


class Requests:
    """The requests of an engine's store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._taken: set[int] = set()
        """Those that were yielded and that the store still shows. Only the thread that calls `take` uses it."""

    def take(self) -> Iterator[Request]:
        """Carry out the cancel requests; yield each other new request, for `serve`. Raises `StoreUnavailable`."""
        store = self._engine.store
        requests = store.take_requests()
        # Forget a request only once the store no longer shows it: another thread may finish it after this list was read.
        self._taken.intersection_update(request.id for request in requests)
        for request in requests:
            if request.kind == "cancel":
                store.finish_request(request.id, self._cancelled(request))
            elif request.id not in self._taken:
                self._taken.add(request.id)
                yield request

    def serve(self, request: Request) -> None:
        """Call the owner with a request, and store the outcome."""
        engine = self._engine
        try:
            outcome = (
                engine.on_request(request) if engine.on_request else f"this server cannot {request.kind}"
            )
        except Exception as error:  # noqa: BLE001 - any error is the outcome
            outcome = f"failed: {engine.redact(str(error))}"
        persist(lambda: engine.store.finish_request(request.id, outcome or "done"), engine.given_up.wait)

    def _cancelled(self, request: Request) -> str:
        """Carry out a cancel request. One that cannot be read must not block all others."""
        try:
            by = f"{request.by}: {request.reason}" if request.reason else request.by
            done = self._engine.request_cancel(request.target or "", by)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - any error is the outcome
            return f"failed: {error}"
        return "done" if done else "unknown or finished"
