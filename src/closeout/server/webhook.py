"""The webhook path: verify a body, let `intake` decide, answer after the commit.

`closeout.intake` decides whether a request is valid; this module moves bytes. Nearly all deliveries are small, so a small body
needs no task and no wait. A large one is hashed on its way to the spool.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from closeout.core.errors import CloseoutError, Overloaded, Unauthorized
from closeout.core.records import Accepted
from closeout.core.signature import UNFIT
from closeout.intake import answers, headers
from closeout.intake.answers import Answer
from closeout.intake.headers import SIGNATURE
from closeout.ports import Incoming
from closeout.server.bodies import UnverifiedMemory
from closeout.server.head import Head
from closeout.server.metrics import ServerMetrics
from closeout.server.spool import Spool, Spooled

if TYPE_CHECKING:
    from closeout.server.parts import ServerParts
    from closeout.server.upload import Upload

Accept: TypeAlias = Callable[[Sequence[Incoming]], None]

PATH = "/webhook"


class Webhook:
    """`POST /webhook`. Of `parts`, `accept` calls each `done` from the ledger's own thread, and `refresh` may block."""

    def __init__(self, parts: ServerParts, metrics: ServerMetrics) -> None:
        self._receiver = parts.receiver
        self._parts = parts
        self._metrics = metrics
        self._log = parts.log
        self.limits = limits = parts.limits
        self._gathered: list[Incoming] = []
        self._committed: deque[tuple[_Waiting, Any]] = deque()
        self._waking = False
        # A thread of its own, so that deliveries do not wait for busy pages.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="closeout-secrets")
        self._refreshing: asyncio.Future[bool] | None = None
        self.waits_for_secrets: dict[Upload, tuple[Mapping[bytes, bytes], bytes, float]] = {}
        """Requests with small bodies that match no secret, waiting until the secrets have been read again."""
        self._looking: asyncio.Task[None] | None = None
        self.unverified = UnverifiedMemory(limits.memory_bytes)
        self.spool = Spool(limits, parts.receiver.check, parts.spool_file)
        self.held = 0
        """Bytes of verified bodies that wait for their commit."""

    def admit(self, head: Head) -> Mapping[bytes, bytes]:
        """Return the headers by name. Raises if the head alone shows that the request is invalid."""
        headers.check_method(head.method.decode("ascii"))
        return headers.check(head.headers, self.limits.body_bytes)

    def take(self, headers: Mapping[bytes, bytes], body: bytes, began: float, request: Upload) -> None:
        """Verify and store a complete small body. `began` is the `perf_counter` of the request's start.

        If the signature matches no secret, the request waits until the secrets have been read again.
        """
        try:
            self._receiver.verify(headers, body)
        except Unauthorized:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().create_task(self._look_again())
            self.waits_for_secrets[request] = headers, body, began
        else:
            self._store(headers, body, began, request)

    async def take_large(
        self, headers: Mapping[bytes, bytes], spooled: Spooled, began: float, request: Upload
    ) -> None:
        """Spool, verify and store a large body, or answer with its error."""
        try:
            await spooled.write()
            try:
                spooled.verify(headers.get(SIGNATURE))
            except Unauthorized:
                if not await self._secrets_changed():
                    raise
                await spooled.hash_again()
                spooled.verify(headers.get(SIGNATURE))
            request.verified()
            async with self.spool.turn:
                await self._store_large(headers, spooled, began, request)
        except Exception as error:  # noqa: BLE001 - the edge: every request must get an answer
            spooled.close()  # Before the answer, so that a refused body is not dropped, and refused, again.
            request.reply(self.refuse(error))
        finally:
            spooled.close()

    def refuse(self, error: Exception) -> Answer:
        """Count and log an error, and return its answer."""
        answer = self._answer_to(error)
        self._metrics.deliveries[answer.outcome] += 1
        return answer

    def disconnected(self) -> None:
        """Count a sender that disconnected before its body was complete."""
        self._metrics.deliveries["disconnected"] += 1

    async def _look_again(self) -> None:
        """Answer all requests that wait for the secrets, in one task: most of them are unauthenticated."""
        changed = await self._secrets_changed()
        while self.waits_for_secrets:
            # In the order of arrival, in which their runs queue for a key.
            request = next(iter(self.waits_for_secrets))
            headers, body, began = self.waits_for_secrets.pop(request)
            self.unverified.hold(request, 0)
            try:
                if changed:
                    self._receiver.verify(headers, body)
                    self._store(headers, body, began, request)
                else:
                    self._send(request.reply, self.refuse(Unauthorized(UNFIT)))
            except Exception as error:  # noqa: BLE001 - an error in one request must not block the others
                self._send(request.reply, self.refuse(error))

    def _send(self, reply: Callable[[Answer], None], answer: Answer) -> None:
        try:
            reply(answer)
        except Exception as error:  # noqa: BLE001 - an error in one connection must not block the others
            self._log.unexpected("an answer could not be sent", error)

    async def _store_large(
        self, headers: Mapping[bytes, bytes], spooled: Spooled, began: float, request: Upload
    ) -> None:
        """Store a body, which is in memory until its commit."""
        decision, size = await self._decide_large(headers, spooled)
        done = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            try:
                request.reply(answer)
            finally:  # or no further large body would ever get its turn
                if not done.done():
                    done.set_result(None)

        self._hand_over(decision, _Waiting(reply, began, size, asyncio.get_running_loop()))
        del decision
        await done
        self.unverified.used(size)

    async def _decide_large(self, headers: Mapping[bytes, bytes], spooled: Spooled) -> tuple[Any, int]:
        body = await spooled.read()
        return await self.spool.do(lambda: self._decide(headers, body)), len(body)

    def _store(self, headers: Mapping[bytes, bytes], body: bytes, began: float, request: Upload) -> None:
        request.verified()
        if self.held + len(body) > self.limits.held_bytes:
            request.reply(self.refuse(Overloaded("too many bodies wait for their commit")))
            return
        waiting = _Waiting(request.reply, began, len(body), asyncio.get_running_loop())
        self._hand_over(self._decide(headers, body), waiting)

    def _decide(self, headers: Mapping[bytes, bytes], body: bytes) -> Any:
        """Return the decision, or the answer if there is nothing to store. Never raises."""
        try:
            decision = self._receiver.decide(headers, body, self._parts.clock())
        except Exception as error:  # noqa: BLE001 - the edge: an unexpected error is logged and not sent
            return self._answer_to(error)
        return answers.PONG if decision.delivery is None else decision

    def _hand_over(self, decision: Any, waiting: _Waiting) -> None:
        """Queue the delivery for the ledger's next commit, or reply at once.

        All deliveries of one loop iteration are handed over together. One by one, the first of each iteration would get a
        commit of its own, and all others would wait for it.
        """
        self.held += waiting.size
        if isinstance(decision, Answer):
            self._finish(waiting, decision)
            return
        if not self._gathered:
            waiting.loop.call_soon(self._flush)
        self._gathered.append((decision.delivery, decision.runs, partial(self._on_committed, waiting)))

    def _flush(self) -> None:
        group, self._gathered = self._gathered, []
        try:
            self._parts.accept(group)
        except Exception as error:  # noqa: BLE001 - the edge: every request in the group must get an answer
            for _, _, done in group:
                done(error)

    def _on_committed(self, waiting: _Waiting, result: Any) -> None:
        """Queue the outcome of a commit for its answer, in the ledger's thread; several outcomes wake the loop once."""
        self._committed.append((waiting, result))
        if not self._waking:
            self._waking = True
            waiting.loop.call_soon_threadsafe(self._send_answers)

    def _send_answers(self) -> None:
        """Answer every request whose commit has ended, and start the new executions; on the loop."""
        self._waking = False
        started: list[str] = []
        committed = self._committed
        while committed:
            waiting, result = committed.popleft()
            if isinstance(result, Accepted):
                started += result.started
            self._finish(waiting, self._answer_to(result))
        if started:
            try:
                self._parts.started(started)
            except Exception as error:  # noqa: BLE001 - they are stored, so recovery finds them
                self._log.unexpected("the engine did not accept new runs", error)

    def _finish(self, waiting: _Waiting, answer: Answer) -> None:
        self.held -= waiting.size
        self._metrics.deliveries[answer.outcome] += 1
        self._send(waiting.reply, answer)
        if answer.status == 202:
            self._metrics.ack.observe(time.perf_counter() - waiting.began)

    def _answer_to(self, result: Any) -> Answer:
        """Return the answer to what the ledger accepted, or to an error, which is logged."""
        if isinstance(result, Accepted):
            return answers.accepted(result)
        if not isinstance(result, CloseoutError):
            self._log.unexpected("a delivery failed", result)
            return answers.FAILED
        if result.status >= 500:
            self._log.backed_off("a delivery was not taken", code=result.code, reason=result.message)
        else:
            self._log.backed_off("a request was refused: " + self._why(result))
        return answers.refused(result)

    async def _secrets_changed(self) -> bool:
        """Read the secrets again in a thread, once for all requests that wait; return whether they changed."""
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().run_in_executor(self._reader, self._parts.refresh)
            self._refreshing.add_done_callback(self._refreshed)
        try:
            return await asyncio.shield(self._refreshing)
        except CloseoutError as error:
            self._log.backed_off("the webhook secret cannot be read again", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the waiting requests must get an answer
            self._log.unexpected("the webhook secret cannot be read again", error)
        return False

    def _refreshed(self, _: asyncio.Future[bool]) -> None:
        self._refreshing = None

    def _why(self, error: CloseoutError) -> str:
        """Return one of a few fixed reasons: the log never holds text of a request."""
        if not isinstance(error, Unauthorized):
            return error.code
        secrets = self._parts.secrets
        return f"{error.why} ({secrets})" if error.why == UNFIT and secrets else error.why


class _Waiting(NamedTuple):
    """A request that waits for its commit."""

    reply: Callable[[Answer], None]
    began: float
    size: int
    loop: asyncio.AbstractEventLoop
