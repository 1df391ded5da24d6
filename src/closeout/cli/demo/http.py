"""Plain HTTP to the demo's own servers, over the standard library, answers and errors alike as values.

The demo must not see closeout through closeout's own client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 10.0


class Answer(NamedTuple):
    """A status and the body."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


def request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request to a server of the demo. Raises `OSError` if nothing answers."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read().decode("utf-8", "replace"))


def call(method: str, url: str, value: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Call a control API: JSON in, JSON out. Raises `RuntimeError` for anything but a 2xx."""
    body = None if value is None else json.dumps(value).encode()
    answer = request(method, url, body, {"Content-Type": "application/json", **(headers or {})})
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{method} {url}: {answer.status} {answer.text[:200]}")
    return answer.json if answer.text else None
