"""Reads `payloads.json`: what every decoder of payloads takes and refuses.

`core.payload`, the receiver's fast decoder and any other are tested against the same list.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import NamedTuple


class Vector(NamedTuple):
    """One example. `reason` is part of the sentence that a refusal has; `in_bytes`: seen before decoding."""

    name: str
    text: bytes
    accept: bool
    reason: str
    in_bytes: bool


def payload_vectors() -> tuple[Vector, ...]:
    """Return every example, in the file's order."""
    content = json.loads(Path(__file__).with_name("payloads.json").read_text("utf-8"))
    return tuple(
        Vector(one["name"], _text(one), one["accept"], one.get("reason", ""), one.get("in_bytes", False))
        for one in content["vectors"]
    )


def _text(one: dict[str, object]) -> bytes:
    if "base64" in one:
        return base64.b64decode(str(one["base64"]))
    pieces = one["build"]
    assert isinstance(pieces, list)
    return "".join(text * times for text, times in pieces).encode("utf-8")
