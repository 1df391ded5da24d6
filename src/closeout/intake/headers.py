"""What the headers alone decide: size and signature form, before a byte of the body is read.

It stands apart from the signature check because a refusal here costs nothing: no buffer, no HMAC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from closeout.core import signature
from closeout.core.errors import BadDelivery, MethodNotAllowed, PayloadTooLarge, Unauthorized

MAX_BODY = 25 * 1024 * 1024
"""Bytes. GitHub never delivers a payload over 25 MB."""

SIGNATURE = b"x-hub-signature-256"
LENGTH = b"content-length"

TOO_LARGE = "The body is over 25 MB, and GitHub delivers nothing of that size."


def check_method(method: str) -> None:
    """Raise `MethodNotAllowed` for anything but POST."""
    if method != "POST":
        raise MethodNotAllowed("This path takes POST only.")


def check(raw_headers: Iterable[tuple[bytes, bytes]], limit: int = MAX_BODY) -> Mapping[bytes, bytes]:
    """Return the headers by lower-case name, or raise what they alone show to be wrong.

    `raw_headers` are pairs as ASGI has them, names in lower case. Raises PayloadTooLarge for an announced size
    over `limit`, Unauthorized when the signature is missing, malformed or sent twice.
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
        # Which of two is meant is the sender's secret; to pick one would let a proxy's and ours differ.
        raise Unauthorized(signature.TWO)
    return headers


def _check_length(announced: bytes, limit: int) -> None:
    if not announced.isdigit():
        raise BadDelivery("Content-Length is not a number.")
    # Longer than 19 digits is too large without being turned into an integer.
    if len(announced) > 19 or int(announced) > limit:
        raise PayloadTooLarge(TOO_LARGE)
