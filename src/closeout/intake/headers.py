"""Check a request's headers, size and form of the signature, before its body is read.

This is separate from the signature check because a rejection here needs no buffer and no HMAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from closeout.core import signature
from closeout.core.errors import BadDelivery, MethodNotAllowed, PayloadTooLarge, Unauthorized

MAX_BODY = 25 * 1024 * 1024
"""Bytes. GitHub caps payloads at 25 MB."""

SIGNATURE = b"x-hub-signature-256"
LENGTH = b"content-length"

TOO_LARGE = "The body is over 25 MB, the limit for GitHub's payloads."


def check_method(method: str) -> None:
    """Raise `MethodNotAllowed` for anything but POST."""
    if method != "POST":
        raise MethodNotAllowed("Only POST is allowed on this path.")


def check(raw_headers: Iterable[tuple[bytes, bytes]], limit: int = MAX_BODY) -> Mapping[bytes, bytes]:
    """Return the headers by lower-case name, or raise the error that they alone show.

    `raw_headers` are pairs as in ASGI, with names in lower case. Raises PayloadTooLarge for a Content-Length over
    `limit`, Unauthorized when the signature is missing, malformed or sent twice.
    """
    pairs = raw_headers if isinstance(raw_headers, list) else list(raw_headers)
    headers = dict(pairs)
    announced = headers.get(LENGTH)
    if announced is not None:
        _check_length(announced, limit)
    given = headers.get(SIGNATURE)
    if not signature.well_formed(given):
        raise Unauthorized(signature.MALFORMED if given else signature.MISSING)
    if len(headers) != len(pairs) and sum(name == SIGNATURE for name, _ in pairs) > 1:
        # Picking one of two would let a proxy check one signature and closeout the other.
        raise Unauthorized(signature.TWO)
    return headers


def _check_length(announced: bytes, limit: int) -> None:
    if not announced.isdigit():
        raise BadDelivery("Content-Length is not a number.")
    # More than 19 digits are too large; do not convert them to an integer first.
    if len(announced) > 19 or int(announced) > limit:
        raise PayloadTooLarge(TOO_LARGE)
