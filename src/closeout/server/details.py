"""Sign and check Details links. A link opens one run for 30 days, and nothing else.

The signature covers run, attempt and expiry, so a link cannot be changed into another; the page itself links to the other
attempts at its run. A wrong link gets the same answer whether or not the run exists, so it reveals nothing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from closeout.core import ids

LIFETIME = 30 * 24 * 3600
"""Seconds until a link expires."""
KEY_BYTES = 32
KEY_SETTING, BASE_SETTING = "details-key", "details-base"
"""Settings in the ledger from which links are made, so that the command line makes the same links."""
PAGES_SETTING = "pages-base"
"""The setting with the base of sign-in links, which differs if the pages have an address of their own."""
PATH = "/runs/"
SECRETS = frozenset(("signature", "code"))
"""Fields of a query that grant access."""
_LINE = re.compile(r"[0-9]{1,15}", re.ASCII)
_DIGITS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


class Link(NamedTuple):
    """A link with a valid signature. An `expired` link shows the verdict only."""

    run_id: str
    attempt: int
    expired: bool
    query: str
    """The link's query, for further requests about the same run."""
    whole: bool = False
    """Whether the visitor is signed in, and so may see all of the run."""
    expires: int = 0
    """Seconds since the epoch; 0 for a signed-in visitor."""


def link(base_url: str, key: bytes, execution: str, now: float) -> str:
    """Return the URL of an execution's page below `base_url`. `now` is in seconds since the epoch.

    Raises UsageError if `execution` is not an execution's name.
    """
    run_id, attempt = ids.parse_execution(execution)
    query = _query(key, run_id, attempt, int(now) + LIFETIME)
    return f"{base_url.rstrip('/')}{PATH}{run_id}?{query}"


def query_of(key: bytes, given: Link, attempt: int) -> str:
    """Return the query that opens another attempt of a link's run, with the same expiry.

    A link covers all attempts, because their statuses and links are on the same commit.
    """
    return f"attempt={attempt}" if given.whole else _query(key, given.run_id, attempt, given.expires)


def check(key: bytes, run_id: str, query: str, now: float) -> Link | None:
    """Return the link if its signature is valid, else None. Never raises because of its content."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=8, separator="&")
    except ValueError:
        return None
    values: Mapping[str, str] = dict(pairs)
    attempt, expires = values.get("attempt", ""), values.get("expires", "")
    numbers = _DIGITS.fullmatch(attempt) and _DIGITS.fullmatch(expires)
    if len(values) != len(pairs) or not numbers:
        return None
    own = _query(key, run_id, int(attempt), int(expires))
    expected = own.rpartition("=")[2]
    given = values.get("signature", "")
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        return None
    return Link(run_id, int(attempt), now >= int(expires), own, expires=int(expires))


def line_id(text: str) -> int | None:
    """Read the id of a log line; None for anything else."""
    return int(text) if _LINE.fullmatch(text) else None


def redacted(query: str) -> str:
    """Return a query for the log without secrets: the signature of a link, or the code of a sign-in."""
    fields = (field.partition("=") for field in query.split("&"))
    # Names are compared decoded, because `%73ignature` opens the page, too.
    return "&".join(
        f"{name}{equals}{'[redacted]' if unquote_plus(name) in SECRETS else value}"
        for name, equals, value in fields
    )


def _query(key: bytes, run_id: str, attempt: int, expires: int) -> str:
    signature = sign(key, "details", f"{run_id}\n{attempt}\n{expires}")
    return f"attempt={attempt}&expires={expires}&signature={signature}"


def sign(key: bytes, purpose: str, text: str) -> str:
    """Return the signature of a text with the ledger's key. It is valid for only one purpose."""
    signed = hmac.digest(key, f"closeout {purpose}\n{text}".encode("utf-8", "replace"), "sha256")
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
