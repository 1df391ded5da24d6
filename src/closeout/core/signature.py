"""GitHub's signature over a delivery's raw body, checked in constant time against every active secret.

It has a module of its own because everything depends on it: nothing is decoded, stored or logged before `verify` returns.
The algorithm is never taken from the request, and SHA-1 (`X-Hub-Signature`) is not accepted.
Rule: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from closeout.core.errors import SecretError, Unauthorized

PREFIX = b"sha256="
_LENGTH = len(PREFIX) + 64
_HEX = b"0123456789abcdef"

MISSING = "it has no signature"
MALFORMED = "its signature is malformed"
TWO = "it has two signatures"
UNFIT = "its signature matches no active secret"
"""Why a request is refused. Only our own log says it; the sender learns nothing."""


def well_formed(header: bytes | None) -> bool:
    """Whether the header's value is `sha256=` and 64 lower-case hex digits, which can be checked before the body is read."""
    return (
        header is not None
        and len(header) == _LENGTH
        and header.startswith(PREFIX)
        and not header[len(PREFIX) :].translate(None, _HEX)
    )


def verify(body: bytes, header: bytes | None, secrets: Sequence[bytes]) -> None:
    """Raise `Unauthorized` unless `header` is the signature of exactly these bytes under one of the secrets.

    `body` is what came over the wire (a form is not decoded), `header` the value of `X-Hub-Signature-256`. Without a secret,
    or with an empty one, no body passes.
    """
    check = Check(secrets)
    check.update(body)
    check.verify(header)


class Check:
    """`verify` for a body that arrives in pieces."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # An empty secret is a key that everybody knows.
        self._hashes = [hmac.new(secret, digestmod="sha256") for secret in secrets if secret]

    def update(self, piece: bytes | bytearray) -> None:
        """Add the next piece."""
        for each in self._hashes:
            each.update(piece)

    def verify(self, header: bytes | None) -> None:
        """Raise `Unauthorized` unless `header` is the signature of all pieces under one of the secrets."""
        if header is None or not well_formed(header):
            raise Unauthorized(MALFORMED if header else MISSING)
        # All are compared, so that the time taken does not reveal which one matches.
        fits = [
            hmac.compare_digest(PREFIX + each.hexdigest().encode("ascii"), header) for each in self._hashes
        ]
        if True not in fits:
            raise Unauthorized(UNFIT)


def sign(body: bytes, secret: bytes) -> str:
    """Return the header's value for a body, as GitHub and `closeout deliver` send it.

    Raises `SecretError` for an empty secret: it is a key that everybody knows.
    """
    if not secret:
        raise SecretError("a webhook secret is empty: anybody could sign with it")
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()
