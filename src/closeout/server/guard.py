"""`GET /guard`: answer a workflow that deploys previews; see `run.guard`.

The workflow proves by its OIDC token which repository it runs in, so it can ask about pull requests of that one only.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import parse_qs

from closeout.core.errors import CloseoutError, MethodNotAllowed, Overloaded, TokenRefused, UsageError
from closeout.run.guard import Answer
from closeout.server.asgi import JSON, Receive, Scope, Send, respond
from closeout.server.log import Log

Ask: TypeAlias = Callable[[str, int], Answer]
"""Returns the answer to `(token, number)`. Raises `TokenRefused`; it may take as long as GitHub does."""

STATUSES = {"open": 200, "closed": 409, "unknown": 503}
AT_ONCE = 4
"""Questions under way; another one gets 503 at once, because threads are few and `/readyz` needs one."""


class GuardEndpoint:
    """An ASGI application for the one path."""

    def __init__(self, ask: Ask, log: Log) -> None:
        self._ask = ask
        self._log = log
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens; only 200 means "open"."""
        del receive
        try:
            token, number = _question(scope)
            answer = await self._answer(token, number)
        except CloseoutError as error:
            if isinstance(error, TokenRefused):
                self._log.seldom("a question about a pull request is refused", reason=error.message)
            status, body = error.status, {"error": error.code, "message": error.message}
        else:
            status, body = STATUSES[answer.verdict], {"verdict": answer.verdict, "reason": answer.sentence}
        headers = (*JSON, (b"cache-control", b"no-store"))
        await respond(send, status, json.dumps(body).encode(), headers)

    async def _answer(self, token: str, number: int) -> Answer:
        if self._under_way >= AT_ONCE:
            raise Overloaded("too many questions at once; ask again")
        self._under_way += 1
        try:
            return await asyncio.to_thread(self._ask, token, number)
        finally:
            self._under_way -= 1


def _question(scope: Scope) -> tuple[str, int]:
    """Read the token and the number. Raises `MethodNotAllowed`, `TokenRefused`, `UsageError`."""
    if scope["method"] != "GET":
        raise MethodNotAllowed("only GET is allowed on this path")
    given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    found = re.fullmatch(r"[Bb]earer ([A-Za-z0-9_.=-]+)", given)
    if found is None:
        raise TokenRefused("send a workflow's OIDC token as `Authorization: Bearer …`")
    numbers = parse_qs(scope["query_string"].decode("latin-1")).get("pull-request", [])
    if len(numbers) != 1 or not re.fullmatch(r"[1-9][0-9]{0,9}", numbers[0]):
        raise UsageError("name the pull request by its number: ?pull-request=17")
    return found[1], int(numbers[0])
