"""GitHub's signature over a delivery's raw body: checked in constant time, every active secret tried.

It stands alone because everything depends on it: nothing is decoded, stored or logged before `verify` returns. The
algorithm is never taken from the request, and SHA-1 (`X-Hub-Signature`) is not accepted.
Rule: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence

from closeout.core.errors import SecretError, Unauthorized

PREFIX = b"sha256="
_LENGTH = len(PREFIX) + 64
_HEX = b"0123456789abcdef"

MISSING = "it has no signature"
MALFORMED = "its signature is malformed"
TWO = "it has two signatures"
UNFIT = "its signature matches no active secret"
"""Why a request is not let in: for our own log, since a sender is told nothing."""


def checked_secrets(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the secrets as a tuple, for `verify`; raise `SecretError` for none, or for one that is empty.

    An empty secret is a key that everybody knows, so it is an error of the set-up and never "no check".
    """
    secrets = tuple(values)
    if not secrets:
        raise SecretError("no webhook secret is configured: without one anybody could send deliveries")
    if not all(secrets):
        raise SecretError("a webhook secret is empty: anybody could sign with it")
    return secrets


def well_formed(header: bytes | None) -> bool:
    """Whether the header's value is `sha256=` and 64 lower-case hex digits: decidable before the body is read."""
    return (
        header is not None
        and len(header) == _LENGTH
        and header.startswith(PREFIX)
        and not header[len(PREFIX) :].translate(None, _HEX)
    )


def verify(body: bytes, header: bytes | None, secrets: Sequence[bytes]) -> None:
    """Raise `Unauthorized` unless `header` is the signature of exactly these bytes under one of the secrets.

    `body` is what came over the wire (a form stays a form), `header` the value of `X-Hub-Signature-256`. No secret,
    or an empty one, verifies nothing.
    """
    check = Check(secrets)
    check.update(body)
    check.verify(header)


class Check:
    """`verify` for a body that comes in pieces."""

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
        # All are compared, so that the time taken does not tell which one fits.
        fits = [
            hmac.compare_digest(PREFIX + each.hexdigest().encode("ascii"), header) for each in self._hashes
        ]
        if True not in fits:
            raise Unauthorized(UNFIT)


def sign(body: bytes, secret: bytes) -> str:
    """Return the header's value for a body: what GitHub sends, and `closeout deliver` too."""
    checked_secrets((secret,))
    return "sha256=" + hmac.digest(secret, body, "sha256").hex()
