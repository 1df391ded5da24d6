"""Laws of what comes from outside: any bytes end in a value or in the named error, and never in another one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core import payload
from closeout.core.delivery import Headers, read_headers
from closeout.core.errors import BadDelivery, PayloadRefused, Unauthorized
from closeout.core.signature import sign, verify, well_formed
from tests.vectors.payloads import payload_vectors

secrets = st.binary(min_size=1, max_size=40)
hex_like = st.text("0123456789abcdefABCDEF g\u00e9", max_size=70).map(lambda text: b"sha256=" + text.encode())
headers = st.none() | st.binary(max_size=80) | hex_like
surrogate = st.characters(categories=["Cs"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=5)
vectors = st.sampled_from([vector.text for vector in payload_vectors() if len(vector.text) < 1000])


@given(st.binary(max_size=200), headers, st.lists(st.binary(max_size=20), max_size=3))
def test_any_bytes_verify_or_are_unauthorized(body: bytes, header: bytes | None, keys: list[bytes]) -> None:
    """No header, body or secret makes the check fail in another way."""
    with contextlib.suppress(Unauthorized):
        verify(body, header, keys)


@given(st.binary(max_size=200), st.lists(secrets, min_size=1, max_size=3), st.data())
def test_what_is_signed_with_an_active_secret_verifies(
    body: bytes, keys: list[bytes], data: st.DataObject
) -> None:
    """Whichever of the secrets it was, and its header is well formed."""
    header = sign(body, data.draw(st.sampled_from(keys))).encode()
    assert well_formed(header)
    verify(body, header, keys)


@given(st.binary(max_size=200), secrets, st.data())
def test_one_changed_bit_is_unauthorized(body: bytes, secret: bytes, data: st.DataObject) -> None:
    """In the header or in the body, wherever it is."""
    header = bytearray(sign(body, secret).encode())
    changed = bytearray(body)
    target = data.draw(st.sampled_from([header, changed] if body else [header]))
    target[data.draw(st.integers(0, len(target) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unauthorized):
        verify(bytes(changed), bytes(header), [secret])


@given(
    st.binary(max_size=300)
    | vectors
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_decode_or_are_refused(text: bytes) -> None:
    """What is given back keeps the rule: an object, encodable, without NUL, half pairs, NaN and large integers."""
    try:
        value = payload.decode(text)
    except PayloadRefused:
        return
    assert isinstance(value, dict)
    again = json.dumps(value, ensure_ascii=False, allow_nan=False)
    again.encode("utf-8")
    assert "\\u0000" not in again.replace("\\\\", "")


@given(objects, st.booleans())
def test_what_keeps_the_rule_comes_back_as_it_was(value: dict[str, Any], ascii_only: bool) -> None:
    """Whether the sender escapes text outside ASCII or not."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    payload.check_bytes(text)
    assert payload.decode(text) == value


@given(st.text(st.characters() | st.sampled_from("\0\\u\ud83d\ude00d80"), max_size=30))
def test_the_door_agrees_with_a_look_at_the_decoded_text(text: str) -> None:
    """Bytes are refused by `check_bytes` exactly if a decoded string holds a NUL or half a pair."""
    encoded = json.dumps({"a": text})
    decoded = json.loads(encoded)["a"]
    bad = "\0" in decoded or any("\ud800" <= char <= "\udfff" for char in decoded)
    try:
        payload.check_bytes(encoded.encode())
    except PayloadRefused:
        assert bad
    else:
        assert not bad


@given(
    st.lists(
        st.sampled_from(["\\", "\\\\", "\\ud83d", "\\ude00", "\\u0000", "u0000", "ud83d", "\\n", "a"]),
        max_size=12,
    )
)
def test_the_door_understands_every_chain_of_escapes(pieces: list[str]) -> None:
    """Backslashes in any number before anything that looks like an escape: as a decoder sees it."""
    text = '{"a":"' + "".join(pieces) + '"}'
    try:
        decoded = json.loads(text)["a"]
    except ValueError:
        return
    bad = "\0" in decoded or any("\ud800" <= char <= "\udfff" for char in decoded)
    if bad:
        with pytest.raises(PayloadRefused):
            payload.check_bytes(text.encode())
    else:
        payload.check_bytes(text.encode())


@given(st.integers(1, 140), st.sampled_from(["[", '{"a":']))
def test_depth_is_counted_exactly(depth: int, opening: str) -> None:
    """The outermost object is the first level, the hundredth is allowed."""
    closing = "]" if opening == "[" else "}"
    text = ('{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}").encode()
    if depth <= payload.MAX_DEPTH:
        payload.decode(text)
    else:
        with pytest.raises(PayloadRefused, match="deeper"):
            payload.decode(text)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda value: b"payload=" + value))
def test_any_form_gives_bytes_or_is_refused(body: bytes) -> None:
    """A broken percent sign is left as it is; the JSON rule decides then."""
    with contextlib.suppress(BadDelivery):
        payload.from_form(body)


@given(
    st.dictionaries(
        st.sampled_from(["event", "delivery", "hook-id", "type"]),
        st.binary(max_size=300) | st.text("ab_-", max_size=300).map(str.encode),
    )
)
def test_any_headers_are_read_or_refused(given_headers: dict[str, bytes]) -> None:
    """What is read is printable ASCII of a sane length, and nothing is missing."""
    names = {
        b"x-github-event": "event",
        b"x-github-delivery": "delivery",
        b"x-github-hook-id": "hook-id",
        b"content-type": "type",
    }
    try:
        found = read_headers(lambda name: given_headers.get(names.get(name, "")))
    except BadDelivery:
        return
    assert isinstance(found, Headers)
    for text in (found.event, found.guid, found.hook):
        assert text
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 255
