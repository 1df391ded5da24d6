"""HTTP for steps, which may call any host.

A configuration may call anybody's server, so this client is more careful than GitHub's: metadata addresses are
refused, secret headers are sent only to their own origin, and answers are limited to one megabyte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from closeout.core.errors import InputError, ServiceError
from closeout.core.url import Url, parse
from closeout.ports import HttpAnswer

if TYPE_CHECKING:
    from closeout.adapters.transport import Transport

ANSWER_LIMIT = 1_000_000
MAX_REDIRECTS = 3

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t\x80-\xff]*")


class HttpClient:
    """Implements `ports.Http`. Safe to use from many threads."""

    def __init__(self) -> None:
        self._transport: Transport | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        secret_headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request and return the answer, of any status.

        A redirect is followed within the origin only (307 and 308 verbatim; 301, 302 and 303 of a GET or HEAD);
        any other is the answer. Raises `InputError` for a URL or header that cannot be sent, `ServiceError`
        without an answer.
        """
        secret = dict(secret_headers or {})
        _check({**headers, **secret})
        parsed = parse(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send(method, parsed, {**headers, **secret}, body, timeout)
            target = parsed.redirected(answer.headers.get("location"))
            if not _repeats(method, answer.status) or target is None:
                return answer
            parsed = target
        raise _error(method, parsed, "redirect", f"more than {MAX_REDIRECTS} redirects", transient=False)

    def _send(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> HttpAnswer:
        from closeout.adapters.transport import NoAnswer, Transport  # noqa: PLC0415 - TLS when first needed

        self._transport = self._transport or Transport()
        sent = {"User-Agent": "closeout", **headers}
        try:
            return self._transport.send(
                method, url, headers=sent, body=body, timeout=timeout, limit=ANSWER_LIMIT
            )
        except NoAnswer as error:
            raise _error(method, url, error.reason, str(error), transient=error.transient) from None


def _check(headers: Mapping[str, str]) -> None:
    """Refuse headers that http.client would refuse with an error that quotes the value."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is not the name of a header")
        if not _VALUE.fullmatch(value):
            raise InputError(f"the value of the header {name} has characters that a header cannot carry")


def _repeats(method: str, status: int) -> bool:
    return status in (307, 308) or (status in (301, 302, 303) and method in ("GET", "HEAD"))


def _error(method: str, url: Url, reason: str, text: str, *, transient: bool) -> ServiceError:
    operation = f"{method} {url.shown}"
    return ServiceError(
        f"{operation}: {text}", service="http", operation=operation, reason=reason, transient=transient
    )
