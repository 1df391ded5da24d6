"""Who asks a page or the JSON API, and what they may do: the one place that decides it.

A visitor has a session (a cookie, made by a link of `closeout open` that works once) or a token of `closeout token create`
(a bearer token). The ledger keeps digests of both, so whoever reads the ledger cannot sign in with what it reads there,
and an end holds from the next request on. A Details link is no credential: it opens its run and nothing else (`details`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from closeout.core.errors import CodeRefused, FormRefused
from closeout.ports import Credentials
from closeout.ports.access import ACT, SESSION

COOKIE = "closeout_session"
LOGIN = "/login"
CODE_SECONDS = 600.0
"""How long a link of `closeout open` works."""
SESSION_SECONDS = 8 * 3600.0
SIGN_IN = (
    "Sign in: run `closeout open` on the machine of this server, and open the link that it prints."
    " A program sends a token of `closeout token create` as `Authorization: Bearer TOKEN`."
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Visitor(NamedTuple):
    """Somebody whose session or token holds."""

    name: str
    right: str
    number: int
    """Of the credential."""
    form_token: str | None
    """What each form of this session carries. None for a bearer token, which no foreign page can make a browser send."""
    paused: str | None = None
    """Who paused destructive calls, and why: every page of a visitor says it."""

    @property
    def may_act(self) -> bool:
        """Whether they may rerun, cancel, replay, clean, pause and resume."""
        return self.right == ACT


class Access:
    """Checks credentials and makes sessions. Called in threads, because it reads the ledger.

    `key` is the ledger's own, that of Details links; `base_url` the public URL of this server, if it is known.
    """

    def __init__(
        self, key: bytes, store: Credentials, clock: Callable[[], float], base_url: str | None = None
    ) -> None:
        self._key = key
        self._store = store
        self._clock = clock
        self._base = urlsplit(base_url or "")
        self.base_url = self._base.geturl()
        self.base_path = self._base.path.rstrip("/")

    def visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        """Return who asks, None for nobody. Raises `StoreUnavailable` or `LedgerError`."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer"
        secret = given.strip() if bearer else _cookie(headers)
        if not secret:
            return None
        found = self._store.find(digest(secret))
        if found is None or not found.holds(self._clock()) or (found.kind == SESSION) == bearer:
            return None
        token = None if bearer else self._form_token(secret)
        return Visitor(found.name, found.right, found.id, token)

    def sign_in(self, code: str, headers: Mapping[str, str]) -> str:
        """Use a link's code up; return the `Set-Cookie` header of the session. Raises `CodeRefused`."""
        name, right = self._open_code(code)
        if not self._encrypted(headers):
            raise CodeRefused(
                "Browsers keep this session only over HTTPS or on the server's own machine. Open the link there: over"
                " HTTPS, or at 127.0.0.1 through an SSH tunnel."
            )
        secret = secrets.token_urlsafe(32)
        added = self._store.add(
            SESSION,
            name,
            right,
            digest(secret),
            expires_at=self._clock() + SESSION_SECONDS,
            code=digest(code),
        )
        if not added:
            raise CodeRefused(f"This link was used already: it works once. {_ANOTHER}")
        return self._set_cookie(secret, int(SESSION_SECONDS), headers)

    def sign_out(self, visitor: Visitor, headers: Mapping[str, str]) -> str:
        """End the session; return the `Set-Cookie` header that removes its cookie."""
        self._store.end(visitor.number)
        return self._set_cookie("", 0, headers)

    def check_form(self, visitor: Visitor, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """Raise `FormRefused` unless a page of this server made the visitor's browser send the form."""
        if visitor.form_token is None:
            return
        given = form.get("form_token", "")
        if self._from_elsewhere(headers) or not hmac.compare_digest(
            given.encode("utf-8", "replace"), visitor.form_token.encode()
        ):
            raise FormRefused("This form does not belong to your session. Open its page again and repeat.")

    def _open_code(self, code: str) -> tuple[str, str]:
        parts = code.split(".")
        signature = parts.pop()
        text = ".".join(parts)
        expected = _signature(self._key, "sign in", text)
        if len(parts) != 4 or not hmac.compare_digest(
            expected.encode(), signature.encode("utf-8", "replace")
        ):
            raise CodeRefused(f"This server did not make this link. {_ANOTHER}")
        expires, right, name, _ = parts
        if self._clock() >= int(expires):
            raise CodeRefused(f"This link has expired: it works for ten minutes. {_ANOTHER}")
        return base64.urlsafe_b64decode(name + "==").decode(), right

    def _form_token(self, secret: str) -> str:
        return _signature(self._key, "form", digest(secret))

    def _from_elsewhere(self, headers: Mapping[str, str]) -> bool:
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return True
        origin = headers.get("origin")
        # A proxy may put its own name for this server into Host.
        return origin is not None and urlsplit(origin).netloc not in (headers.get("host"), self._base.netloc)

    def _encrypted(self, headers: Mapping[str, str]) -> bool:
        """Whether the browser will send a session back: over HTTPS, or over loopback without it."""
        return (
            _is_loopback(headers)
            or self._base.scheme == "https"
            or headers.get("x-forwarded-proto", "") == "https"
        )

    def _set_cookie(self, secret: str, seconds: int, headers: Mapping[str, str]) -> str:
        secure = "" if _is_loopback(headers) else "; Secure"
        path = self.base_path or "/"
        return f"{COOKIE}={secret}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


_ANOTHER = "Make another one with `closeout open` on the machine of this server."


def login_link(base_url: str, key: bytes, name: str, now: float, *, right: str = ACT) -> str:
    """Return a URL that signs `name` in once, within ten minutes. `now` is in seconds since the epoch."""
    who = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    text = f"{int(now + CODE_SECONDS)}.{right}.{who}.{secrets.token_urlsafe(16)}"
    code = f"{text}.{_signature(key, 'sign in', text)}"
    return f"{base_url.rstrip('/')}{LOGIN}?{urlencode({'code': code})}"


def digest(secret: str) -> str:
    """Return what the ledger keeps of a secret. All are long and random, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _is_loopback(headers: Mapping[str, str]) -> bool:
    """Whether the browser talks to this machine itself, without a proxy. A proxy's HTTPS ends elsewhere."""
    host = urlsplit("//" + headers.get("host", "")).hostname
    return host in _LOOPBACK and "x-forwarded-proto" not in headers


def _signature(key: bytes, purpose: str, text: str) -> str:
    signed = hmac.digest(key, f"closeout {purpose}\n{text}".encode(), "sha256")
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
