"""Requests that wait for others: for the secrets, and for the turn of a large body."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from closeout.core.records import Accepted
from closeout.intake.answers import Answer
from closeout.intake.headers import SIGNATURE
from closeout.intake.receiver import Receiver
from closeout.ports import Incoming
from closeout.server import bodies
from closeout.server.bodies import Limits
from closeout.server.log import Log
from closeout.server.metrics import ServerMetrics
from closeout.server.spool import Spooled
from closeout.server.upload import Upload
from closeout.server.webhook import Webhook
from closeout.testing import deliveries
from tests.unit.server.wire import server_parts

SECRET = b"sixteen letters, and more"
BODY = deliveries.encode(deliveries.pull_request())


class Sender(Upload):
    """A request, and what it learns; with `broken` its answer cannot be sent."""

    def __init__(self, *, broken: bool = False) -> None:
        self.answers: list[int] = []
        self._broken = broken

    def verified(self) -> None:
        """Nothing to do."""

    def reply(self, answer: Answer, *, close: bool = False) -> None:
        """Note the answer, or fail."""
        del close
        if self._broken:
            raise RuntimeError("a defect")
        self.answers.append(answer.status)

    def pause(self) -> None:
        """Nothing to do."""

    def resume(self) -> None:
        """Nothing to do."""

    def evict(self) -> None:
        """Nothing to do."""


class Rotating:
    """A webhook that knows the old secret until it reads the secrets again, and a ledger that takes everything."""

    def __init__(self, *, changes: bool = True) -> None:
        self.stored: list[str] = []
        self._changes = changes
        self._secrets: Sequence[bytes] = (b"the old one of sixteen",)
        parts = server_parts(
            receiver=Receiver((), (), lambda: self._secrets),
            accept=self._accept,
            refresh=self._refresh,
            log=Log(stream=io.StringIO()),
        )
        self.webhook = Webhook(parts, ServerMetrics())

    def _refresh(self) -> bool:
        self._secrets = (SECRET,)
        return self._changes

    def _accept(self, group: Sequence[Incoming]) -> None:
        for delivery, _, done in group:
            self.stored.append(delivery.guid)
            done(Accepted(len(self.stored), (), False, ()))


def headers(guid: str) -> dict[bytes, bytes]:
    """Return the headers of a signed delivery."""
    signed = deliveries.signed_headers("pull_request", BODY, SECRET, guid)
    return {name.lower().encode(): value.encode() for name, value in signed.items()}


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_deliveries_that_wait_for_the_secrets_are_stored_in_the_order_of_arrival() -> None:
    """Their runs queue in that order: closed, then reopened."""
    guids = [f"g-{number}" for number in range(5)]

    async def deliver() -> list[str]:
        rotating = Rotating()
        for guid in guids:
            rotating.webhook.take(headers(guid), BODY, 0.0, Sender())
        assert len(rotating.webhook.waits_for_secrets) == 5
        await until(lambda: len(rotating.stored) == 5)
        return rotating.stored

    assert asyncio.run(deliver()) == guids


def test_an_answer_that_cannot_be_sent_leaves_the_others_theirs() -> None:
    """One task answers all that wait for the secrets."""

    async def deliver() -> list[int]:
        rotating = Rotating(changes=False)
        last = Sender()
        for sender in (Sender(broken=True), last):
            rotating.webhook.take(headers("g-1"), BODY, 0.0, sender)
        await until(lambda: not rotating.webhook.waits_for_secrets)
        return last.answers

    assert asyncio.run(deliver()) == [401]


def test_a_large_body_whose_answer_cannot_be_sent_gives_up_its_turn() -> None:
    """Only one large body is in memory at a time, so the next one would wait for ever."""

    async def deliver() -> list[int]:
        webhook = Rotating().webhook
        last = Sender()
        for sender in (Sender(broken=True), last):
            spooled = webhook.spool.open(sender, bytearray())
            spooled.feed(BODY, last=True)
            with contextlib.closing(spooled):
                await large(webhook, spooled, sender)
        webhook.spool.close()
        return last.answers

    async def large(webhook: Webhook, spooled: Spooled, sender: Sender) -> None:
        async with asyncio.timeout(5):
            await webhook.take_large(headers("g-1"), spooled, 0.0, sender)

    assert asyncio.run(deliver()) == [202]


def webhook(
    log: io.StringIO,
    *,
    secrets: Callable[[], Sequence[bytes]] = lambda: (SECRET,),
    accept: Callable[[Sequence[Incoming]], None] = lambda _group: None,
    refresh: Callable[[], bool] = lambda: False,
    started: Callable[[Sequence[str]], None] = lambda _executions: None,
    clock: Callable[[], float] = lambda: 0.0,
    **limits: int,
) -> Webhook:
    """Return a webhook with one part that a test chooses."""
    parts = server_parts(
        receiver=Receiver((), (), secrets),
        accept=accept,
        refresh=refresh,
        started=started,
        log=Log(stream=log, hold_seconds=0.0),
        limits=Limits(**limits),
        clock=clock,
    )
    return Webhook(parts, ServerMetrics())


def fails(*_: Any) -> Any:
    """Stand for a part with a defect."""
    raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("broken", "status", "outcome", "logged"),
    [
        ({"accept": fails}, 500, "internal-error", "a delivery failed: RuntimeError"),
        ({"clock": fails}, 500, "internal-error", "a delivery failed: RuntimeError"),
        (
            {"secrets": lambda: (b"another of sixteen",), "refresh": fails},
            401,
            "unauthorized",
            "the webhook secret cannot be read again: RuntimeError",
        ),
        ({"held_bytes": len(BODY) - 1}, 503, "overloaded", "a delivery was not taken code=overloaded"),
    ],
)
def test_every_request_gets_an_answer_whatever_fails(
    broken: dict[str, Any], status: int, outcome: str, logged: str
) -> None:
    """It is counted once, the log says what failed, and nothing is held any more."""
    log = io.StringIO()

    async def deliver() -> tuple[list[int], Webhook]:
        receiving, sender = webhook(log, **broken), Sender()
        receiving.take(headers("g-1"), BODY, 0.0, sender)
        await until(lambda: sender.answers)
        return sender.answers, receiving

    answers, receiving = asyncio.run(deliver())
    assert answers == [status]
    assert receiving._metrics.deliveries == {outcome: 1}
    assert logged in log.getvalue()
    assert receiving.held == 0


@pytest.mark.parametrize(
    ("broken", "status", "outcome"),
    [
        ({"secrets": lambda: (b"another of sixteen",), "refresh": fails}, 401, "unauthorized"),
        ({"secrets": lambda: (b"another of sixteen",)}, 401, "unauthorized"),
        ({"clock": fails}, 500, "internal-error"),
    ],
)
def test_a_large_body_gets_an_answer_whatever_fails(
    broken: dict[str, Any], status: int, outcome: str
) -> None:
    """And the next one its turn."""

    async def deliver() -> list[int]:
        receiving, sender = webhook(io.StringIO(), **broken), Sender()
        for _ in range(2):
            spooled = receiving.spool.open(sender, bytearray())
            spooled.feed(BODY, last=True)
            async with asyncio.timeout(5):
                await receiving.take_large(headers("g-1"), spooled, 0.0, sender)
        receiving.spool.close()
        assert receiving._metrics.deliveries == {outcome: 2}
        assert (receiving.held, receiving.spool.files) == (0, 0)
        return sender.answers

    assert asyncio.run(deliver()) == [status] * 2


def test_secrets_are_read_again_each_time_that_one_does_not_match() -> None:
    """A second rotation counts as the first one did."""
    reads: list[int] = []

    def refresh() -> bool:
        reads.append(1)
        return False

    async def deliver() -> list[int]:
        receiving, sender = webhook(io.StringIO(), refresh=refresh), Sender()
        for number in (1, 2):
            receiving.take(headers("g-1") | {SIGNATURE: b"sha256=" + b"0" * 64}, BODY, 0.0, sender)
            await until(lambda: len(sender.answers) == number)  # noqa: B023 - it is awaited in the same round
        return sender.answers

    assert asyncio.run(deliver()) == [401, 401]
    assert len(reads) == 2


def test_a_large_body_that_no_new_secret_matches_is_refused() -> None:
    """That the secrets have changed is no proof of anything."""
    active = [b"the old one of sixteen"]
    stored: list[Sequence[Incoming]] = []

    def refresh() -> bool:
        active[:] = [b"a new one of sixteen"]
        return True

    async def deliver() -> list[int]:
        receiving = webhook(io.StringIO(), secrets=lambda: active, refresh=refresh, accept=stored.append)
        sender = Sender()
        spooled = receiving.spool.open(sender, bytearray(BODY))
        spooled.feed(b"", last=True)
        await receiving.take_large(headers("g-1"), spooled, 0.0, sender)
        receiving.spool.close()
        return sender.answers

    assert asyncio.run(deliver()) == [401]
    assert stored == []


def test_a_large_body_that_is_refused_has_left_the_spool_by_then() -> None:
    """Whoever takes its room makes it give way no more, so it is refused once."""

    async def deliver() -> list[int]:
        receiving = webhook(io.StringIO(), spool_files=1)

        class Next(Sender):
            def reply(self, answer: Answer, *, close: bool = False) -> None:
                super().reply(answer, close=close)
                receiving.spool.open(Sender(), bytearray()).close()

            def evict(self) -> None:
                self.answers.append(503)

        sender = Next()
        spooled = receiving.spool.open(sender, bytearray(BODY))
        spooled.feed(b"", last=True)
        await receiving.take_large({}, spooled, 0.0, sender)
        receiving.spool.close()
        return sender.answers

    assert asyncio.run(deliver()) == [401]


def test_memory_goes_back_to_the_system_after_a_large_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was in memory as a whole."""
    returned: list[int] = []
    monkeypatch.setattr(bodies, "TRIM_FROM", len(BODY) - 1)
    monkeypatch.setattr(bodies, "return_freed_memory", lambda: returned.append(1))

    async def deliver() -> list[int]:
        receiving, sender = Rotating().webhook, Sender()
        receiving.unverified.trim()
        assert returned == []
        spooled = receiving.spool.open(sender, bytearray(BODY))
        spooled.feed(b"", last=True)
        await receiving.take_large(headers("g-1"), spooled, 0.0, sender)
        receiving.unverified.trim()
        receiving.spool.close()
        return sender.answers

    assert asyncio.run(deliver()) == [202]
    assert returned == [1]


def test_an_answer_stands_although_the_engine_fails() -> None:
    """The runs are stored, and recovery finds them."""
    log = io.StringIO()
    woken: list[Sequence[str]] = []

    def accept(group: Sequence[Incoming]) -> None:
        for number, (_, _, done) in enumerate(group):
            done(Accepted(number + 1, (), False, (f"run-{number}-1",)))

    def started(executions: Sequence[str]) -> None:
        woken.append([*executions])
        fails()

    async def deliver() -> list[int]:
        receiving = webhook(log, accept=accept, started=started, held_bytes=3 * len(BODY))
        senders = [Sender(broken=True), Sender(), Sender()]
        began = time.perf_counter() - 1000
        for sender in senders:
            receiving.take(headers("g-1"), BODY, began, sender)
        await until(lambda: senders[-1].answers and woken)
        assert receiving._metrics.deliveries == {"accepted": 3}
        assert 3000 < receiving._metrics.ack._sum < 4500
        assert receiving.held == 0
        return senders[1].answers + senders[2].answers

    assert asyncio.run(deliver()) == [202, 202]
    assert woken == [["run-0-1", "run-1-1", "run-2-1"]]
    assert "the engine did not accept new runs: RuntimeError" in log.getvalue()
    assert "an answer could not be sent: RuntimeError" in log.getvalue()
