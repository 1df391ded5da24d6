"""The webhook path: read a body with a limit and a deadline, let `intake` decide, answer after the commit.

Raw ASGI, because a framework's request object costs more than everything done here. What is right or wrong
about a request is decided in `closeout.intake`; this module only moves bytes. `take` is the part without a wait: the
protocol calls it directly for a body that came in one piece (see `closeout.server.protocol`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from closeout.core.errors import (
    CloseoutError,
    Overloaded,
    PayloadTooLarge,
    ReadTimeout,
    Unauthorized,
)
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.core.signature import UNFIT
from closeout.intake import answers, door
from closeout.intake.answers import Answer
from closeout.intake.receiver import Receiver
from closeout.server import asgi
from closeout.server.asgi import CLOSE, JSON, RawHeaders, Receive, Scope, Send
from closeout.server.log import Log
from closeout.server.metrics import ServerMetrics

Done: TypeAlias = Callable[[Any], None]
Item: TypeAlias = tuple[NewDelivery, Sequence[NewRun], Done]
Accept: TypeAlias = Callable[[Sequence[Item]], None]
Reply: TypeAlias = Callable[[Answer], None]

PATH = "/webhook"
LARGE = 512 * 1024
"""Bodies over this are verified and decoded off the event loop, so that others are answered meanwhile."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * 1024 * 1024


class Disconnected(Exception):
    """The sender went away before its body was complete: nobody to answer, nothing to store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read, and for how long."""

    read_seconds: float = 10.0
    """From the first read of a body to its last byte. GitHub itself gives up after ten seconds."""
    body_bytes: int = door.MAX_BODY
    held_bytes: int = 256 * 1024 * 1024
    """Of all bodies in memory at once, being read or waiting for their commit."""


class Webhook:
    """`POST /webhook` as an ASGI application.

    `accept` hands deliveries to the ledger, which calls each one's `done` from its own thread after the commit;
    `started` takes the executions that are new; `refresh` reads the secrets again and says whether they changed (it
    may block). `secrets` names their references, for the log.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own
        self,
        receiver: Receiver,
        *,
        accept: Accept,
        started: Callable[[Sequence[str]], None],
        refresh: Callable[[], bool],
        metrics: ServerMetrics,
        log: Log,
        limits: Limits,
        secrets: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._receiver = receiver
        self._accept = accept
        self._started = started
        self._refresh = refresh
        self._metrics = metrics
        self._log = log
        self._limits = limits
        self._secrets = secrets
        self._clock = clock
        self._gathered: list[Item] = []
        self._settled: deque[tuple[_Waiting, Any]] = deque()
        self._waking = False
        self._refreshing: asyncio.Future[bool] | None = None
        self.held = 0
        """Bytes of bodies in memory now."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every outcome is counted."""
        began = time.perf_counter()
        unread = True
        try:
            headers = self._admit(scope)
            body = await self._read(receive)
            unread = False
            try:
                answer = await self._answer(headers, body, began)
            finally:
                self.held -= len(body)
        except Disconnected:
            self._metrics.deliveries["disconnected"] += 1
            return
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is logged and not sent
            answer = self._refusal(error) if isinstance(error, CloseoutError) else self._failure(error)
            self._metrics.deliveries[answer.outcome] += 1
        if unread:
            await self._send_unread(answer, receive, send)
        else:
            await _send(send, answer, _head(answer))

    def take(self, raw_headers: list[tuple[bytes, bytes]], body: bytes, reply: Reply) -> bool:
        """Take a request whose body is there, without waiting; `reply` gets the answer, now or after the commit.

        False: nothing was done, and the request is one for `__call__`, which may wait: a body that is large, a
        signature that a secret read again might fit, too much in memory.
        """
        began = time.perf_counter()
        size = len(body)
        if size > LARGE or self.held + size > self._limits.held_bytes:
            return False
        try:
            headers = door.admit(raw_headers, self._limits.body_bytes)
            self._receiver.verify(headers, body)
        except Exception:  # noqa: BLE001 - the long way meets it again, and answers and logs it
            return False
        self._store(headers, body, _Waiting(reply, began, self._metrics, self, size))
        return True

    def _admit(self, scope: Scope) -> Mapping[bytes, bytes]:
        door.check_method(scope["method"])
        return door.admit(scope["headers"], self._limits.body_bytes)

    async def _read(self, receive: Receive) -> bytes:
        """Give the whole body. Its length is counted in `held` until the caller takes that back."""
        deadline = _Deadline(self._limits.read_seconds)
        chunks: list[bytes] = []
        held = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected  # noqa: TRY301 - what was counted is taken back below
                chunk = message.get("body", b"")
                chunks.append(chunk)
                held += len(chunk)
                self.held += len(chunk)
                self._check(held)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException as error:
            self.held -= held
            if isinstance(error, asyncio.CancelledError) and deadline.passed():
                seconds = f"{self._limits.read_seconds:g} seconds"
                raise ReadTimeout(f"The body did not arrive within {seconds}.") from None
            raise
        finally:
            deadline.cancel()

    def _check(self, held: int) -> None:
        if held > self._limits.body_bytes:
            raise PayloadTooLarge(door.TOO_LARGE)
        if self.held > self._limits.held_bytes:
            raise Overloaded("the bodies in memory are at their limit")

    async def _answer(self, headers: Mapping[bytes, bytes], body: bytes, began: float) -> Answer:
        """Verify, with the secrets read again if need be; then store. Raises Unauthorized."""
        try:
            await self._verify(headers, body)
        except Unauthorized:
            if not await self._secrets_changed():
                raise
            await self._verify(headers, body)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def reply(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        waiting = _Waiting(reply, began, self._metrics, self, 0)
        if len(body) > LARGE:
            # Only the decision is made elsewhere: the ledger and the counters belong to this thread.
            decision = await asyncio.to_thread(self._decide, headers, body)
            self._hand_over(decision, waiting)
        else:
            self._store(headers, body, waiting)
        return await future

    async def _verify(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        if len(body) > LARGE:
            await asyncio.to_thread(self._receiver.verify, headers, body)
        else:
            self._receiver.verify(headers, body)

    def _store(self, headers: Mapping[bytes, bytes], body: bytes, waiting: _Waiting) -> None:
        self._hand_over(self._decide(headers, body), waiting)

    def _decide(self, headers: Mapping[bytes, bytes], body: bytes) -> Any:
        """Give the decision, or the answer if there is nothing to store. Never raises."""
        try:
            decision = self._receiver.decide(headers, body, self._clock())
        except CloseoutError as error:
            return self._refusal(error)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is logged and not sent
            return self._failure(error)
        return answers.PONG if decision.delivery is None else decision

    def _hand_over(self, decision: Any, waiting: _Waiting) -> None:
        """Queue the delivery for the ledger's next commit, or reply at once.

        What comes in one turn of the loop is handed over together: alone, the first one of every turn would make a
        commit of its own, and all others would wait for it.
        """
        if isinstance(decision, Answer):
            waiting.finish(decision)
            return
        if not self._gathered:
            waiting.loop.call_soon(self._flush)
        self._gathered.append((decision.delivery, decision.runs, waiting.bind(self._stored)))

    def _flush(self) -> None:
        group, self._gathered = self._gathered, []
        try:
            self._accept(group)
        except Exception as error:  # noqa: BLE001 - the edge: everybody in the group must get an answer
            for _, _, done in group:
                done(error)

    def _stored(self, waiting: _Waiting, result: Any) -> None:
        """Take the ledger's word, in its thread. The loop is woken once for all that come together."""
        self._settled.append((waiting, result))
        if not self._waking:
            self._waking = True
            waiting.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """Give every waiting request its answer, and the engine its new executions, on the loop."""
        self._waking = False
        started: list[str] = []
        settled = self._settled
        while settled:
            waiting, result = settled.popleft()
            if isinstance(result, Accepted):
                started += result.started
            try:
                waiting.finish(self._said(result))
            except Exception as error:  # noqa: BLE001 - one connection's trouble must not keep the others waiting
                self._log.unforeseen("an answer could not be sent", error)
        if started:
            try:
                self._started(started)
            except Exception as error:  # noqa: BLE001 - they are stored: recovery finds them, the answers stand
                self._log.unforeseen("the engine did not take new runs", error)

    def _said(self, result: Any) -> Answer:
        if isinstance(result, Accepted):
            return answers.accepted(result)
        return self._refusal(result) if isinstance(result, CloseoutError) else self._failure(result)

    async def _secrets_changed(self) -> bool:
        """Read the secrets again, in a thread; however many requests mismatch at once, one reading serves all."""
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().run_in_executor(None, self._refresh)
            self._refreshing.add_done_callback(self._refreshed)
        try:
            return await asyncio.shield(self._refreshing)
        except CloseoutError as error:
            self._log.rarely("the webhook secret cannot be read again", reason=error.message)
            return False

    def _refreshed(self, _: asyncio.Future[bool]) -> None:
        self._refreshing = None

    def _refusal(self, error: CloseoutError) -> Answer:
        if error.status >= 500:
            self._log.rarely("a delivery was not taken", code=error.code, reason=error.message)
        else:
            self._log.rarely("a request was refused: " + self._why(error))
        return answers.refused(error)

    def _why(self, error: CloseoutError) -> str:
        """Give the reason in words of ours, of which there are a few: nothing of a request stands in the log."""
        if not isinstance(error, Unauthorized):
            return error.code
        return f"{error.why} ({self._secrets})" if error.why == UNFIT and self._secrets else error.why

    def _failure(self, error: BaseException) -> Answer:
        self._log.unforeseen("a delivery failed", error)
        return answers.FAILED

    async def _send_unread(self, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer although a body may still be on its way, then close.

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
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})


class _Waiting:
    """A request that waits for its answer, and what is to be counted when it comes."""

    __slots__ = ("_began", "_hold", "_metrics", "_reply", "_size", "_then", "loop")

    def __init__(self, reply: Reply, began: float, metrics: ServerMetrics, hold: Webhook, size: int) -> None:
        self._reply = reply
        self._began = began
        self._metrics = metrics
        self._hold = hold
        self._size = size
        self._then: Callable[[_Waiting, Any], None] | None = None
        self.loop = asyncio.get_running_loop()
        hold.held += size

    def bind(self, then: Callable[[_Waiting, Any], None]) -> _Waiting:
        """Give this object as the ledger's `done`."""
        self._then = then
        return self

    def __call__(self, result: Any) -> None:
        if self._then is not None:
            self._then(self, result)

    def finish(self, answer: Answer) -> None:
        """Count and reply."""
        self._hold.held -= self._size
        metrics = self._metrics
        metrics.deliveries[answer.outcome] += 1
        self._reply(answer)
        if answer.status == 202:
            metrics.ack.observe(time.perf_counter() - self._began)


class _Deadline:
    """Cancels the current task after some seconds: a third of the cost of `asyncio.timeout`."""

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


def _head(answer: Answer) -> list[tuple[bytes, bytes]]:
    return [*JSON, *EXTRA.get(answer.status, ()), (b"content-length", b"%d" % len(answer.body))]


EXTRA: Mapping[int, RawHeaders] = {status: asgi.raw(pairs) for status, pairs in answers.MORE.items()}
"""Headers that a status brings with it."""


async def _send(send: Send, answer: Answer, headers: RawHeaders, *, more: bool = False) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": more})
