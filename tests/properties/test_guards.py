"""Laws of names and redaction: nothing that outsiders write gets where it must not be."""

from __future__ import annotations

import base64
import json
import re

from hypothesis import assume, given
from hypothesis import strategies as st

from closeout.core.errors import NameRefused
from closeout.core.names import check_interpolated, outsider_fields, outsider_texts, pieces
from closeout.core.redact import Redactor

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20).filter(
    lambda text: len(text.strip()) >= 6 and text.strip("*").strip() != ""
)
around = st.text("abc *=:&\"'-_/\\\n", max_size=20)
tokens = st.sampled_from(
    ["event", ".", "number", "title", "pull_request", "head", "ref", "repository", "name", "string", "(", ")", "+", "'", '"',
     "[", "]", " ", "1", "?", ":", "-", "==", "x", "id", "sha"]
)  # fmt: skip


@given(st.text(max_size=140) | st.integers() | st.floats() | st.none() | st.booleans())
def test_any_value_is_a_plain_name_or_refused(value: object) -> None:
    """What passes cannot leave its place in a name, a path or a command."""
    try:
        text = check_interpolated(value, "event.x")
    except NameRefused:
        return
    assert SAFE.fullmatch(text)
    assert ".." not in text
    assert len(text) <= 128


@given(st.lists(tokens, max_size=14).map("".join))
def test_a_harmless_expression_reads_nothing_that_outsiders_choose(expression: str) -> None:
    """Whatever the tokens are joined to: if it passes, no field of theirs stands in it outside a literal."""
    if outsider_fields(expression):
        return
    rest = re.sub(r"'[^']*'|\"[^\"]*\"", "", expression)
    assert "title" not in rest.replace("event.repository.title", "")
    assert "head.ref" not in rest.replace("event.repository.head.ref", "")
    assert "[" not in rest
    assert "?" not in rest


@given(st.text(max_size=60))
def test_any_text_is_judged(expression: str) -> None:
    """No text makes the judgement itself fail, and what is not understood does not pass."""
    fields = outsider_fields(expression)
    assert all(fields)
    assert all(outsider_texts(expression))
    assert pieces(expression)


@given(secrets, around, around)
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    """As it is, in JSON, in a repr: nowhere."""
    redactor = Redactor([secret])
    for text in (secret, json.dumps(secret)[1:-1], json.dumps([secret], ensure_ascii=False), repr([secret])):
        assert secret.strip() not in redactor.text(f"{before}{text}{after}")


@given(st.binary(min_size=12, max_size=24), st.binary(max_size=5), st.binary(max_size=5))
def test_no_secret_survives_base64(raw: bytes, before: bytes, after: bytes) -> None:
    """At any offset, what is left of the encoded text does not decode to the secret."""
    secret = base64.b32encode(raw).decode().rstrip("=")
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    done = Redactor([secret]).text(encoded)
    assert "***" in done
    assert len(done) < len(encoded)


@given(st.lists(secrets, max_size=3), st.lists(around | secrets, max_size=6), st.data())
def test_redaction_settles_at_once(keys: list[str], pieces: list[str], data: st.DataObject) -> None:
    """Doing it again changes nothing, and no known secret is left whole, however text and secrets are mixed."""
    mixed = data.draw(st.permutations([*pieces, *keys, *keys]))
    redactor = Redactor(keys)
    done = redactor.text("".join(mixed))
    assert redactor.text(done) == done
    assert not [key for key in keys if key.strip() in done]


@given(st.text("abcdefg 0123456789.,", max_size=60))
def test_text_without_secrets_stays(text: str) -> None:
    """Redaction takes out secrets and nothing else."""
    assume("qqqqqq" not in text)
    assert Redactor(["qqqqqqqq"]).text(text) == text
