"""What GitHub's answers contain besides their content: the error, how long to wait, the page's tag and the next page.

This is separate from the client, which decides what to do about it.
"""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from closeout.ports import HttpAnswer, Json
from closeout.ports.patrol import Page

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="next"')


def page(answer: HttpAnswer, body: Json) -> Page:
    """Return an answer as one page of a list. Raises `ValueError` if it has no date."""
    headers = answer.headers
    following = _NEXT.search(headers.get("link", ""))
    return Page(
        body=body,
        unchanged=answer.status == 304,
        etag=headers.get("etag"),
        date=_date(headers.get("date")),
        next=dict(parse_qsl(urlsplit(following[1]).query)) if following else None,
        remaining=_count(headers.get("x-ratelimit-remaining")),
        limit=_count(headers.get("x-ratelimit-limit")),
        scopes=_scopes(headers.get("x-oauth-scopes")),
    )


def _date(text: str | None) -> int:
    try:
        return int(parsedate_to_datetime(text or "").timestamp())
    except (TypeError, ValueError, OverflowError):
        raise ValueError("the answer has no date") from None


def _count(text: str | None) -> int | None:
    number = seconds(text)
    return None if number is None else int(number)


def _scopes(text: str | None) -> tuple[str, ...] | None:
    """Return the scopes of a classic token (docs.github.com: "Scopes for OAuth apps"); a token may have none."""
    return None if text is None else tuple(scope.strip() for scope in text.split(",") if scope.strip())


def seconds(text: str | None) -> float | None:
    """Return a header's number of seconds, None for anything else."""
    return float(text) if text is not None and re.fullmatch(r"\d{1,12}", text.strip()) else None


def wanted(answer: HttpAnswer) -> str:
    """Name the right that the token lacks. GitHub states it, as `statuses=write`.

    https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
    """
    rights = answer.headers.get("x-accepted-github-permissions", "")
    if answer.status not in (403, 404) or not re.fullmatch(r"[a-z_=,; ]{1,200}", rights):
        return ""
    return f"; the token needs {rights.replace('=', ': ').replace(';', ' or')}"


def explain(answer: HttpAnswer) -> str:
    """Return GitHub's own message and its list of errors, at most 300 characters."""
    try:
        body: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "(no JSON answer)"
    if not isinstance(body, dict):
        return "(no message)"
    parts = [str(body.get("message", ""))]
    errors = body.get("errors")
    if isinstance(errors, list):
        parts += [
            error if isinstance(error, str) else json.dumps(error, ensure_ascii=False) for error in errors
        ]
    return " ".join("; ".join(parts).split())[:300]
