"""Slow plans that several visitors request, and forms that count once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from closeout.core.errors import DeadlinePassed, FormRefused, Overloaded
from closeout.server.pages.confirmations import FORM_SECONDS, MOST_READS, OneTimeForms, SlowReads


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene."""
    asyncio.run(scene)


class Slow:
    """Work that takes until it is told to end."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.calls = 0

    def __call__(self) -> int:
        """Return how often it was called."""
        self.calls += 1
        assert self.end.wait(10)
        return self.calls


def test_concurrent_requests_share_one_read() -> None:
    """After its result, the next request reads again, because the world changes."""

    async def scene() -> None:
        reads, slow = SlowReads(60.0), Slow()
        assert await reads.result("a", slow, 0.0) is None
        assert await reads.result("a", slow, 0.0) is None
        slow.end.set()
        assert await reads.result("a", slow, 10.0) == 1
        assert await reads.result("a", slow, 10.0) == 2

    play(scene())


def test_a_read_has_a_limit_and_an_error() -> None:
    """After the limit nobody waits for it any more; what it raises reaches whoever asks."""

    async def scene() -> None:
        reads, slow = SlowReads(0.0), Slow()
        with pytest.raises(DeadlinePassed, match="did not answer"):
            await reads.result("a", slow, 0.01)
        slow.end.set()

        def fails() -> int:
            raise FormRefused("no")

        with pytest.raises(FormRefused):
            await reads.result("b", fails, 10.0)

    play(scene())


def test_no_more_reads_at_once_than_the_limit() -> None:
    """Threads that hang are bounded."""

    async def scene() -> None:
        reads, slow = SlowReads(60.0), Slow()
        for number in range(MOST_READS):
            assert await reads.result(number, slow, 0.0) is None
        with pytest.raises(Overloaded):
            await reads.result("one more", slow, 0.0)
        slow.end.set()
        assert await reads.result(0, slow, 10.0) is not None
        assert await reads.result("one more", slow, 10.0) is not None

    play(scene())


def test_a_result_that_was_never_fetched_expires() -> None:
    """It makes room, and is not shown later."""

    async def scene() -> None:
        reads = SlowReads(0.0)
        for number in range(MOST_READS):
            with suppress(DeadlinePassed):
                await reads.result(number, lambda: "old", 0.0)
        while not all(read.result.done() for read in reads._reads.values()):
            await asyncio.sleep(0)
        assert await reads.result(0, lambda: "new", 10.0) == "new"

    play(scene())


class Requests:
    """What a form makes."""

    def __init__(self) -> None:
        self.made = 0
        self.error: Exception | None = None
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        """Make one."""
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.made += 1
        return self.made


def test_a_form_makes_one_request_and_an_error_none() -> None:
    """Also if the first sender leaves before the answer."""

    async def scene() -> None:
        forms, requests = OneTimeForms(lambda: 0.0), Requests()
        value = forms.value("form")
        first = asyncio.ensure_future(forms.once("form", value, requests))
        await asyncio.sleep(0)
        first.cancel()
        requests.go.set()
        assert await forms.once("form", value, requests) == 1
        assert await forms.once("form", value, requests) == 1
        other = forms.value("form")
        requests.error = FormRefused("the plan has changed")
        with pytest.raises(FormRefused, match="changed"):
            await forms.once("form", other, requests)
        requests.error = None
        assert await forms.once("form", other, requests) == 2

    play(scene())


@pytest.mark.parametrize("value", ["", ".", "x", "9999999999.a.b", "é.é.é", "99.\x00.\ud800"])
def test_an_invented_value_is_refused(value: str) -> None:
    """Whatever it looks like."""

    async def scene() -> None:
        forms, requests = OneTimeForms(lambda: 0.0), Requests()
        requests.go.set()
        with pytest.raises(FormRefused):
            await forms.once("form", value, requests)
        assert requests.made == 0

    play(scene())


def test_a_value_ends_after_an_hour_and_with_its_process() -> None:
    """An old confirmation confirms nothing."""

    async def scene() -> None:
        now = [0.0]
        forms, requests = OneTimeForms(lambda: now[0]), Requests()
        requests.go.set()
        value = forms.value("form")
        for refuses, at in ((OneTimeForms(lambda: 0.0), 0.0), (forms, FORM_SECONDS)):
            now[0] = float(at)
            with pytest.raises(FormRefused, match="Open its page again"):
                await refuses.once("form", value, requests)
        assert requests.made == 0

    play(scene())


def test_an_error_that_was_never_fetched_is_not_logged() -> None:
    """The visitor has left; asyncio would log a traceback."""
    said: list[object] = []
    slow, before = Slow(), set(threading.enumerate())

    def fail() -> int:
        slow()
        raise Overloaded("no")

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(context))
        reads = SlowReads(60.0)
        assert await reads.result("a", fail, 0.0) is None
        slow.end.set()
        await asyncio.wait([reads._reads["a"].result])
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        reads._reads.clear()
        gc.collect()

    play(scene())
    assert said == []
