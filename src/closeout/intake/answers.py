"""What a sender is told: the JSON bodies of every answer on the webhook path.

One place, so that errors have one shape and no internal text can reach a caller.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from closeout.core.errors import CloseoutError
from closeout.core.records import Accepted

UNEXPECTED = "Something went wrong inside closeout; its log says what. The delivery can be sent again."
_OURS = {
    "store-unavailable": "The delivery could not be stored, and nothing was acknowledged; it can be sent again.",
    "overloaded": "Too much arrives at once, and nothing was acknowledged; it can be sent again.",
}
"""Fixed sentences for what lies on our side: an error's own message may quote a path or a database."""


HEADERS = (
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
)
"""Of every answer on the webhook path."""
MORE = {405: (("allow", "POST"),), 503: (("retry-after", "5"),)}
"""Headers that a status brings with it."""


class Answer(NamedTuple):
    """A status and a JSON body. `outcome` is the label under which it is counted."""

    status: int
    body: bytes
    outcome: str


PONG = Answer(200, b'{"pong": true}', "ping")


def accepted(taken: Accepted) -> Answer:
    """Answer a delivery that is stored: 202, or 200 when it was there already."""
    runs = '", "'.join(taken.runs)
    listed = f'["{runs}"]' if runs else "[]"
    delivery = taken.delivery if isinstance(taken.delivery, int) else f'"{taken.delivery}"'
    if taken.duplicate:
        body = f'{{"delivery": {delivery}, "duplicate": true, "runs": {listed}}}'
        return Answer(200, body.encode(), "duplicate")
    return Answer(202, f'{{"delivery": {delivery}, "runs": {listed}}}'.encode(), "accepted")


def refused(error: CloseoutError) -> Answer:
    """Answer an error: its own sentence if the sender is at fault, a fixed one if the fault is ours."""
    if error.status < 500:
        return Answer(error.status, _error(error.code, error.message), error.code)
    if error.code in _OURS:
        return Answer(error.status, _error(error.code, _OURS[error.code]), error.code)
    return FAILED


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode()


FAILED = Answer(500, _error(CloseoutError.code, UNEXPECTED), CloseoutError.code)
"""The answer to what nobody foresaw."""
