"""Plain HTTP to the demo's own servers, over the standard library, answers and errors alike as values.

The demo must not see closeout through closeout's own client.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 10.0


class TimedResponse(NamedTuple):
    """A status, the body, and how long it took."""

    status: int
    text: str
    milliseconds: float

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)


def request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> TimedResponse:
    """Send one request to a server of the demo. Raises `OSError` if nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        return TimedResponse(response.status, text, (time.perf_counter() - began) * 1000)
    finally:
        connection.close()


def call(method: str, url: str, value: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """Call a control API: JSON in, JSON out. Raises `RuntimeError` for anything but a 2xx."""
    body = None if value is None else json.dumps(value).encode()
    answer = request(method, url, body, {"Content-Type": "application/json", **(headers or {})})
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{method} {url}: {answer.status} {answer.text[:200]}")
    return answer.json if answer.text else None
