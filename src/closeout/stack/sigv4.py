"""AWS Signature Version 4, pure: a request in, the headers that sign it out.

closeout's own, because the receiver on AWS starts three times faster without an SDK. Tests compare it with AWS's published
examples and with botocore's signer.
Rule: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_WHOLE = tuple(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256))


class Credentials(NamedTuple):
    """A role's credentials. Their text form hides the keys, so that no log shows them."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        """Return a text without the keys."""
        return "Credentials(…)"


class Request(NamedTuple):
    """A request to be signed, without a query. `headers` are those that are signed."""

    method: str
    path: str
    """As it is sent: percent-encoded, without `.`, `..` and empty segments, which AWS's services take out."""
    headers: Mapping[str, str]
    """`host` among them, names in lower case."""
    body: bytes


def encode(text: str, safe: str = "") -> str:
    """Percent-encode text as AWS wants it: everything but letters, digits, `-._~` and what is `safe`."""
    return "".join(
        chr(byte) if chr(byte) in safe else _WHOLE[byte] for byte in text.encode("utf-8", "surrogatepass")
    )


def sign(request: Request, credentials: Credentials, *, service: str, region: str, at: str) -> dict[str, str]:
    """Return the headers to be added: `x-amz-date`, `authorization` and, with temporary keys, `x-amz-security-token`.

    `at` is the time as `YYYYMMDDTHHMMSSZ`. For S3 the body's digest is a header as well.
    """
    digest = hashlib.sha256(request.body).hexdigest()
    added = {"x-amz-date": at}
    if credentials.token:
        added["x-amz-security-token"] = credentials.token
    if service == "s3":
        added["x-amz-content-sha256"] = digest
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    names, canonical = _canonical(request, {**request.headers, **added}, service, digest)
    text = f"{ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(
        _key(credentials.secret_key, at[:8], region, service), text.encode(), "sha256"
    ).hex()
    added["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return added


def _canonical(request: Request, headers: Mapping[str, str], service: str, digest: str) -> tuple[str, str]:
    """Return the names of the signed headers, and the canonical request."""
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    path = request.path if service == "s3" else encode(request.path, "/")
    head = "".join(f"{name}:{value}\n" for name, value in lines)
    return names, f"{request.method}\n{path}\n\n{head}\n{names}\n{digest}"


def _key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
