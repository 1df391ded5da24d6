"""A workflow's token is accepted only if GitHub signed it for this closeout and it has not expired."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from closeout.adapters.oidc import FRESH, LONGEST, SOONEST, WorkflowTokens, issuer_of
from closeout.core.errors import ServiceError, TokenRefused, Unavailable
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
    """The verifier of GitHub's tokens for `AUDIENCE`."""
    known = issuer or Issuer(public_key("ours", OURS))
    return WorkflowTokens(ISSUER, lambda: AUDIENCE, known, clock or FakeClock())


def test_a_valid_token_yields_its_claims() -> None:
    """Signature, issuer, audience and time are right; the keys are read once."""
    issuer = Issuer(public_key("ours", OURS))
    verified = tokens(issuer)
    claims = verified.claims(token(ISSUER))
    assert (claims["repository"], claims["repository_id"]) == ("acme/shop", "501001")
    verified.claims(token(ISSUER))
    assert issuer.asked == [f"GET {ISSUER}/.well-known/jwks"]


NOW = time.time()


def headed(header: bytes) -> str:
    """A token with this header and an empty signature."""
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.e30.c2ln"


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
        headed(b"[" * 12_000),
        headed(b'{"alg":"RS256","kid":' + b"1" * 9_000 + b"}"),
        headed(b'{"alg":["RS256"],"kid":"ours"}'),
        headed(b'{"alg":"RS256","kid":["ours"]}'),
        headed(b'{"alg":"RS256","kid":"ours","b64":false,"crit":["b64"]}'),
        headed(b'{"alg":"RS256","kid":"ours","crit":["' + b"x" * 8_000 + b'"]}'),
        headed(b'{"alg":"RS256","kid":"\\ud800"}'),
        headed(b"\xff"),
    ],
)
def test_every_other_token_is_refused(forged: str) -> None:
    """Another key, issuer or audience, another time, another algorithm, missing claims, and no token at all."""
    with pytest.raises(TokenRefused) as refused:
        tokens().claims(forged)
    assert len(refused.value.message) <= 200


def test_the_length_of_a_token_is_limited() -> None:
    """A longer one is refused before any of it is decoded."""
    spare = LONGEST - len(token(ISSUER, pad=""))
    pad = next(n for n in range(spare * 3 // 4 - 3, spare) if len(token(ISSUER, pad="x" * n)) >= LONGEST)
    longest = token(ISSUER, pad="x" * pad)
    assert len(longest) == LONGEST
    assert tokens().claims(longest)["pad"] == "x" * pad
    with pytest.raises(TokenRefused, match="the token is too long"):
        tokens().claims(token(ISSUER, pad="x" * (pad + 1)))


def test_without_the_optional_package_no_token_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what to install; the token is not at fault."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(Unavailable, match=r"install closeout\[guard\]"):
        tokens().claims(token(ISSUER))


def test_new_keys_are_read_but_not_for_every_invented_name() -> None:
    """GitHub rotates its keys; anyone can invent the name of one."""
    issuer, clock = Issuer(public_key("old", OTHER)), FakeClock()
    verified = tokens(issuer, clock)
    for _ in range(3):
        with pytest.raises(TokenRefused):
            verified.claims(token(ISSUER))
    assert len(issuer.asked) == 1
    issuer.keys = {"keys": [public_key("ours", OURS)]}
    clock.advance(SOONEST)
    with pytest.raises(TokenRefused):
        verified.claims(token(ISSUER))
    clock.advance(1)
    verified.claims(token(ISSUER))
    issuer.keys = {"keys": [public_key("ours", OTHER)]}
    clock.advance(FRESH)
    verified.claims(token(ISSUER))
    assert len(issuer.asked) == 2
    clock.advance(1)
    with pytest.raises(TokenRefused):  # GitHub has withdrawn that key
        verified.claims(token(ISSUER))
    assert len(issuer.asked) == 3


def test_a_key_in_the_token_is_ignored() -> None:
    """Neither a key nor an address of keys in the header counts: only the issuer's keys verify."""
    issuer = Issuer(public_key("ours", OURS))
    mine = public_key("ours", OTHER)
    for header in ({"jwk": mine}, {"jku": "https://example.com/jwks"}, {"x5u": "https://example.com/cert"}):
        claims = jwt.decode(token(ISSUER), options={"verify_signature": False})
        forged = jwt.encode(claims, OTHER, algorithm="RS256", headers={"kid": "ours", **header})
        with pytest.raises(TokenRefused):
            tokens(issuer).claims(forged)
    assert set(issuer.asked) == {f"GET {ISSUER}/.well-known/jwks"}


def test_an_outage_of_github_does_not_extend_a_keys_life() -> None:
    """A thief of a withdrawn key must not gain from an outage; the keys are read again within a minute."""
    issuer, clock = Issuer(public_key("ours", OURS)), FakeClock()
    verified = tokens(issuer, clock)
    verified.claims(token(ISSUER))
    issuer.status = 502
    clock.advance(FRESH + 1)
    for _ in range(2):
        with pytest.raises(ServiceError, match="502"):
            verified.claims(token(ISSUER))
    assert len(issuer.asked) == 2
    issuer.status = 200
    clock.advance(SOONEST + 1)
    verified.claims(token(ISSUER))


def test_an_invented_key_during_an_outage_does_not_lose_the_others() -> None:
    """Fresh keys stay, whatever a stranger asks for."""
    issuer, clock = Issuer(public_key("ours", OURS)), FakeClock()
    verified = tokens(issuer, clock)
    verified.claims(token(ISSUER))
    issuer.status = 502
    clock.advance(FRESH)
    with pytest.raises(ServiceError, match="502"):
        verified.claims(token(ISSUER, kid="made-up"))
    verified.claims(token(ISSUER))


@pytest.mark.parametrize("keys", [None, [], {}, {"keys": None}, {"keys": []}, {"keys": [{"kty": "RSA"}]}])
def test_unreadable_keys_are_an_outage_and_not_a_wrong_token(keys: Any) -> None:
    """The caller learns that it may ask again; GitHub is not asked each time."""
    issuer, clock = Issuer(), FakeClock()
    issuer.keys = keys
    verified = tokens(issuer, clock)
    for _ in range(3):
        with pytest.raises(ServiceError, match="no keys") as unread:
            verified.claims(token(ISSUER))
        assert unread.value.transient
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
        ("https://api.example.org/v3", "https://api.example.org/_services/token"),
        ("https://acme.ghe.com/api/v3", "https://acme.ghe.com/_services/token"),
    ],
)
def test_the_issuer_follows_from_the_api(api: str, issuer: str) -> None:
    """For GitHub, an Enterprise Server, and Enterprise Cloud with data residency."""
    assert issuer_of(api) == issuer
