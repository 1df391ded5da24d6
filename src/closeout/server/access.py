"""Authenticate requests to the pages and the JSON API, and decide what each visitor may do.

A visitor has a session (a cookie, created by a link of `closeout open` that works once) or a token of `closeout token create`
(a bearer token). The ledger keeps digests of both, and ending one takes effect at the next request. Both are signed with the
ledger's own key, so a forged one is refused without a read of the ledger. A Details link is not a credential: it opens only
its run (`details`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from closeout.core.errors import CodeRefused, FormRefused
from closeout.ports import Credential, Credentials
from closeout.ports.access import ACT, SESSION, TOKEN
from closeout.server.details import sign

COOKIE = "closeout_session"
"""The cookie's name over loopback HTTP. Over HTTPS it has a prefix, which stops other hosts of a domain from setting it."""
LOGIN = "/login"
CODE_SECONDS = 600.0
"""How long a link of `closeout open` works."""
SESSION_SECONDS = 8 * 3600.0
PAGE_SECONDS = 1800.0
"""How long a browser remembers the page to return to after sign-in."""
CLOCK_SLACK = 60.0
"""Tolerated difference between two reads of the clock, in seconds. Beyond it, the clock counts as set back."""
SIGN_IN = (
    "Sign in: run `closeout open` on the machine of this server, and open the link that it prints."
    " A program sends a token of `closeout token create` as `Authorization: Bearer TOKEN`."
)
SIGN_IN_PAGE = (
    "Run `closeout open` on the machine of this server, and open the link that it prints. It works once, and signs you in"
    " for eight hours."
)
_BEGIN = "closeout_"
"""The prefix of each secret, by which people and scanners recognize it as closeout's."""
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?", re.ASCII | re.IGNORECASE)
_PROXIED = ("x-forwarded-proto", "x-forwarded-for", "forwarded", "x-real-ip", "via")


class PresentedSecret(NamedTuple):
    """A secret signed with this ledger's key, and its kind: `session` or `token`."""

    kind: str
    secret: str


class Visitor(NamedTuple):
    """A person or program with a valid session or token."""

    name: str
    right: str
    number: int
    """The number of the credential."""
    form_token: str | None
    """The value in each form of this session. None for a bearer token, which no foreign page can make a browser send."""
    paused: str | None = None
    """Who paused destructive calls, and why. Every page shows it."""
    problems: int = 0
    """The number of open problems that the pages show."""

    @property
    def may_act(self) -> bool:
        """Whether the visitor may rerun, cancel, replay, clean, pause and resume."""
        return self.right == ACT


class Access:
    """Checks credentials and creates sessions. Methods that read the ledger are called in threads.

    `key` is the ledger's own, which also signs Details links; `base_url` is the public URL of this server, if it is known.
    `clock` must be the system's, because `closeout open` sets the expiry of links by it.
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

    def presented(self, headers: Mapping[str, str]) -> PresentedSecret | None:
        """Return the secret in a request; None unless this ledger's key signed one. Does not read the ledger."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip()
        # A proxy that authenticates people may pass on a token of its own.
        bearer = scheme.lower() == "bearer" and given.startswith(_BEGIN)
        found = PresentedSecret(TOKEN if bearer else SESSION, given if bearer else self._cookie(headers))
        random, _, signature = found.secret.rpartition(".")
        return found if _matches(sign(self._key, found.kind, random), signature) else None

    def visitor(self, presented: PresentedSecret) -> Visitor | None:
        """Return the visitor with this secret; None if it is no longer valid. Raises `StoreUnavailable` or `LedgerError`."""
        found = self._store.find(digest(presented.secret))
        if found is None or found.kind != presented.kind or not self._holds(found):
            return None
        token = self._form_token(presented.secret) if found.kind == SESSION else None
        return Visitor(found.name, found.right, found.id, token)

    def sign_in(self, code: str, headers: Mapping[str, str]) -> str:
        """Use a link's code up; return the `Set-Cookie` header of the session. Raises `CodeRefused`."""
        name, right = self._open_code(code)
        if not self._encrypted(headers):
            raise CodeRefused(
                "Browsers keep this session only over HTTPS or on the server's own machine. Open the link there: over"
                " HTTPS, or at 127.0.0.1 through an SSH tunnel."
            )
        secret = new_secret(self._key, SESSION)
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
        return self._session_cookie(secret, int(SESSION_SECONDS), headers)

    def sign_out(self, visitor: Visitor, headers: Mapping[str, str]) -> str:
        """End the session; return the `Set-Cookie` header that removes its cookie."""
        self._store.end(visitor.number)
        return self._session_cookie("", 0, headers)

    def login_cookie(self, name: str, value: str, headers: Mapping[str, str]) -> str:
        """Return the `Set-Cookie` header of a value that is sent only to `/login`; an empty value removes it."""
        seconds = int(PAGE_SECONDS) if value else 0
        return _set_cookie(name, value, f"{self.base_path}{LOGIN}", seconds, headers)

    def check_form(self, visitor: Visitor, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """Raise `FormRefused` unless a page of this server made the visitor's browser send the form."""
        if visitor.form_token is None:
            return
        if self._from_elsewhere(headers):
            raise FormRefused(
                "This form came from another address than this server's. Behind a proxy that changes Host, set"
                " `public-url`."
            )
        if not _matches(visitor.form_token, form.get("form_token", "")):
            raise FormRefused("This form does not belong to your session. Open its page again and repeat.")

    def _open_code(self, code: str) -> tuple[str, str]:
        text, _, signature = code.rpartition(".")
        parts = text.split(".")
        if not _matches(sign(self._key, "sign in", text), signature) or len(parts) != 4:
            raise CodeRefused(f"This server did not make this link. {_ANOTHER}")
        expires, right, name, _ = parts
        if not 0 < int(expires) - self._clock() <= CODE_SECONDS + CLOCK_SLACK:
            raise CodeRefused(f"This link has expired: it works for ten minutes. {_ANOTHER}")
        return base64.urlsafe_b64decode(name + "==").decode(), right

    def _holds(self, found: Credential) -> bool:
        """Whether a credential is valid. Setting the clock back ends sessions; it never extends one."""
        now = self._clock()
        longest = now + SESSION_SECONDS + CLOCK_SLACK
        return found.holds(now) and (found.kind != SESSION or (found.expires_at or 0.0) <= longest)

    def _form_token(self, secret: str) -> str:
        return sign(self._key, "form", digest(secret))

    def _from_elsewhere(self, headers: Mapping[str, str]) -> bool:
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return True
        origin = headers.get("origin")
        if origin is None:
            return False
        # A proxy may put its own name for this server into Host.
        own = {headers.get("host", "").lower(), self._base.netloc.lower()} - {""}
        return origin.lower().partition("://")[2] not in own

    def _encrypted(self, headers: Mapping[str, str]) -> bool:
        """Whether the browser will return a session cookie: over HTTPS, or over plain HTTP on loopback."""
        return (
            _is_loopback(headers)
            or self._base.scheme == "https"
            or headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https"
        )

    def _cookie_name(self, headers: Mapping[str, str]) -> str:
        if _is_loopback(headers):
            return COOKIE
        return f"__Secure-{COOKIE}" if self.base_path else f"__Host-{COOKIE}"

    def _cookie(self, headers: Mapping[str, str]) -> str:
        """Return the session's cookie. Two different ones count as none, because another site set one of them."""
        pairs = [pair.strip().partition("=") for pair in headers.get("cookie", "").split(";")]
        found = {value for name, _, value in pairs if name == self._cookie_name(headers)}
        return found.pop() if len(found) == 1 else ""

    def _session_cookie(self, secret: str, seconds: int, headers: Mapping[str, str]) -> str:
        return _set_cookie(self._cookie_name(headers), secret, self.base_path or "/", seconds, headers)


_ANOTHER = "Make another one with `closeout open` on the machine of this server."


def login_link(base_url: str, key: bytes, name: str, now: float, *, right: str = ACT) -> str:
    """Return a URL that signs `name` in once, within ten minutes. `now` is in seconds since the epoch."""
    who = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    text = f"{int(now + CODE_SECONDS)}.{right}.{who}.{secrets.token_urlsafe(16)}"
    code = f"{text}.{sign(key, 'sign in', text)}"
    return f"{base_url.rstrip('/')}{LOGIN}?{urlencode({'code': code})}"


def keeps_sessions(base_url: str) -> bool:
    """Return whether browsers keep a session at this address: over HTTPS, or over plain HTTP on loopback."""
    base = urlsplit(base_url)
    return base.scheme == "https" or _LOOPBACK.fullmatch(base.netloc) is not None


def digest(secret: str) -> str:
    """Return the digest that the ledger keeps of a secret. Secrets are long and random, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def new_secret(key: bytes, kind: str) -> str:
    """Return the secret of a new session or token. It is not valid until its digest is in the ledger."""
    random = f"{_BEGIN}{secrets.token_urlsafe(32)}"
    return f"{random}.{sign(key, kind, random)}"


def _set_cookie(name: str, value: str, path: str, seconds: int, headers: Mapping[str, str]) -> str:
    secure = "" if _is_loopback(headers) else "; Secure"
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _is_loopback(headers: Mapping[str, str]) -> bool:
    """Whether the browser runs on this machine and connects directly. Through a proxy, it may use HTTPS."""
    return _LOOPBACK.fullmatch(headers.get("host", "")) is not None and not any(
        name in headers for name in _PROXIED
    )


def _matches(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
