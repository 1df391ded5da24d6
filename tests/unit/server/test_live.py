"""The stream of a run's page: what it sends, when it ends, and how many there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from closeout.core import ids
from closeout.core.errors import StoreUnavailable
from closeout.ports import LogLine
from closeout.ports.access import READ
from closeout.server import details
from closeout.server.access import Visitor
from closeout.server.pages import live
from closeout.server.pages.live import LiveRuns
from closeout.server.pages.presentation import subject
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.run_page import Shown
from tests.contract.http.page_world import NOW, World, step

RENDERER = Renderer()
LINK = details.Link("x", 1, False, "q")


def shown(
    state: str, *numbers: int, left_out: int = 0, log: bool = True, step_state: str = "running"
) -> Shown:
    """Return a run with log lines of these ids."""
    world = World()
    verdict = "success" if state == "finished" else None
    run = world.run(*ids.parse_execution(world.add("a", state, verdict, steps=(step("one", step_state),))))
    assert run is not None
    lines = [LogLine(number, "one", NOW, f"line {number}") for number in numbers]
    return Shown(run, subject({}), None, lines, left_out=left_out, log=log)


class Stage:
    """Streams over what a test says is read next, with a clock that moves by an hour when it is told to."""

    def __init__(self, *reads: Any, clock: Callable[[], float] = lambda: NOW) -> None:
        self.reads = list(reads)
        self.asked: list[int | None] = []
        self.draining = asyncio.Event()
        self.live = LiveRuns(self._load, RENDERER, clock, self.draining)
        self.visitor: Visitor | None = None

    def _load(self, link: details.Link, after: int | None) -> Any:
        assert link == LINK
        self.asked.append(after)
        read = self.reads.pop(0)
        if isinstance(read, Exception):
            raise read
        return read

    async def response(self, after: str = "", header: str | None = None) -> Any:
        """Ask for a stream."""
        headers = [] if header is None else [(b"last-event-id", header.encode())]
        scope = {
            "type": "http",
            "query_string": f"after={after}".encode() if after else b"",
            "headers": headers,
        }
        return await self.live.response(Request(scope), LINK, self.visitor)

    async def events(self, **asked: Any) -> list[str]:
        """Return the whole stream, shortened to what each event is."""
        answer = await self.response(**asked)
        assert isinstance(answer, StreamingResponse)
        found = [str(piece) async for piece in answer.body_iterator]
        assert self.live._open == 0
        return [_short(piece) for piece in found]


def _short(piece: str) -> str:
    name = piece.partition("event: ")[2].partition("\n")[0]
    if name != "log":
        return name or piece.strip()
    lines = [number for number in range(1, 20) if f"line {number}<" in piece or f"line {number}\\n" in piece]
    return f"log to {piece.partition('id: ')[2].partition(chr(10))[0]}: {lines}"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the ledger without a pause."""
    monkeypatch.setattr(live, "EVERY", 0.0)


def test_a_stream_sends_what_the_page_lacks_and_ends_with_the_run() -> None:
    """Lines once each, where the run stands when that changes, and the end."""

    async def scene() -> None:
        stage = Stage(
            shown("running", 1, 2),
            shown("running"),
            StoreUnavailable("away"),
            None,
            shown("running", 3),
            shown("finished", step_state="success"),
        )
        events = await stage.events(after="1")
        assert [event.partition(":")[0] for event in events] == [
            "retry",
            "log to 2",
            "standing",
            "log to 3",
            "standing",
            "standing",
            "end",
        ]
        assert stage.asked == [None, 2, 2, 2, 2, 3]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("after", "header", "first"), [("", None, 2), ("x", None, 2), ("1", None, 2), ("1", "2", None)]
)
def test_a_stream_goes_on_after_the_last_line_that_was_seen(
    after: str, header: str | None, first: int | None
) -> None:
    """A browser that connects again says it in a header; nonsense is the beginning."""

    async def scene() -> None:
        events = await Stage(shown("finished", 1, 2)).events(after=after, header=header)
        logs = [event for event in events if event.startswith("log")]
        assert [log.partition(":")[0] for log in logs] == ([] if first is None else ["log to 2"])

    asyncio.run(scene())


def test_a_page_that_missed_much_catches_up_window_by_window() -> None:
    """From its last line, although the run has ended; the newest window is not sent before those in between."""

    async def scene() -> None:
        stage = Stage(
            shown("finished", 8, 9, left_out=7),
            shown("finished", 2, 3, left_out=6),
            shown("finished", 4, 5, left_out=0),
        )
        events = await stage.events(after="1")
        assert [event.partition(":")[0] for event in events if event.startswith(("log", "end"))] == [
            "log to 3",
            "log to 5",
            "end",
        ]
        assert stage.asked == [None, 1, 3]

    asyncio.run(scene())


def test_a_log_that_is_not_shown_is_not_sent() -> None:
    """Neither its lines nor a step's last one."""

    async def scene() -> None:
        stage = Stage(shown("running", 1, log=False), shown("finished", 2, log=False))
        answer = await stage.response()
        pieces = [str(piece) async for piece in answer.body_iterator]
        assert not [piece for piece in pieces if "line 1" in piece or "line 2" in piece]
        assert stage.asked == [None, 1]

    asyncio.run(scene())


def test_a_stream_ends_after_a_while_and_when_the_server_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page opens another one."""

    async def scene() -> None:
        times = iter([NOW, NOW, NOW + live.LONGEST + 1])
        late = Stage(shown("running"), clock=lambda: next(times))
        assert [event.partition(":")[0] for event in await late.events()] == ["retry", "standing"]
        monkeypatch.setattr(live, "EVERY", 60.0)
        drained = Stage(shown("running"))
        answer = await drained.response()
        drained.draining.set()
        assert len([piece async for piece in answer.body_iterator]) == 2

    asyncio.run(scene())


def test_a_stream_of_a_session_ends_sooner() -> None:
    """The page asks for another, which is refused once the session has ended."""

    async def scene() -> None:
        times = iter([NOW, NOW, NOW + live.CHECKED + 1])
        stage = Stage(shown("running"), clock=lambda: next(times))
        stage.visitor = Visitor("ada@desk", READ, 1, "token")
        assert await stage.events() == ["retry: 3000", "standing"]

    asyncio.run(scene())


def test_streams_are_limited_and_none_begins_while_the_server_drains() -> None:
    """A page without a stream reloads itself."""

    async def scene() -> None:
        stage = Stage(None, shown("running"))
        assert await stage.response() is None
        stage.live._open = live.MAX_STREAMS - 1
        answer = await stage.response()
        assert answer.status_code == 200
        assert answer.headers["x-accel-buffering"] == "no"
        stage.live._open = live.MAX_STREAMS
        refused = await stage.response()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        stage.live._open = 0
        stage.draining.set()
        assert (await stage.response()).status_code == 503

    asyncio.run(scene())


def test_streams_that_begin_at_the_same_time_are_limited() -> None:
    """Each asked while there was a place, and read the ledger meanwhile."""

    async def scene() -> None:
        stage = Stage(shown("running"), shown("running"))
        stage.live._open = live.MAX_STREAMS - 1
        first, second = [(await stage.response()).body_iterator for _ in range(2)]
        assert await anext(first) == "retry: 3000\n\n"
        assert [piece async for piece in second] == []
        assert stage.live._open == live.MAX_STREAMS
        await first.aclose()
        assert stage.live._open == live.MAX_STREAMS - 1

    asyncio.run(scene())
