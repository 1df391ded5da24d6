"""The headers of a delivery: its event, its GUID and its hook.

They are read once the signature has been verified, and then checked themselves, because the signature does not cover them
and they become identifiers in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from closeout.core.errors import BadDelivery

MAX_LENGTH = 255
UNKNOWN_HOOK = "unknown"
_FORM = b"application/x-www-form-urlencoded"


class Headers(NamedTuple):
    """The headers that closeout reads."""

    event: str
    """`X-GitHub-Event`, GitHub's word for the event; unknown ones are fine."""
    guid: str
    """`X-GitHub-Delivery`: one per event, shared by all its hooks and kept on redelivery."""
    hook: str
    """`X-GitHub-Hook-ID`, else `<target type>:<target id>`, else `unknown`."""
    form: bool
    """Whether the body is a form whose field `payload` holds the JSON."""


def read_headers(get: Callable[[bytes], bytes | None]) -> Headers:
    """Read the headers; `get` takes a name in lower case and returns the raw value or None.

    Raises `BadDelivery` if a required one is missing, or if any is not printable ASCII of
    at most 255 characters.
    """
    event = _needed(get, b"x-github-event", "X-GitHub-Event")
    guid = _needed(get, b"x-github-delivery", "X-GitHub-Delivery")
    hook = _text(get(b"x-github-hook-id"), "X-GitHub-Hook-ID") or _target(get) or UNKNOWN_HOOK
    kind = get(b"content-type") or b""
    return Headers(event, guid, hook, kind.split(b";", 1)[0].strip().lower() == _FORM)


def _needed(get: Callable[[bytes], bytes | None], name: bytes, shown: str) -> str:
    value = _text(get(name), shown)
    if not value:
        raise BadDelivery(f"the header {shown} is missing")
    return value


def _target(get: Callable[[bytes], bytes | None]) -> str | None:
    kind = _text(get(b"x-github-hook-installation-target-type"), "X-GitHub-Hook-Installation-Target-Type")
    target = _text(get(b"x-github-hook-installation-target-id"), "X-GitHub-Hook-Installation-Target-ID")
    return f"{kind}:{target}" if kind and target else None


def _text(value: bytes | None, shown: str) -> str | None:
    """Return the value as text: GitHub's own values have neither spaces nor anything outside ASCII."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if len(value) > MAX_LENGTH or not value.isascii() or not text.isprintable() or " " in text:
        raise BadDelivery(f"the header {shown} is not plain ASCII of at most {MAX_LENGTH} characters")
    return text
