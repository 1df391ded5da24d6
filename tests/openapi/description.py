"""Hold what went over the wire against GitHub's own OpenAPI description.

It checks both sides: that the client's requests are ones that GitHub takes, and that the fake's answers have the
fields and types that GitHub gives. The description does not know every limit (a status's 140 characters).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

SITE = "https://api.github.com"


@lru_cache(maxsize=1)
def description() -> OpenAPI:
    """Return the cut description."""
    return OpenAPI.from_dict(json.loads(Path(__file__).with_name("github.json").read_text()))


def check(requests: Iterable[Mapping[str, Any]]) -> int:
    """Check every request of FakeGitHub's journal, and each good answer (but a fault's). Raises openapi-core's errors."""
    checked = 0
    for entry in requests:
        if entry["path"] == "/graphql":  # has a description of its own
            continue
        request = _request(entry)
        description().validate_request(request)
        checked += 1
        if "answer" in entry and 200 <= entry["status"] < 300 and entry["status"] != 204:
            answer = MockResponse(
                json.dumps(entry["answer"]).encode(), entry["status"], content_type="application/json"
            )
            description().validate_response(request, answer)
    return checked


def _request(entry: Mapping[str, Any]) -> MockRequest:
    path = entry["path"]
    head, ref, rest = path.partition("/git/ref/")
    if ref:
        # In the description {ref} is one segment; on the wire its slashes stand as they are.
        path = head + ref + quote(rest, safe="")
    body = json.dumps(entry["body"]).encode() if entry["method"] in ("POST", "PATCH", "PUT") else None
    return MockRequest(
        SITE,
        entry["method"].lower(),
        path,
        args=entry["query"],
        headers=entry["headers"],
        data=body,
        content_type=entry["headers"].get("content-type", "application/json"),
    )
