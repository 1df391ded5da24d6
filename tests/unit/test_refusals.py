"""What refusals say: each has its own error and names what to correct."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from closeout.actions.aws import tags
from closeout.actions.general import outputs, python
from closeout.adapters import secrets as secret_adapter
from closeout.core import payload, signature, url
from closeout.core.errors import (
    ActionFailed,
    BadDelivery,
    BadFilter,
    CloseoutError,
    InputError,
    MethodNotAllowed,
    PatternError,
    SecretError,
    TokenRefused,
    UsageError,
)
from closeout.core.patterns import compile_patterns
from closeout.intake import headers
from closeout.ledger.filters import run_filter
from closeout.run import question

Call = Callable[[], object]
LONG = "a" * 64


def pattern(text: str) -> Call:
    """Return what compiles a pattern."""
    return lambda: compile_patterns([text], "ref")


REFUSED: list[tuple[Call, type[CloseoutError], str]] = [
    (pattern("[]"), PatternError, "lists no character"),
    (pattern("[!a]"), PatternError, "does not negate"),
    (pattern("[^a]"), PatternError, "does not negate"),
    (pattern("[a-Z]"), PatternError, "a range goes within"),
    (pattern("[9-0]"), PatternError, "a range goes within"),
    (pattern("[ab"), PatternError, "is not closed"),
    (lambda: url.parse(f"https://{LONG}.example/"), InputError, "labels have 1 to 63 characters"),
    (lambda: url.parse("https://a.example:65536/"), InputError, "ports end at 65535"),
    (lambda: url.parse_base("https://a.example/x?y"), InputError, "the URL has a query"),
    (lambda: signature.checked_secrets([]), SecretError, "no webhook secret is configured"),
    (lambda: signature.checked_secrets([b"x" * 16, b""]), SecretError, "a webhook secret is empty"),
    (lambda: payload.from_form(b"a=b"), BadDelivery, "exactly one field `payload`"),
    (lambda: payload.from_form(b"payload=1&payload=2"), BadDelivery, "exactly one field `payload`"),
    (lambda: headers.check_method("GET"), MethodNotAllowed, "Only POST"),
    (lambda: question.read("POST", ["Bearer a"], ["1"]), MethodNotAllowed, "only GET"),
    (lambda: question.read("GET", [], ["1"]), TokenRefused, "OIDC token"),
    (lambda: question.read("GET", ["Bearer a", "Bearer a"], ["1"]), TokenRefused, "OIDC token"),
    (lambda: question.read("GET", ["Basic a"], ["1"]), TokenRefused, "OIDC token"),
    (lambda: question.read("GET", ["Bearer a"], []), UsageError, "?pull-request=17"),
    (lambda: question.read("GET", ["Bearer a"], ["1", "2"]), UsageError, "?pull-request=17"),
    (lambda: question.read("GET", ["Bearer a"], ["0"]), UsageError, "?pull-request=17"),
    (lambda: question.read("GET", ["Bearer a"], ["12345678901"]), UsageError, "?pull-request=17"),
    (lambda: run_filter({"pull-request": "x"}, 0.0), BadFilter, "a number or OWNER/REPO#N"),
    (lambda: outputs.parse(b"a=\xff"), ActionFailed, "not UTF-8"),
    (lambda: outputs.parse(b"a=1\nb"), ActionFailed, "line 2 of its outputs"),
    (lambda: outputs.parse(b"a=\0"), ActionFailed, "holds a NUL"),
    (lambda: python.find("no-colon"), InputError, "`function` must be pkg.module:name"),
    (
        lambda: secret_adapter._part("aws-secretsmanager:a", "key", {"SecretString": "[]"}),
        SecretError,
        "has no text under the key 'key'",
    ),
    (
        lambda: secret_adapter._part("aws-secretsmanager:a", "key", {"SecretString": "x"}),
        SecretError,
        "is not JSON",
    ),
]


@pytest.mark.parametrize(("call", "error", "said"), REFUSED)
def test_each_refusal_has_its_error_and_says_what_is_wrong(
    call: Call, error: type[CloseoutError], said: str
) -> None:
    """Somebody reads it, and corrects something."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert said in caught.value.message


def test_tags_without_a_name_are_not_read_as_none() -> None:
    """However a service spells them."""
    assert dict(tags._pairs([{"Key": "a", "Value": "b"}, {"Key": "c"}])) == {"a": "b", "c": ""}
    assert dict(tags._pairs({"a": 1})) == {"a": "1"}
    with pytest.raises(TypeError, match="no text"):
        list(tags._pairs("a"))
    with pytest.raises(LookupError, match="has no name"):
        list(tags._pairs([{"Name": "a"}]))


def test_a_question_may_be_written_in_two_ways() -> None:
    """Proxies write the scheme small."""
    for scheme in ("Bearer", "bearer"):
        asked = question.read("GET", [f"{scheme} a.b-c_d="], ["1234567890"])
        assert asked == ("a.b-c_d=", 1_234_567_890)
        assert "a.b" not in repr(asked)
        assert "1234567890" in repr(asked)
