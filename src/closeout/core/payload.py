"""The one rule for payloads, the same for every decoder and on both runtimes.

UTF-8 without a byte order mark; one JSON object; no NaN or Infinity; no NUL and no lone surrogate in a string, escaped
or not; integers within signed 64 bits; at most 100 levels. Of two equal keys the last counts. Decoders
disagree on each of these, CEL cuts a string at a NUL and crashes on deep values, and SQLite refuses a lone
surrogate, so a payload that breaks the rule is rejected with one sentence. `tests/vectors/payloads.json` has examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from closeout.core.errors import BadDelivery, PayloadRefused

MAX_DEPTH = 100
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

_BOM = b"\xef\xbb\xbf"
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD])")
_BAD_ESCAPE = (
    rb"(?s)\\u(?:0000"
    rb"|[dD][89abAB](?![0-9a-fA-F]{2}\\u[dD][c-fC-F])"
    rb"|[dD][c-fC-F](?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD].))"
)
"""NUL; a high half of a surrogate pair without a low one after it; a low one without a high one before it.

Compiled on first use, because it would delay the receiver's start.
"""


def check_bytes(text: bytes) -> None:
    """Raise `PayloadRefused` for what the bytes show: a wrong encoding, a BOM, a NUL, a lone surrogate.

    Takes a few microseconds for an ordinary payload: only one with such an escape is searched with the pattern.
    """
    if not text.isascii():
        if text.startswith(_BOM):
            raise PayloadRefused("the payload begins with a byte order mark")
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            raise PayloadRefused("the payload is not UTF-8") from None
    if b"\x00" in text:
        raise PayloadRefused("the payload contains a NUL character")
    # Three searches for substrings would cost thirty microseconds; a single byte's and the pattern's cost six at most.
    if b"\\" in text and _SUSPICIOUS.search(text):
        _check_escapes(text)


def at(value: Any, *path: str) -> Any:
    """Return the value at a path of keys in a decoded payload; None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def decode(text: bytes) -> dict[str, Any]:
    """Decode a payload and check the whole rule; raise `PayloadRefused` with the reason."""
    check_bytes(text)
    value = _object(text, _integer, _number)
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH:
        check_depth(value)
    return value


def decode_for_matching(text: bytes) -> dict[str, Any]:
    """Decode a payload that has passed `check_bytes` as far as matching needs it; raise `PayloadRefused` with the reason.

    Integers, floats and depth are not checked: the local receiver's decoder skips values that it does not need, and both
    runtimes must give the same answer. Callers that use the values call `decode`, which checks them.
    """
    return _object(text, _any_integer)


def _object(
    text: bytes, parse_int: Callable[[str], Any], parse_float: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    try:
        value = json.loads(
            text.decode("utf-8"), parse_int=parse_int, parse_float=parse_float, parse_constant=_constant
        )
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise PayloadRefused("the payload is not JSON") from None
    if not isinstance(value, dict):
        raise PayloadRefused("the payload is not a JSON object")
    return value


def check_depth(value: Any) -> None:
    """Raise `PayloadRefused` if lists and objects nest over 100 levels, including the outermost."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def from_form(body: bytes) -> bytes:
    """Return the JSON text in the field `payload` of an `application/x-www-form-urlencoded` body.

    Raises `BadDelivery` if the field is missing or occurs twice.
    """
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415 - few hooks send forms, and it is slow to import

    fields = [field for field in body.split(b"&") if field.startswith(b"payload=")]
    if len(fields) != 1:
        raise BadDelivery("the form must have exactly one field `payload`")
    return unquote_to_bytes(fields[0].removeprefix(b"payload=").replace(b"+", b" "))


def _check_escapes(text: bytes) -> None:
    """Raise `PayloadRefused` for a bad escape. Pairs of backslashes go first, so that each one left begins an escape."""
    found = re.search(_BAD_ESCAPE, text.replace(b"\\\\", b"__"))
    if found is None:
        return
    if found.group() == b"\\u0000":
        raise PayloadRefused("the payload contains a NUL character")
    raise PayloadRefused("the payload contains half of a surrogate pair")


def _integer(text: str) -> int:
    # 20 characters hold every 64-bit integer; longer ones are not even converted, which takes quadratic time.
    if len(text) > 20 or not MIN_INTEGER <= (value := int(text)) <= MAX_INTEGER:
        raise PayloadRefused("the payload contains an integer beyond 64 bits")
    return value


def _any_integer(text: str) -> int | float:
    # Longer ones are not converted exactly: that takes quadratic time, and no real payload has such numbers.
    return int(text) if len(text) <= 20 else float(text)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise PayloadRefused("the payload contains a number too large for a double")
    return value


def _constant(text: str) -> NoReturn:
    raise PayloadRefused(f"the payload contains {text}, which is not JSON")


def _too_deep() -> PayloadRefused:
    return PayloadRefused(f"the payload nests deeper than {MAX_DEPTH} levels")
