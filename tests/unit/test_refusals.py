"""What refusals say: each has its own error and names what to correct."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from closeout.actions.aws import tags
from closeout.actions.general import outputs, python
from closeout.adapters import github_answers
from closeout.adapters import secrets as secret_adapter
from closeout.config import guards
from closeout.core import payload, signature, triggers, url
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
from closeout.core.facts import Facts
from closeout.core.patterns import compile_patterns
from closeout.core.secrets import Active
from closeout.intake import headers
from closeout.ledger.filters import run_filter
from closeout.ports import HttpAnswer
from closeout.run import guard
from closeout.stack.sigv4 import Credentials

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
    (lambda: signature.sign(b"", b""), SecretError, "a webhook secret is empty"),
    (lambda: payload.from_form(b"a=b"), BadDelivery, "exactly one field `payload`"),
    (lambda: payload.from_form(b"payload=1&payload=2"), BadDelivery, "exactly one field `payload`"),
    (lambda: headers.check_method("GET"), MethodNotAllowed, "Only POST"),
    (lambda: guard.read_question("POST", ["Bearer a"], ["1"]), MethodNotAllowed, "only GET"),
    (lambda: guard.read_question("GET", [], ["1"]), TokenRefused, "OIDC token"),
    (lambda: guard.read_question("GET", ["Bearer a", "Bearer a"], ["1"]), TokenRefused, "OIDC token"),
    (lambda: guard.read_question("GET", ["Basic a"], ["1"]), TokenRefused, "OIDC token"),
    (lambda: guard.read_question("GET", ["Bearer a"], []), UsageError, "?pull-request=17"),
    (lambda: guard.read_question("GET", ["Bearer a"], ["1", "2"]), UsageError, "?pull-request=17"),
    (lambda: guard.read_question("GET", ["Bearer a"], ["0"]), UsageError, "?pull-request=17"),
    (lambda: guard.read_question("GET", ["Bearer a"], ["12345678901"]), UsageError, "?pull-request=17"),
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
        asked = guard.read_question("GET", [f"{scheme} a.b-c_d="], ["1234567890"])
        assert asked == ("a.b-c_d=", 1_234_567_890)
        assert "a.b" not in repr(asked)
        assert "1234567890" in repr(asked)


def answer(body: bytes, status: int = 422, **headers: str) -> HttpAnswer:
    """Return an answer of GitHub's."""
    return HttpAnswer(status, headers, body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "(no JSON answer)"),
        (b"[" * 100_000, "(no JSON answer)"),
        (b"[]", "(no message)"),
        (b"{}", ""),
        (b'{"message": "Validation\\n Failed"}', "Validation Failed"),
        (b'{"message": "Failed", "errors": ["a", {"code": "b"}]}', 'Failed; a; {"code": "b"}'),
        (b'{"message": "Failed", "errors": "a"}', "Failed"),
        (b'{"message": "%s"}' % (b"x" * 400), "x" * 300),
    ],
)
def test_githubs_own_words_are_repeated(body: bytes, said: str) -> None:
    """In one line, and not all of a long text."""
    assert github_answers.explain(answer(body)) == said


@pytest.mark.parametrize(
    ("status", "rights", "said"),
    [
        (403, "statuses=write", "; the token needs statuses: write"),
        (404, "statuses=write; contents=read", "; the token needs statuses: write or contents: read"),
        (422, "statuses=write", ""),
        (403, "<script>", ""),
        (403, "", ""),
    ],
)
def test_the_missing_right_is_named(status: int, rights: str, said: str) -> None:
    """As GitHub says it, if that is plain text."""
    assert github_answers.wanted(answer(b"", status, **{"x-accepted-github-permissions": rights})) == said


@pytest.mark.parametrize(
    ("text", "found"), [("7", 7.0), (" 60 ", 60.0), ("1.5", None), ("-1", None), (None, None)]
)
def test_a_number_of_seconds_is_a_whole_one(text: str | None, found: float | None) -> None:
    """A header may also hold a date."""
    assert github_answers.seconds(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://a.example", "begins with http"),
        ("https://u:p@a.example/", "contains credentials"),
        ("https://a.example/?b=c@d#e", "has a fragment"),
        ("https://a*b/", "needs a host"),
    ],
)
def test_a_text_that_is_no_url_says_why(text: str, said: str) -> None:
    """Without repeating it: it may hold a password."""
    with pytest.raises(InputError, match=said) as caught:
        url.parse(text)
    assert "p@" not in caught.value.message


def test_a_secrets_text_form_hides_it() -> None:
    """A log or a traceback may show the form."""
    assert (repr(Active("hunter2", 1.0)), repr(Credentials("AKIA", "hunter2"))) == (
        "Active(…)",
        "Credentials(…)",
    )


@pytest.mark.parametrize(
    ("events", "field"),
    [
        (["pull_request", "push"], "event.pull_request.number"),
        (["pull_request_review"], "event.pull_request.number"),
        (["push"], "event.ref"),
        (["create", "delete"], "event.ref"),
        (["push", "issues"], "event.repository.id"),
    ],
)
def test_what_tells_events_apart_depends_on_the_event(events: list[str], field: str) -> None:
    """A push has no pull request, and an issue no ref."""
    assert f"add ${{{{ {field} }}}}" in guards._distinguishing_fields([{"event": event} for event in events])


@pytest.mark.parametrize(
    ("repositories", "senders", "repository", "sender", "said"),
    [
        (["acme/shop"], [], None, "ada", "names no repository"),
        (["acme/shop"], [], "acme/site", "ada", "repository 'acme/site' matches none"),
        ([], ["ada"], "acme/shop", None, "names no sender"),
        ([], ["ada"], "acme/shop", "bob", "sender 'bob' matches none"),
        (["acme/shop"], ["ada"], "acme/shop", "ada", None),
    ],
)
def test_an_event_that_starts_nothing_says_which_filter_it_missed(
    repositories: list[str], senders: list[str], repository: str | None, sender: str | None, said: str | None
) -> None:
    """`closeout explain` shows it."""
    facts = Facts(event="push", repository=repository, sender=sender)
    found = triggers._not_for(repositories, senders, [{"event": "push"}], facts)
    assert said is found if said is None else said in (found or "")
