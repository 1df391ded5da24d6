r"""A URL as scheme, host, port and target, parsed once and then used to connect.

URL parsers disagree about odd URLs: the host of `http://a\@b/` is `b` to `urllib.parse` and `a` to urllib3, so that a secret
could go to a host that was never checked. So this grammar accepts only what every parser reads in the same way, and
clients connect to these values instead of parsing the text again.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from closeout.core.errors import InputError

_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-\[\]-~]*")
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<ip6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]{1,254}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?",
    re.ASCII | re.IGNORECASE,
)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)


class Url(NamedTuple):
    """One address. `scheme` and `host` are in lower case, an IPv6 `host` has no brackets, a `query` has its `?`."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> str:
        """`scheme://host[:port]`: equal for two addresses only if requests to both reach the same server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def shown(self) -> str:
        """The address without its query, which may contain a token."""
        return self.origin + self.path

    @property
    def target(self) -> str:
        """The request line's target."""
        return self.path + self.query

    def __str__(self) -> str:
        """Return the whole address."""
        return self.origin + self.target

    def redirected(self, location: str | None) -> Url | None:
        """Return the address of a `Location` within this origin; None for any other, or if that is uncertain.

        RFC 3986, section 5.2.2: a reference has a scheme, or a host, or is relative to this address.
        """
        reference = (location or "").partition("#")[0]
        if not reference:
            return None
        if _ABSOLUTE.match(reference):
            text = reference
        elif reference.startswith("//"):
            text = f"{self.scheme}:{reference}"
        elif reference.startswith("/"):
            text = self.origin + reference
        elif reference.startswith("?"):
            text = self.shown + reference
        else:
            text = f"{self.origin}{self.path.rpartition('/')[0]}/{reference}"
        try:
            found = parse(text)
        except InputError:
            return None
        return found if found.origin == self.origin else None


def parse(text: str) -> Url:
    """Read an http(s) URL. Raises `InputError`, whose message says what is wrong without repeating the URL."""
    if not _VISIBLE.fullmatch(text):
        raise InputError(
            "a URL has visible ASCII characters only, and no `\\`; percent-encode others, a host as xn--…"
        )
    found = _URL.fullmatch(text)
    if found is None:
        raise InputError(_problem(text))
    scheme, port = found["scheme"].lower(), int(found["port"] or _PORTS[found["scheme"].lower()])
    if port > 65_535 or not (_is_ip6(found["ip6"]) if found["ip6"] else _is_name(found["name"])):
        raise InputError(
            "the URL's host or port cannot exist: labels have 1 to 63 characters, ports end at 65535"
        )
    host = (found["ip6"] or found["name"]).lower()
    return Url(scheme, host, port, _without_dots(found["path"] or "/"), found["query"] or "")


def parse_base(text: str) -> Url:
    """Read the base of other URLs: it has no query, and its path does not end in `/`. Raises `InputError`."""
    found = parse(text)
    if found.query:
        raise InputError("the URL has a query; write https://HOST/PATH")
    return found._replace(path=found.path.rstrip("/"))


def _problem(text: str) -> str:
    """Return what is wrong with a text that is not a URL."""
    start = re.match(r"https?://", text, re.ASCII | re.IGNORECASE)
    if start is None:
        return "a URL begins with http:// or https://"
    if "@" in re.split(r"[/?#]", text[start.end() :], maxsplit=1)[0]:
        return "the URL contains credentials, which would end up in logs; use secret-headers"
    if "#" in text:
        return "the URL has a fragment (`#…`), which is never sent; leave it out"
    return "the URL needs a host of letters, digits, `.`, `_` and `-`, or an [IPv6 address], and a port from 1 to 65535"


def _is_name(name: str) -> bool:
    return all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))


def _is_ip6(address: str) -> bool:
    import ipaddress  # noqa: PLC0415 - only this needs it, and it would delay each start

    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _without_dots(path: str) -> str:
    """Return a path without its `.` and `..` segments (RFC 3986, section 5.2.4), as the other side would read it."""
    kept: list[str] = []
    *folders, last = path.split("/")[1:]
    for segment in folders:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        del kept[-1:]
    return "/" + "".join(f"{segment}/" for segment in kept) + ("" if last in {".", ".."} else last)


def same_webhook(one: str, other: str) -> bool:
    """Whether two URLs are the same webhook, which answers at its base and at `/webhook`."""
    try:
        return _webhook_base(one) == _webhook_base(other)
    except InputError:
        return False  # without a parsed URL it is not known where it leads


def _webhook_base(url: str) -> tuple[str, str]:
    parsed = parse(url)
    return parsed.origin, parsed.path.rstrip("/").removesuffix("/webhook").rstrip("/")
