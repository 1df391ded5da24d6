"""The webhook path: read a body with a limit and a deadline, let `intake` decide, answer after the commit.

Raw ASGI, because a framework's request object costs more than everything done here. What is right or wrong
about a request is decided in `closeout.intake`; this module only moves bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from closeout.core.errors import (
    CloseoutError,
    MethodNotAllowed,
    Overloaded,
    PayloadTooLarge,
    ReadTimeout,
    Unauthorized,
)
from closeout.intake import answers, door
from closeout.intake.answers import Answer
from closeout.intake.receiver import Receiver
from closeout.ports import Accepted, NewDelivery, NewRun
from closeout.server.asgi import CLOSE, JSON, RawHeaders, Receive, Scope, Send
from closeout.server.log import Log
from closeout.server.metrics import ServerMetrics

Done: TypeAlias = Callable[[Any], None]
Accept: TypeAlias = Callable[[NewDelivery, Sequence[NewRun], Done], None]

READ_SECONDS = 10.0
"""From the first read to the last byte. GitHub itself gives up after ten seconds."""
HELD_LIMIT = 256 * 1024 * 1024
"""Bytes of bodies in memory at once, being read or waiting for their commit."""
LARGE = 512 * 1024
"""Bodies over this are verified and decoded off the event loop, so that others are answered meanwhile."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * 1024 * 1024


class Disconnected(Exception):
    """The sender went away before its body was complete: nobody to answer, nothing to store."""


class Webhook:
    """`POST /webhook` as an ASGI application.

    `accept` hands a delivery to the ledger, which calls back from its own thread after the commit; `started` takes
    the executions that are new; `refresh` reads the secrets again and says whether they changed (it may block).
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        accept: Accept,
        started: Callable[[Sequence[str]], None],
        refresh: Callable[[], bool],
        metrics: ServerMetrics,
        log: Log,
        read_seconds: float = READ_SECONDS,
        held_limit: int = HELD_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._receiver = receiver
        self._accept = accept
        self._started = started
        self._refresh = refresh
        self._metrics = metrics
        self._log = log
        self._read_seconds = read_seconds
        self._held_limit = held_limit
        self._clock = clock
        self.held = 0
        self._settled: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._waking = False
        self._refreshing: asyncio.Future[bool] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every outcome is counted."""
        began = time.perf_counter()
        unread = True
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("This path takes POST only.")  # noqa: TRY301
            headers = door.admit(scope["headers"])
            body = await self._read(receive)
            unread = False
            try:
                answer = await self._take(headers, body)
            finally:
                self.held -= len(body)
        except CloseoutError as error:
            answer = self._refusal(error)
        except Disconnected:
            self._metrics.deliveries["disconnected"] += 1
            return
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is logged and not sent
            self._log.exception("a delivery failed", error)
            answer = answers.FAILED
        self._metrics.deliveries[answer.outcome] += 1
        if unread:
            await self._send_unread(answer, receive, send)
            return
        await _send(send, answer, _head(answer))
        if answer.status == 202:
            self._metrics.ack.observe(time.perf_counter() - began)

    async def _read(self, receive: Receive) -> bytes:
        """Give the whole body. What it holds is counted in `held` until the caller takes that back."""
        deadline = _Deadline(self._read_seconds)
        held = 0
        chunks = []
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunk = message.get("body", b"")
                held += len(chunk)
                self.held += len(chunk)
                if held > door.MAX_BODY:
                    raise PayloadTooLarge(door.TOO_LARGE)
                if self.held > self._held_limit:
                    raise Overloaded("too many bytes of bodies are in memory")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except asyncio.CancelledError:
            self.held -= held
            if deadline.passed():
                raise ReadTimeout(f"The body did not arrive within {self._read_seconds:g} seconds.") from None
            raise
        except BaseException:
            self.held -= held
            raise
        finally:
            deadline.cancel()

    async def _take(self, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """Verify, decide, store; answer once it is committed."""
        now = self._clock()
        large = len(body) > LARGE
        try:
            await _call(large, self._receiver.verify, headers, body)
        except Unauthorized:
            if not await self._secrets_changed():
                raise
            await _call(large, self._receiver.verify, headers, body)
        decision = await _call(large, self._receiver.decide, headers, body, now)
        if decision.delivery is None:
            return answers.PONG
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._accept(decision.delivery, decision.runs, partial(self._stored, future))
        return answers.accepted(await future)

    def _stored(self, future: asyncio.Future[Any], result: Any) -> None:
        """Take the ledger's word, in its thread. The loop is woken once for all that come together."""
        self._settled.append((future, result))
        if not self._waking:
            self._waking = True
            future.get_loop().call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """Give every waiting request its result, and the engine its new executions, on the loop."""
        self._waking = False
        started: list[str] = []
        settled = self._settled
        while settled:
            future, result = settled.popleft()
            if isinstance(result, Accepted):
                started += result.started
                if not future.done():
                    future.set_result(result)
            elif not future.done():
                future.set_exception(result)
        if started:
            try:
                self._started(started)
            except Exception as error:  # noqa: BLE001 - they are stored: recovery finds them, the answer stands
                self._log.exception("the engine did not take new runs", error)

    async def _secrets_changed(self) -> bool:
        """Read the secrets again, in a thread; however many requests mismatch at once, one reading serves all."""
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().run_in_executor(None, self._refresh)
            self._refreshing.add_done_callback(self._refreshed)
        try:
            return await asyncio.shield(self._refreshing)
        except CloseoutError as error:
            self._log.seldom("the webhook secret cannot be read again", reason=error.message)
            return False

    def _refreshed(self, _: asyncio.Future[bool]) -> None:
        self._refreshing = None

    def _refusal(self, error: CloseoutError) -> Answer:
        if error.status >= 500:
            self._log.seldom("a delivery was not taken", code=error.code, reason=error.message)
        else:
            self._log.seldom("a request was refused", code=error.code)
        return answers.refused(error)

    async def _send_unread(self, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer although a body is still on its way, then close.

        To close at once would reset the connection, and the sender might lose the answer with it; so what comes is
        thrown away for a moment, within limits.
        """
        await _send(send, answer, [*_head(answer), CLOSE], more=True)
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                thrown_away = 0
                while thrown_away < LINGER_BYTES:
                    message = await receive()
                    thrown_away += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})


class _Deadline:
    """Cancels the current task after some seconds: a third of the cost of `asyncio.timeout`, on every request."""

    __slots__ = ("_handle", "_passed", "_task")

    def __init__(self, seconds: float) -> None:
        self._passed = False
        self._task = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()

    def passed(self) -> bool:
        """Whether the cancellation was this deadline's; it is then taken back."""
        return self._passed and self._task is not None and self._task.uncancel() == 0

    def cancel(self) -> None:
        """Drop the timer."""
        self._handle.cancel()


async def _call(elsewhere: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function here, or in a thread when it would hold up the loop."""
    if elsewhere:
        return await asyncio.to_thread(function, *arguments)
    return function(*arguments)


def _head(answer: Answer) -> RawHeaders:
    extra = ((b"allow", b"POST"),) if answer.status == 405 else ()
    extra += ((b"retry-after", b"5"),) if answer.status == 503 else ()
    return [*JSON, *extra, (b"content-length", b"%d" % len(answer.body))]


async def _send(send: Send, answer: Answer, headers: RawHeaders, *, more: bool = False) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": more})
