"""What other processes ask of the engine: taken from the store, carried out, and answered there.

Apart from the schedule: a cancel is the engine's own, everything else is its owner's and may take as long as it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from closeout.core.errors import StoreUnavailable
from closeout.engine.keeping import Patience, persist
from closeout.engine.store import EngineStore
from closeout.ports import Request


class Requests:
    """Over one store. `later` takes what a worker's thread is to do; see `local.Engine` for the rest."""

    def __init__(
        self,
        store: EngineStore,
        on_request: Callable[[Request], str | None] | None,
        *,
        cancel: Callable[[str, str], bool],
        redact: Callable[[str], str],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._on_request = on_request
        self._cancel = cancel
        self._redact = redact
        self._later = later
        self._taken: set[int] = set()

    def look(self, given_up: Patience) -> None:
        """Take what is new. Raises `StoreUnavailable`."""
        for request in self._store.take_requests():
            if request.kind == "cancel":
                self._store.finish_request(request.id, self._cancelled(request))
            elif request.id not in self._taken:
                self._taken.add(request.id)
                self._later(partial(self._serve, request, given_up))

    def _cancelled(self, request: Request) -> str:
        """Carry out a cancel request; one that cannot be read must not stand in the way of all others."""
        try:
            by = f"{request.by}: {request.reason}" if request.reason else request.by
            done = self._cancel(request.target or "", by)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            return f"failed: {error}"
        return "done" if done else "unknown or finished"

    def _serve(self, request: Request, given_up: Patience) -> None:
        """Have the owner carry out a request, and keep what came of it."""
        try:
            outcome = self._on_request(request) if self._on_request else f"nobody here can {request.kind}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            outcome = f"failed: {self._redact(str(error))}"
        persist(lambda: self._store.finish_request(request.id, outcome or "done"), given_up)
        self._taken.discard(request.id)
