"""The JSON body of every answer on the webhook path.

They are built here only, so that all errors have one shape and no internal text reaches a sender.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from closeout.core.errors import CloseoutError
from closeout.core.records import Accepted

UNEXPECTED = "closeout failed unexpectedly; its log has the error. Redeliver the request."
_OURS = {
    "store-unavailable": "The delivery could not be stored and was not acknowledged. Redeliver it.",
    "overloaded": "closeout is overloaded, and the delivery was not acknowledged. Redeliver it.",
}
"""Fixed sentences for server errors, whose own messages may quote a path or a database."""


HEADERS = (
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
)
"""Headers of every answer on the webhook path."""
MORE = {405: (("allow", "POST"),), 503: (("retry-after", "5"),)}
"""Extra headers by status."""


class Answer(NamedTuple):
    """A status and a JSON body. `outcome` is the label under which it is counted."""

    status: int
    body: bytes
    outcome: str


PONG = Answer(200, b'{"pong": true}', "ping")


def accepted(taken: Accepted) -> Answer:
    """Answer a stored delivery: 202, or 200 if it was stored already."""
    content = {"delivery": taken.delivery, "runs": taken.runs}
    if taken.duplicate:
        content = {"delivery": taken.delivery, "duplicate": True, "runs": taken.runs}
        return Answer(200, json.dumps(content).encode(), "duplicate")
    return Answer(202, json.dumps(content).encode(), "accepted")


def refused(error: CloseoutError) -> Answer:
    """Answer an error: with its own message for a client error, with a fixed one for a server error."""
    if error.status < 500:
        return Answer(error.status, _error(error.code, error.message), error.code)
    if error.code in _OURS:
        return Answer(error.status, _error(error.code, _OURS[error.code]), error.code)
    return FAILED


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode()


FAILED = Answer(500, _error(CloseoutError.code, UNEXPECTED), CloseoutError.code)
"""The answer to an unexpected error."""
