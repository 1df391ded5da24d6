"""Tokens like GitHub's for workflow runs, and the keys that sign them: made without PyJWT, which verifies them."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

AUDIENCE = "https://closeout.example.com"
OURS, OTHER = (generate_private_key(65537, 2048) for _ in range(2))


def public_key(kid: str, key: RSAPrivateKey) -> dict[str, Any]:
    """A JSON Web Key of this name."""
    numbers = key.public_key().public_numbers()
    modulus, exponent = (
        part.to_bytes((part.bit_length() + 7) // 8, "big") for part in (numbers.n, numbers.e)
    )
    named = {"kid": kid, "use": "sig", "alg": "RS256"}
    return {"kty": "RSA", "n": _encode(modulus), "e": _encode(exponent), **named}


def token(issuer: str, *, key: RSAPrivateKey = OURS, kid: str = "ours", **claims: Any) -> str:
    """A token of a workflow in acme/shop; a claim of None is left out."""
    now = time.time()
    whole = {
        "iss": issuer,
        "aud": AUDIENCE,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + 300,
        "repository": "acme/shop",
        "repository_id": "501001",
        **claims,
    }
    kept = {name: value for name, value in whole.items() if value is not None}
    return signed({"alg": "RS256", "typ": "JWT", "kid": kid}, kept, key)


def signed(header: dict[str, Any], claims: dict[str, Any], key: RSAPrivateKey) -> str:
    """A token with this header, signed with RS256 whatever its `alg`."""
    text = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_encode(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
