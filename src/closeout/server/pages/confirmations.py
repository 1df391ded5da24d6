"""Slow plans for confirmation pages, and forms that make only one request.

A plan asks AWS and GitHub and may take longer than an answer should, so it is made in a thread, and the next request for
it gets the result. A form carries a value of this process that makes one request, however often its button is pressed.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from closeout.core.errors import DeadlinePassed, FormRefused, Overloaded
from closeout.core.threads import background

T = TypeVar("T")
FORM_SECONDS = 3600
"""How long a form may be sent after its page was made."""
MOST_READS = 8
"""Plans that are made at the same time."""


class _Read(NamedTuple):
    result: asyncio.Future[Any]
    began: float


class SlowReads:
    """Reads in threads of their own. `seconds` limits each; a thread that exceeds it is abandoned but counts until it ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reads: dict[Hashable, _Read] = {}

    async def result(self, key: Hashable, work: Callable[[], T], patience: float) -> T | None:
        """Return what `work` returns; None if that takes longer than `patience` seconds: ask again with the same key.

        Raises the errors of `work`, `DeadlinePassed` after the limit, `Overloaded` if too many others are under way.
        """
        loop = asyncio.get_running_loop()
        self._forget(loop.time())
        read = self._reads.get(key)
        if read is None:
            if len(self._reads) >= MOST_READS:
                raise Overloaded("Too many plans are being made at the moment. Try again in a minute.")
            read = self._reads[key] = _Read(_started(loop, work), loop.time())
        await asyncio.wait([read.result], timeout=patience)
        if read.result.done():
            self._reads.pop(key, None)
            return read.result.result()  # type: ignore[no-any-return]
        if loop.time() - read.began > self._seconds:
            raise DeadlinePassed(f"AWS and GitHub did not answer within {self._seconds:g} seconds.")
        return None

    def _forget(self, now: float) -> None:
        """Forget results that were not fetched in time, because they are out of date."""
        for key, read in list(self._reads.items()):
            if read.result.done() and now - read.began > self._seconds:
                del self._reads[key]


def _started(loop: asyncio.AbstractEventLoop, work: Callable[[], T]) -> asyncio.Future[T]:
    """Call `work` in a thread that no shutdown waits for."""
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(_retrieve)

    def settle(set_: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if future.done() else set_(value))

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it
            settle(future.set_exception, error)
        else:
            settle(future.set_result, result)

    background("closeout-plan", run).start()
    return future


class OneTimeForms:
    """Values for forms, each of which makes one request. Only this process knows them, so a restart invalidates them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._sent: dict[str, asyncio.Task[Any]] = {}

    def value(self, form: str) -> str:
        """Return a new value for a form, which `form` names: its path and its visitor."""
        text = f"{int(self._clock()) + FORM_SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{text}.{self._signature(form, text)}"

    async def once(self, form: str, value: str, act: Callable[[], Awaitable[T]]) -> T:
        """Return what `act` returns; if the form was sent before, its earlier result. After an error, it can be sent again.

        Raises `FormRefused` if the value is not one of this form, or too old.
        """
        text, _, signature = value.rpartition(".")
        expected = self._signature(form, text)
        ends = text.partition(".")[0]
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()) or (
            self._clock() >= int(ends)
        ):
            raise FormRefused("This form is too old, or the server has restarted since. Open its page again.")
        for sent in [one for one in self._sent if int(one.partition(".")[0]) <= self._clock()]:
            del self._sent[sent]
        task = self._sent.get(value)
        if task is None:
            task = self._sent[value] = asyncio.ensure_future(act())
            task.add_done_callback(lambda done: self._free(value, done))
        return await asyncio.shield(task)  # a client that disconnects does not stop it

    def _free(self, value: str, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._sent.pop(value, None)

    def _signature(self, form: str, text: str) -> str:
        return hmac.new(self._key, f"{form}\n{text}".encode("utf-8", "replace"), "sha256").hexdigest()


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Retrieve an error, so that asyncio does not log it if no request fetches it."""
    if not future.cancelled():
        future.exception()
