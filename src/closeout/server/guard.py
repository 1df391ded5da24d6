"""`GET /guard`: answer a workflow that deploys previews; see `run.guard`.

The workflow's OIDC token proves which repository it runs in, so it can ask only about that repository's pull requests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import parse_qs

from closeout.core.errors import CloseoutError, Overloaded, TokenRefused
from closeout.run import guard
from closeout.server.asgi import JSON, Receive, Scope, Send, respond
from closeout.server.log import Log

Ask: TypeAlias = Callable[[str, int], guard.Answer]
"""Returns the answer to `(token, number)`. Raises `TokenRefused`; it may take as long as GitHub does."""

AT_ONCE = 4
"""Concurrent questions. A further one gets 503 at once, because there are few threads and `/readyz` needs one."""


class GuardEndpoint:
    """An ASGI application for the one path."""

    def __init__(self, ask: Ask, log: Log) -> None:
        self._ask = ask
        self._log = log
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an answer in every case; only 200 means "open"."""
        del receive
        try:
            status, body = guard.answered(await self._answer(*_question(scope)))
        except CloseoutError as error:
            if isinstance(error, TokenRefused):
                self._log.throttled("a question about a pull request is refused", reason=error.message)
            status, body = guard.refused(error)
        headers = (*JSON, (b"cache-control", b"no-store"))
        await respond(send, status, json.dumps(body).encode(), headers)

    async def _answer(self, token: str, number: int) -> guard.Answer:
        if self._turns.locked():
            raise Overloaded("too many questions at once; ask again")
        async with self._turns:
            return await asyncio.to_thread(self._ask, token, number)


def _question(scope: Scope) -> guard.GuardRequest:
    authorization = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return guard.read_question(scope["method"], authorization, query.get(guard.NUMBER, []))
