"""Send one message to one URL with apprise, which supports about a hundred services.

This module is imported only to send a message or check a URL, because apprise takes a third of a second and memory. It
follows no redirect and stores nothing, and what apprise logs becomes the error. A URL contains secrets: `secret_parts` returns
them for the redactor, and no error of this module repeats a URL.
"""

from __future__ import annotations

import logging
import re
import socket
from urllib.parse import parse_qsl, unquote, urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType

from closeout.core.errors import NotifierFailed, NotifierUnknown
from closeout.core.runs import clip

CONNECT_SECONDS = 5.0
DATAGRAMS = ("rsyslog",)
"""Schemes that need no connection."""
SHORTEST = 6
"""Characters of a part of a URL that may be a secret."""
LONGEST_ERROR = 300
LOCAL = frozenset(("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"))
"""Schemes that notify on this machine only, or call a program on it."""
_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://")

# Its warnings are captured with each message and would be logged twice. Its lower levels log whole URLs.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").setLevel(logging.WARNING)


def check(url: str, *, reach: bool = False) -> None:
    """Raise `NotifierUnknown` for a URL to which no message can be sent.

    With `reach` look up its host, too, and connect if the URL names a port; raise `NotifierFailed` if that fails.
    """
    _service(url)
    place = address(url)
    if not reach or place is None:
        return
    host, port = place
    try:
        if port is None or scheme(url) in DATAGRAMS:
            socket.getaddrinfo(host, port)
        else:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise NotifierFailed(f"{scheme(url)}://{host} cannot be reached: {type(error).__name__}") from None


def send(url: str, title: str, body: str) -> None:
    """Send a message, without a time limit. Raises `NotifierUnknown`, or `NotifierFailed` with the service's answer."""
    service = _service(url)
    sender = Apprise(asset=service.asset)
    sender.add(service)
    result = sender.notify(
        body=body, title=title, notify_type=NotifyType.WARNING, body_format=NotifyFormat.TEXT
    )
    if not result:
        said = "; ".join(entry.message for entry in result.logs())
        raise NotifierFailed(f"{scheme(url)}: {clip(said, LONGEST_ERROR) or 'the message was not taken'}")


def scheme(url: str) -> str:
    """Return the scheme of a URL, which is not secret; `?` if it has none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else "?"


def address(url: str) -> tuple[str, int | None] | None:
    """Return the host and port to which a URL leads; None if it names none, as `slack://` does."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    named = host is not None and ("." in host or ":" in host or host == "localhost")
    return (str(host), port) if named else None


def secret_parts(url: str) -> tuple[str, ...]:
    """Return every part of a URL that may be secret: user, password, tokens in place of a host, path and query."""
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    user, _, host = authority.rpartition("@")
    named = address(url) is not None
    found = [*user.split(":"), *(() if named else (host,)), *path.split("/")]
    found += [value for _, value in parse_qsl(query)]
    both = (part for one in found for part in (one, unquote(one)))
    return tuple(dict.fromkeys(part for part in both if len(part) >= SHORTEST))


def _service(url: str) -> NotifyBase:
    name = scheme(url)
    if name == "?":
        raise NotifierUnknown("the URL of a notifier begins with a scheme, such as slack:// or mailtos://")
    if name in LOCAL:
        raise NotifierUnknown(f"{name}:// reaches only this machine; choose a service that people read")
    asset = AppriseAsset(
        service_timeout=0,  # it would keep time in a thread that the end of the process waits for
    )
    service: NotifyBase | None = Apprise.instantiate(url, asset=asset)
    if service is None:
        raise NotifierUnknown(
            f"{name}:// is not a URL that messages can be sent to: unknown, or a part of it is missing"
        )
    service.redirects = False  # whatever the URL says
    return service
