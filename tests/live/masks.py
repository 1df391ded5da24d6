"""Masks what a stranger must not learn from a fixture: account, names, ids, addresses and times.

What is masked keeps its form, so that two recordings can be compared: the same id gets the same number within a question.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

ACCOUNT = "123456789012"
NAME = "closeout-rec-000000"
REGION = "eu-central-1"
TIME = "2026-01-01T00:00:00Z"
DROPPED = frozenset(
    {
        "ChangeSetId",
        "CheckpointToken",
        "ClientRequestToken",
        "ETag",
        "HostId",
        "LogResult",
        "Marker",
        "MD5OfBody",
        "MD5OfMessageAttributes",
        "MessageId",
        "NextMarker",
        "NextToken",
        "ReceiptHandle",
        "RequestId",
        "requestId",
        "ResponseMetadata",
        "SecretString",
        "StackTrace",
        "TraceHeader",
    }
)
"""Keys whose values are secret, or new each time and say nothing."""

_ID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{24})\b",
    re.IGNORECASE,
)
"""UUIDs and other ids in hexadecimal digits."""
_RULES = (
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,17}\b"), "AKIAIOSFODNN7EXAMPLE"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), TIME),
    (re.compile(r"\b(?!123456789012\b)\d{12}\b"), "999999999999"),
    (re.compile(r"(?<=secret:)([\w/+=.@-]+)-[A-Za-z0-9]{6}\b"), r"\1-SUFFIX"),
    (re.compile(r"(?<=-)(?=[A-Za-z]*\d)(?:[A-Z0-9]{8,13}|[a-z0-9]{12,13}|[0-9a-f]{8})\b"), "SUFFIX"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "192.0.2.1"),
)


class Masks:
    """Masks values of one question. `known` maps texts that must not be seen to what stands for them."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = sorted(known.items(), key=lambda pair: -len(pair[0]))
        self._ids: dict[str, str] = {}

    def mask(self, value: Any) -> Any:
        """Return `value` as JSON, masked."""
        match value:
            case Mapping():
                return {
                    self.text(str(key)): self.mask(one) for key, one in value.items() if key not in DROPPED
                }
            case list() | tuple():
                return [self.mask(one) for one in value]
            case datetime.datetime():
                return TIME
            case str():
                return self._json(value)
            case None | bool() | int() | float():
                return value
            case bytes():
                return self._json(value.decode("utf-8", "replace"))
        return f"<{type(value).__name__}>"

    def text(self, text: str) -> str:
        """Mask a text."""
        for known, mask in self._known:
            text = text.replace(known, mask)
        kept, at = [], 0
        for found in _ID.finditer(text):
            kept += [_ruled(text[at : found.start()]), self._number(found.group())]
            at = found.end()
        return "".join([*kept, _ruled(text[at:])])

    def _json(self, text: str) -> Any:
        """Mask a text that may hold JSON, as the payload of an event does."""
        if text[:1] in ("{", "["):
            try:
                return self.mask(json.loads(text))
            except ValueError:
                pass
        return self.text(text)

    def _number(self, found: str) -> str:
        number = len(self._ids) + 1
        return self._ids.setdefault(found.lower(), f"00000000-0000-4000-8000-{number:012d}")


def _ruled(text: str) -> str:
    for pattern, mask in _RULES:
        text = pattern.sub(mask, text)
    return text


def leaks(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Return what `text` still holds of `secrets` (text → what it is): a fixture with any must not be written."""
    return [what for secret, what in secrets.items() if secret and secret in text]
