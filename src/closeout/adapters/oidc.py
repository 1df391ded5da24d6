"""Verify the token that GitHub gives a workflow run, so that a deploy can ask without a stored secret.

A token is trusted because of its signature alone, which is checked with the issuer's keys, fetched over TLS. PyJWT and
cryptography are an optional extra (`closeout[guard]`), and are imported with the first token, because they take 22 MB of memory.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from closeout.core.errors import ServiceError, TokenRefused, Unavailable
from closeout.core.runs import clip
from closeout.core.url import parse_base
from closeout.ports import Clock, Http

OF_GITHUB = "https://token.actions.githubusercontent.com"
KEYS_PATH = "/.well-known/jwks"
FRESH = 3600.0
"""Seconds for which the issuer's keys are used before they are fetched again."""
SOONEST = 60.0
"""Seconds between two fetches, so that tokens with invented key ids do not make closeout call GitHub each time."""
LEEWAY = 30
"""Seconds by which GitHub's clock and this one may differ."""
LONGEST = 16_384
"""Characters of a token; GitHub's have about 2,000."""
LONGEST_REASON = 200
"""Characters of a refusal, which is limited because PyJWT quotes parts of the stranger's token."""
CLAIMS = ("exp", "iat", "iss", "aud", "repository", "repository_id")


def issuer_of(api_url: str) -> str:
    """Return the issuer of workflow tokens for the GitHub with this API URL.

    https://docs.github.com/en/actions/reference/security/oidc and the same page for GitHub Enterprise Server.
    """
    api = parse_base(api_url)
    if api.host == "api.github.com":
        return OF_GITHUB
    if api.host.startswith("api.") and api.host.endswith(".ghe.com"):
        return f"https://token.actions.{api.host.removeprefix('api.')}"
    return f"{api.origin}/_services/token"


@dataclass
class WorkflowTokens:
    """Verifies tokens of one issuer. `audience` is the one that a workflow must request its token for."""

    issuer: str
    audience: Callable[[], str]
    http: Http
    clock: Clock

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Mapping[str, Any] = {}
        self._asked = float("-inf")
        self._failure: ServiceError | None = None

    def claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token whose signature, issuer, audience and time are valid.

        Raises `TokenRefused`; `ServiceError` when the issuer's keys cannot be read; `Unavailable` without the extra.
        """
        try:
            import jwt  # noqa: PLC0415 - optional, and 22 MB
        except ImportError:
            raise Unavailable(
                "install closeout[guard]: without PyJWT no workflow's token can be verified"
            ) from None
        if len(token) > LONGEST:
            raise TokenRefused("the token is too long")
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self.audience(),
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": list(CLAIMS)},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(clip(f"the token is refused: {error}", LONGEST_REASON)) from None
        return claims

    def _key(self, name: str) -> Any:
        """Return one of the issuer's keys. They are fetched again if this one is missing or too old."""
        with self._lock:
            age = self.clock.now() - self._asked
            if age > FRESH or (name not in self._keys and age > SOONEST):
                self._asked, self._failure = self.clock.now(), None
                try:
                    self._keys = self._fetch()
                except ServiceError as error:
                    self._failure = error
                    if age > FRESH:
                        self._keys = {}  # GitHub may have withdrawn one of them
            if name in self._keys:
                return self._keys[name]
            raise self._failure or TokenRefused("the token is refused: GitHub has no key of this name")

    def _fetch(self) -> Mapping[str, Any]:
        """Read the issuer's keys for signatures with RS256."""
        import jwt  # noqa: PLC0415 - as above

        url = self.issuer + KEYS_PATH
        answer = self.http.request(
            "GET", url, headers={"Accept": "application/json"}, body=None, timeout=10.0
        )
        keys: dict[str, Any] = {}
        if answer.status == 200:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
                listed = [key for key in json.loads(answer.body)["keys"] if key["kty"] == "RSA"]
                keys = {str(key["kid"]): jwt.PyJWK(key, "RS256").key for key in listed}
        if not keys:
            raise ServiceError(
                f"GET {url}: {answer.status}, and the answer has no keys",
                service="github-oidc",
                operation=f"GET {url}",
                reason="unusable-answer",
                transient=True,
            )
        return keys
