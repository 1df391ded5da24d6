"""A workflow's token counts only if GitHub signed it, for this closeout, and it has not expired."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from closeout.adapters.oidc import FRESH, SOONEST, WorkflowTokens, issuer_of
from closeout.core.errors import ServiceError, TokenRefused
from closeout.ports import HttpAnswer
from closeout.testing.durable import FakeClock
from tests.unit.adapters.workflow import AUDIENCE, OTHER, OURS, public_key, token

ISSUER = "https://token.actions.githubusercontent.com"


class Issuer:
    """`ports.Http` that answers with these keys."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys: Any = {"keys": list(keys)}
        self.status = 200
        self.asked: list[str] = []

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
        self.asked.append(f"{method} {url}")
        return HttpAnswer(self.status, {}, json.dumps(self.keys).encode())


def tokens(issuer: Issuer | None = None, clock: FakeClock | None = None) -> WorkflowTokens:
    """What verifies tokens of GitHub for `AUDIENCE`."""
    known = issuer or Issuer(public_key("ours", OURS))
    return WorkflowTokens(ISSUER, lambda: AUDIENCE, known, clock or FakeClock())


def test_a_token_that_github_signed_for_us_gives_its_claims() -> None:
    """Signature, issuer, audience and time are right; the keys are read once."""
    issuer = Issuer(public_key("ours", OURS))
    verified = tokens(issuer)
    claims = verified.claims(token(ISSUER))
    assert (claims["repository"], claims["repository_id"]) == ("acme/shop", "501001")
    verified.claims(token(ISSUER))
    assert issuer.asked == [f"GET {ISSUER}/.well-known/jwks"]


NOW = time.time()
UNSIGNED = jwt.encode({"iss": ISSUER, "aud": AUDIENCE}, "", algorithm="none", headers={"kid": "ours"})


@pytest.mark.parametrize(
    "forged",
    [
        token(ISSUER, key=OTHER),
        token(ISSUER, kid="unknown"),
        token("https://token.actions.example.com"),
        token(ISSUER, aud="https://github.com/acme"),
        token(ISSUER, aud=f"{AUDIENCE}/"),
        token(ISSUER, exp=NOW - 3600),
        token(ISSUER, nbf=NOW + 3600),
        token(ISSUER, repository_id=None),
        token(ISSUER, repository=None),
        token(ISSUER, exp=None),
        token(ISSUER, aud=None),
        UNSIGNED,
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE}, "a" * 64, algorithm="HS256", headers={"kid": "ours"}),
        token(ISSUER)[:-8],
        "a.b.c",
        "",
        "x" * 20_000,
    ],
)
def test_every_other_token_is_refused(forged: str) -> None:
    """Another key, issuer or audience, another time, another algorithm, claims that are missing, and no token at all."""
    with pytest.raises(TokenRefused):
        tokens().claims(forged)


def test_a_key_that_github_added_is_read_but_not_for_every_made_up_name() -> None:
    """GitHub rotates its keys; anybody may invent the name of one."""
    issuer, clock = Issuer(public_key("old", OTHER)), FakeClock()
    verified = tokens(issuer, clock)
    for _ in range(3):
        with pytest.raises(TokenRefused):
            verified.claims(token(ISSUER))
    assert len(issuer.asked) == 1
    issuer.keys = {"keys": [public_key("ours", OURS)]}
    clock.advance(SOONEST + 1)
    verified.claims(token(ISSUER))
    clock.advance(FRESH + 1)
    issuer.keys = {"keys": [public_key("ours", OTHER)]}
    with pytest.raises(TokenRefused):  # that key is no longer GitHub's
        verified.claims(token(ISSUER))
    assert len(issuer.asked) == 3


@pytest.mark.parametrize("keys", [None, [], {}, {"keys": None}, {"keys": []}, {"keys": [{"kty": "RSA"}]}])
def test_keys_that_cannot_be_read_are_unknown_and_not_a_wrong_token(keys: Any) -> None:
    """The caller hears that it may ask again; GitHub is not asked for each."""
    issuer, clock = Issuer(), FakeClock()
    issuer.keys = keys
    verified = tokens(issuer, clock)
    for _ in range(3):
        with pytest.raises(ServiceError, match="no keys"):
            verified.claims(token(ISSUER))
    assert len(issuer.asked) == 1
    issuer.keys, issuer.status = {"keys": [public_key("ours", OURS)]}, 500
    clock.advance(SOONEST + 1)
    with pytest.raises(ServiceError, match="500"):
        verified.claims(token(ISSUER))


@pytest.mark.parametrize(
    ("api", "issuer"),
    [
        ("https://api.github.com", ISSUER),
        ("https://ghes.example.org/api/v3", "https://ghes.example.org/_services/token"),
        ("https://api.acme.ghe.com", "https://token.actions.acme.ghe.com"),
    ],
)
def test_the_issuer_follows_from_the_api(api: str, issuer: str) -> None:
    """GitHub, an Enterprise Server, and Enterprise Cloud with data residency."""
    assert issuer_of(api) == issuer
