"""Tokens as GitHub gives them to workflow runs, and the keys that sign them."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "https://closeout.example.com"
OURS, OTHER = (generate_private_key(65537, 2048) for _ in range(2))


def public_key(kid: str, key: RSAPrivateKey) -> dict[str, Any]:
    """A JSON Web Key of this name."""
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", "alg": "RS256"}


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
    return jwt.encode(kept, key, algorithm="RS256", headers={"kid": kid})
