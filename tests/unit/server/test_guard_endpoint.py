"""`GET /guard`: only 200 means that a deploy may begin."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from typing import Any

import pytest

from closeout.core.errors import TokenRefused
from closeout.run.guard import Answer
from closeout.server.guard import AT_ONCE, GuardEndpoint
from closeout.server.log import Log

QUERY = b"pull-request=17"


def scope(method: str = "GET", query: bytes = QUERY, authorization: bytes | None = b"Bearer a.b.c") -> Any:
    """A request as the server hands it over."""
    headers = [(b"authorization", authorization)] if authorization is not None else []
    return {"type": "http", "method": method, "path": "/guard", "query_string": query, "headers": headers}


async def answered(endpoint: GuardEndpoint, request: Any) -> tuple[int, Any]:
    """The status and the body of the answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    await endpoint(request, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def ask(answer: Answer | None, request: Any, log: Log | None = None) -> tuple[int, Any]:
    """The answer of an endpoint whose guard says this; None: it refuses the token."""

    def guard(token: str, number: int) -> Answer:
        assert (token, number) == ("a.b.c", 17)
        if answer is None:
            raise TokenRefused("the token is refused: it has expired")
        return answer

    return asyncio.run(answered(GuardEndpoint(guard, log or Log()), request))


@pytest.mark.parametrize(("verdict", "status"), [("open", 200), ("closed", 409), ("unknown", 503)])
def test_each_verdict_has_a_status(verdict: Any, status: int) -> None:
    """Curl --fail passes on 200 only."""
    assert ask(Answer(verdict, "why"), scope()) == (status, {"verdict": verdict, "reason": "why"})


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (scope(authorization=None), 401),
        (scope(authorization=b"Basic abc"), 401),
        (scope(authorization=b"Bearer a b"), 401),
        (scope(query=b""), 400),
        (scope(query=b"pull-request=0"), 400),
        (scope(query=b"pull-request=17&pull-request=18"), 400),
        (scope(query=b"pull-request=17&pull-request="), 400),
        (scope(query=b"pull-request=acme/shop%2317"), 400),
        (scope("POST"), 405),
    ],
)
def test_other_requests_are_refused_before_anything_is_asked(request_: Any, status: int) -> None:
    """In the one shape of errors."""
    found, body = ask(None, request_)
    assert found == status
    assert set(body) == {"error", "message"}


def test_a_token_that_is_refused_is_401() -> None:
    """With a reason: it is the workflow's author who reads it. The operator reads it in the log; other refusals are not there."""
    written = io.StringIO()
    assert ask(None, scope(), Log(stream=written)) == (
        401,
        {"error": "token-refused", "message": "the token is refused: it has expired"},
    )
    reason = "a question about a pull request is refused reason=the token is refused: it has expired\n"
    assert written.getvalue().endswith(f"closeout: {reason}")
    lines = len(written.getvalue())
    ask(None, scope(query=b""), Log(stream=written))
    assert len(written.getvalue()) == lines


def test_questions_beyond_a_few_are_answered_at_once() -> None:
    """They would take the threads that other paths need."""
    release = threading.Event()

    def slow(_token: str, _number: int) -> Answer:
        assert release.wait(30)
        return Answer("open", "")

    async def crowd() -> list[int]:
        endpoint = GuardEndpoint(slow, Log())
        waiting = [asyncio.create_task(answered(endpoint, scope())) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        extra, body = await answered(endpoint, scope())
        assert body["error"] == "overloaded"
        release.set()
        return [extra, *[(await task)[0] for task in waiting]]

    assert asyncio.run(crowd()) == [503] + [200] * AT_ONCE
