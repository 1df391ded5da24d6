"""ASGI types, and a function that sends a small answer.

Starlette has both, but importing it takes 30 ms, so it is loaded with the first page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, TypeAlias

from closeout.intake import answers

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]


def raw(headers: Iterable[tuple[str, str]]) -> RawHeaders:
    """Return headers in ASGI's form."""
    return tuple((name.encode(), value.encode()) for name, value in headers)


JSON = raw(answers.HEADERS)


def first_lines(status: int, headers: RawHeaders) -> bytes:
    """Return the first lines of an answer."""
    lines = b"".join(b"%b: %b\r\n" % (name.lower(), value) for name, value in headers)
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), lines)


@cache
def first_json_lines(status: int) -> bytes:
    """Return the first lines of an answer on the webhook path."""
    return first_lines(status, (*JSON, *raw(answers.MORE.get(status, ()))))


async def respond(send: Send, status: int, body: bytes, headers: RawHeaders = JSON) -> None:
    """Send a complete answer with its length."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})
