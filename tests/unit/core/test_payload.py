"""The one rule for payloads, tested with the shared vectors."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import urlencode

import pytest

from closeout.core import payload
from closeout.core.errors import BadDelivery, PayloadRefused
from tests.vectors.payloads import Vector, payload_vectors

VECTORS = payload_vectors()
ACCEPTED = [vector for vector in VECTORS if vector.accept]
REFUSED = [vector for vector in VECTORS if not vector.accept]
IN_BYTES = [vector for vector in REFUSED if vector.in_bytes]


def name_of(vector: Vector) -> str:
    """The vector's name, for pytest."""
    return vector.name


@pytest.mark.parametrize("vector", ACCEPTED, ids=name_of)
def test_accepted_vectors_decode(vector: Vector) -> None:
    """They pass `check_bytes` and decode to what the standard decoder returns."""
    payload.check_bytes(vector.text)
    assert payload.decode(vector.text) == json.loads(vector.text)


@pytest.mark.parametrize("vector", REFUSED, ids=name_of)
def test_rejected_vectors_do_not_decode(vector: Vector) -> None:
    """The one-sentence error says which rule is broken."""
    with pytest.raises(PayloadRefused) as caught:
        payload.decode(vector.text)
    assert vector.reason in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("vector", IN_BYTES, ids=name_of)
def test_invalid_bytes_are_refused_before_decoding(vector: Vector) -> None:
    """Encoding, NUL and surrogates."""
    with pytest.raises(PayloadRefused, match=vector.reason):
        payload.check_bytes(vector.text)


def test_the_last_of_two_equal_keys_counts() -> None:
    """As in GitHub's own language and in every decoder used here."""
    assert payload.decode(b'{"a":1,"a":{"b":2}}') == {"a": {"b": 2}}


def test_a_refusal_reveals_nothing_of_the_payload() -> None:
    """The caller gets our message, not a decoder's with a piece of the body in it."""
    with pytest.raises(PayloadRefused) as caught:
        payload.decode(b'{"password":hunter2}')
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"' + b"\\\\" * 500_000 + b'"}',
        b'{"a":"' + b"\\ud83d\\ude00" * 80_000 + b'"}',
        b"\\ud" * 300_000,
    ],
    ids=["backslashes", "pairs", "halves"],
)
@pytest.mark.timeout(60)
def test_the_slow_path_is_linear(text: bytes) -> None:
    """A megabyte of escapes is checked within the test's time limit: quadratic cost would take minutes."""
    with contextlib.suppress(PayloadRefused):
        payload.check_bytes(text + b"\\ud800\\udc00")


def form(**fields: str) -> bytes:
    """A form body as GitHub sends it."""
    return urlencode(fields).encode()


def test_a_form_has_the_json_in_its_field_payload() -> None:
    """Percent signs, plus signs and text outside ASCII survive the encoding."""
    text = '{"title":"100% a+b & é 😀"}'
    assert payload.from_form(form(payload=text)).decode() == text
    assert payload.from_form(form(other="1", payload=text, more="2")).decode() == text


@pytest.mark.parametrize("body", [b"", b"payload", b"Payload={}", b"xpayload={}", b"payload={}&payload={}"])
def test_a_form_without_one_payload_is_refused(body: bytes) -> None:
    """Missing or present twice: nothing is guessed."""
    with pytest.raises(BadDelivery, match="payload"):
        payload.from_form(body)


def test_the_json_in_a_form_follows_the_same_rule() -> None:
    """The JSON inside a form is held against the same rule."""
    with pytest.raises(PayloadRefused):
        payload.decode(payload.from_form(b"payload=%EF%BB%BF%7B%7D"))
