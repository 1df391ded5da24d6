"""The fast decoder returns what the slow one returns, for everything that the slow one accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.core import facts as core_facts
from closeout.core import payload
from closeout.core.errors import PayloadRefused
from closeout.intake import decode
from closeout.intake.receiver import plain_facts
from closeout.testing import deliveries
from tests.vectors.payloads import Vector, payload_vectors

EVENTS = (
    "pull_request", "push", "create", "delete", "issue_comment", "status", "workflow_run", "workflow_job",
    "check_suite", "check_run", "release", "deployment", "deployment_status", "merge_group", "unheard_of",
)  # fmt: skip
KEYS = (
    "action", "number", "ref", "ref_type", "context", "repository", "sender", "pull_request", "issue", "merge_group",
    "workflow_run", "workflow_job", "check_suite", "check_run", "release", "deployment", "comment", "commits",
    "full_name", "id", "private", "login", "head", "base", "repo", "base_ref", "head_ref", "head_branch",
    "tag_name", "sha", "body", "added", "modified", "removed", "other",
)  # fmt: skip

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["refs/heads/x", "refs/tags/v1", "branch", "tag", "closeout/x", "<!-- closeout:", "é", ""]
    ),
    st.text(max_size=8).filter(lambda text: "\0" not in text and text.isprintable()),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)
payloads = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)


def agree(event: str, text: bytes) -> None:
    """Both ways yield the same facts, or the slow one refuses."""
    try:
        slow = core_facts.facts_of(event, payload.decode(text))
    except PayloadRefused:
        return
    assert decode.facts(event, text) == slow


@settings(max_examples=60)
@given(st.sampled_from(EVENTS), payloads, st.booleans())
@example("pull_request", {"number": 1.0}, False)
@example("pull_request", {"number": True, "pull_request": {"number": 2}}, False)
@example("pull_request", {"pull_request": [], "repository": "x", "sender": 1}, False)
@example("push", {"commits": [{"added": ["a", 1]}, None, 3]}, False)
def test_both_decoders_yield_the_same_facts(event: str, value: dict[str, Any], escaped: bool) -> None:
    """Whatever the types of a payload's fields, matching sees the same."""
    agree(event, json.dumps(value, ensure_ascii=escaped).encode())


@pytest.mark.parametrize("name", deliveries.SAMPLES)
def test_both_decoders_agree_on_deliveries_as_github_sends_them(name: str) -> None:
    """Every sample, in each of the encodings."""
    event, value = deliveries.sample(name)
    agree(event, deliveries.encode(value))
    agree(event, json.dumps(value, indent=2).encode())


@pytest.mark.parametrize("vector", payload_vectors(), ids=lambda vector: vector.name)
def test_both_decoders_agree_on_the_shared_vectors(vector: Any) -> None:
    """An accepted payload is read the same way; a refused one is refused by its bytes or before it is used."""
    for event in ("pull_request", "push", "status"):
        agree(event, vector.text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"act\\u0069on": "closed"}',
        b'{"action": "opened", "action": "closed"}',
        b'{"repository": {"id": 1}, "repository": {"full_name": "a/b"}}',
        b'{"repository": 3, "repository": {"full_name": "a/b"}}',
        b' \n {"action": "closed"} \n',
        b'{"number": 12345678901234567890123}',
        b'{"number": 1e3}',
    ],
)
def test_odd_but_valid_json_is_read_alike(text: bytes) -> None:
    """Escaped keys, equal keys and odd numbers yield the same facts."""
    agree("pull_request", text)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"3", b"{", b'{"a": nul}', b'{"a": 1} x', b"[" * 100_000, b'{"a":' * 50_000]
)
def test_a_payload_that_is_not_an_object_is_refused(text: bytes) -> None:
    """With PayloadRefused, never another error, however deep it is."""
    with pytest.raises(PayloadRefused):
        decode.facts("pull_request", text)


@settings(max_examples=60)
@given(st.binary(max_size=64))
def test_any_bytes_yield_facts_or_the_named_error(text: bytes) -> None:
    """No other exception than PayloadRefused is possible."""
    try:
        payload.check_bytes(text)
        decode.facts("pull_request", text)
    except PayloadRefused:
        pass


def told(read: Any, text: bytes) -> Any:
    """Return the facts, or the sentence of a refusal, of a payload whose bytes passed."""
    try:
        payload.check_bytes(text)
        return read("pull_request", text)
    except PayloadRefused as error:
        return error.message


@pytest.mark.parametrize("vector", payload_vectors(), ids=lambda vector: str(vector.name))
def test_the_receiver_on_aws_accepts_the_same_payloads(vector: Vector) -> None:
    """What the fast decoder skips, the standard library's does not refuse either."""
    assert told(plain_facts, vector.text) == told(decode.facts, vector.text)
