"""`http/request`: one request with a key, secrets by reference, and answers that say yes, no or later."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.general.http_request import ACTION, KEY
from closeout.core.errors import ActionFailed, InputError, ServiceError, StepFailed
from closeout.core.retry import Backoff, Retry
from closeout.ports import HttpAnswer
from tests.unit.actions.general.parts import FixedSecrets, LocalClients, ScriptedHttp
from tests.work import Crashed, ImmediateWork

URL = "https://previews.example.com/shop/17"
SECRET = "correct-horse-battery"


def answer(status: int = 200, body: str = "", **headers: str) -> HttpAnswer:
    """Return an answer."""
    return HttpAnswer(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()
    )


def no_answer() -> ServiceError:
    """Return what a timeout raises."""
    return ServiceError("no answer", service="http", operation="POST", reason="ReadTimeout", transient=True)


def run(*answers: HttpAnswer | Exception, **inputs: Any) -> tuple[Any, ScriptedHttp, ImmediateWork]:
    """Plan and apply; return the result, what was sent, and the work."""
    http = ScriptedHttp(list(answers) or [answer()])
    clients = LocalClients(http, FixedSecrets({"env:KEY": SECRET}))
    given = {"method": "POST", "url": URL} | {name.replace("_", "-"): value for name, value in inputs.items()}
    (change,) = ACTION.plan(given, clients)
    work = ImmediateWork(clients, retry=ACTION.retry)
    return ACTION.apply(change, given, work), http, work


def test_json_is_sent_with_its_type_and_an_idempotency_key() -> None:
    """The key names the execution and the step: the same on every attempt, another on a rerun."""
    result, http, work = run(body={"preview": 17, "é": [1, None]})
    (sent,) = http.sent
    assert (sent.method, sent.url) == ("POST", URL)
    assert sent.body == '{"preview": 17, "é": [1, null]}'.encode()
    assert sent.headers == {"Content-Type": "application/json", KEY: f"{work.execution}-teardown"}
    assert result == {"status": 200, "summary": f"{URL}: 200"}


def test_text_is_sent_unchanged() -> None:
    """With a custom content type if there is one."""
    _, http, _ = run(text="a=1", headers={"content-type": "application/x-www-form-urlencoded"})
    assert http.sent[0].body == b"a=1"
    assert http.sent[0].headers["content-type"] == "application/x-www-form-urlencoded"
    _, http, _ = run(text="hello")
    assert http.sent[0].headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_secret_that_an_answer_repeats_is_not_cut_in_half() -> None:
    """Secrets are removed before the text is cut, or the log would keep a part of one."""
    body = "x" * (2_048 - 10) + SECRET + "y" * 100
    _, _, work = run(answer(200, body), secret_headers={"X-Api-Key": "env:KEY"})
    assert not any(SECRET[:6] in line for line in work.lines)


def test_a_secret_header_appears_only_in_the_request() -> None:
    """It is read when it is sent, and is in no plan, plain header, record or log."""
    result, http, work = run(answer(body=f"your key is {SECRET}"), secret_headers={"X-Api-Key": "env:KEY"})
    assert http.sent[0].secret == {"X-Api-Key": SECRET}
    assert SECRET not in repr(http.sent[0].headers) + repr(result) + repr(work.operations) + repr(work.lines)


@pytest.mark.parametrize("value", ["two\nlines", "ü", "nul\0", "tab\t"])
def test_a_secret_that_is_no_valid_header_is_refused_without_showing_it(value: str) -> None:
    """The reference is named, the value is not."""
    http = ScriptedHttp([answer()])
    clients = LocalClients(http, FixedSecrets({"env:KEY": value}))
    inputs = {"method": "GET", "url": URL, "secret-headers": {"X-Key": "env:KEY"}}
    (change,) = ACTION.plan(inputs, clients)
    with pytest.raises(StepFailed) as caught:
        ACTION.apply(change, inputs, ImmediateWork(clients))
    assert "env:KEY" in caught.value.message
    assert value not in caught.value.message
    assert http.sent == []


@pytest.mark.parametrize(
    "first", [no_answer(), answer(500), answer(502), answer(503), answer(429), answer(408), answer(425)]
)
def test_transient_errors_are_retried_with_the_same_key(first: HttpAnswer | Exception) -> None:
    """So that the other side can recognize a repetition."""
    _, http, work = run(first, answer(204))
    assert len(http.sent) == 2
    why = f"answered {first.status}" if isinstance(first, HttpAnswer) else "no answer"
    assert work.lines == [f"POST {URL}", why, f"POST {URL}", "answered 204"]
    assert http.sent[0].headers[KEY] == http.sent[1].headers[KEY]


def test_a_retry_after_is_obeyed_without_holding_a_thread() -> None:
    """It is a lower bound for the next attempt, waited durably; an invalid one is ignored, an hour is the limit."""
    _, _, work = run(
        answer(503, retry_after="120"),
        answer(429, retry_after="soon"),
        answer(503, retry_after="9" * 9),
        answer(),
    )
    assert work.slept == [120.0, 4.0, 3_600.0]


def test_a_host_that_stays_down_fails_the_step_after_its_retries() -> None:
    """`retry` limits them, and the failure has the last error."""
    http = ScriptedHttp([answer(503)])
    clients = LocalClients(http)
    inputs = {"method": "POST", "url": URL}
    (change,) = ACTION.plan(inputs, clients)
    work = ImmediateWork(clients, retry=Retry(attempts=3, backoff=Backoff(first=2.0, factor=2.0)))
    with pytest.raises(ActionFailed, match="answered 503, after 3 attempts"):
        ACTION.apply(change, inputs, work)
    assert (len(http.sent), work.slept) == (3, [2.0, 4.0])
    assert work.changes == ["request-1", "request-2", "request-3"]
    assert ACTION.retry.attempts == 8


def test_a_crash_after_sending_sends_again_with_the_same_key() -> None:
    """The other side can recognize the repeated request."""
    http = ScriptedHttp([answer()])
    clients = LocalClients(http)
    inputs = {"method": "POST", "url": URL}
    (change,) = ACTION.plan(inputs, clients)
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        ACTION.apply(change, inputs, ImmediateWork(clients, operations=kept, crash=lambda _name: True))
    ACTION.apply(change, inputs, ImmediateWork(clients, operations=kept))
    assert [sent.headers[KEY] for sent in http.sent] == ["a" * 26 + "-1-teardown"] * 2


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 410, 422])
def test_a_refusal_is_not_retried(status: int) -> None:
    """One request, and a message with the actual status and the expected one."""
    with pytest.raises(StepFailed, match=f"answered {status}, expected 2xx"):
        run(answer(status))


@pytest.mark.parametrize(
    ("expect", "status", "good"),
    [
        (404, 404, True),
        ([200, 404], 404, True),
        ([200, 404], 204, False),
        (503, 503, True),
        (None, 299, True),
    ],
)
def test_the_expected_statuses_are_success(expect: Any, status: int, good: bool) -> None:
    """A step can accept 404 on a delete, or even 503."""
    if good:
        assert run(answer(status), expect=expect)[0]["status"] == status
    else:
        with pytest.raises(StepFailed, match="expected 200 or 404"):
            run(answer(status), expect=expect)


def test_the_log_has_the_first_two_kilobytes_of_the_answer() -> None:
    """Enough to see what went wrong, not a dump."""
    _, _, work = run(answer(body="é" * 5_000))
    assert 1_000 < len(work.lines[-1]) < 1_100


def test_the_query_is_never_shown() -> None:
    """Queries may contain tokens, although they should not."""
    result, http, work = run(url=URL + "?token=hush")
    assert http.sent[0].url.endswith("?token=hush")
    assert (
        "hush"
        not in repr(result)
        + repr(work.lines)
        + ACTION.plan({"url": URL + "?token=hush"}, work.clients)[0].resource
    )


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "h/x", "https://u:p@h/", "https://h/a b", "https://", "https://h\\@evil/"]
)
def test_an_invalid_url_fails_the_plan(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InputError, match=r"^`url`: "):
        run(url=url)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"url": URL}, None),
        (
            {"url": URL, "body": {}, "expect": [200, 404], "secret-headers": {"Authorization": "env:TOKEN"}},
            None,
        ),
        ({"url": URL, "body": {}, "text": ""}, "exclude"),
        ({"url": URL, "method": "GET", "body": {}}, "has no body"),
        ({"url": URL, "method": "HEAD", "text": ""}, "has no body"),
        ({"url": URL, "method": "GET"}, None),
        ({"url": URL, "method": "POST", "text": ""}, None),
        ({"url": URL, "method": "PUT", "body": {}}, None),
        ({"url": URL, "expect": [100, 599]}, None),
        ({"url": URL, "expect": 600}, "expect"),
        ({"url": URL, "expect": "2xx"}, "expect"),
        ({"url": URL, "expect": [200, 99]}, "expect"),
        ({"url": URL, "expect": True}, "expect"),
        ({"url": URL, "headers": {"Authorization": "Bearer x"}}, "secret-headers"),
        ({"url": URL, "headers": {"idempotency-key": "x"}}, "itself"),
        ({"url": URL, "headers": {"Host": "x"}}, "itself"),
        ({"url": URL, "headers": {"X Y": "x"}}, "name of a header"),
        ({"url": URL, "headers": ["X Y"]}, None),  # the schema checks the type
        ({"url": URL, "secret-headers": "env:TOKEN"}, None),
        ({"url": URL, "secret-headers": {"X-Key": SECRET}}, "reference"),
        ({"url": "https://pr-${{ event.number }}.h.example:${{ event.a }}/${{ event.b }}?c"}, None),
        ({"url": "${{ event.url }}"}, "begins with http"),
        ({"url": "https://h\\@${{ event.number }}.example/"}, "visible ASCII"),
        ({"url": "https://${{ event.number }}@h/"}, "credentials"),
        ({"url": "https://a..b/"}, "label"),
    ],
)
def test_mistakes_are_found_at_load(inputs: Any, word: str | None) -> None:
    """A secret written into the file itself is not repeated in the message."""
    assert ACTION.check is not None
    problems = ACTION.check(inputs)
    assert (problems == []) if word is None else (word in problems[0])
    assert SECRET not in repr(problems)


def test_the_plan_is_the_request() -> None:
    """Verb, URL without its query, and what is expected."""
    (change,) = ACTION.plan(
        {"method": "DELETE", "url": URL, "expect": [204, 404]}, LocalClients(ScriptedHttp([]))
    )
    assert (change.verb, change.resource, change.reason) == ("delete", URL, "DELETE, expecting 204 or 404")
    assert ACTION.plan({"url": URL}, LocalClients(ScriptedHttp([])))[0].verb == "post"
    assert ACTION.verify((change,), LocalClients(ScriptedHttp([]))) == ()
    assert ACTION.permissions({}) == ()


def test_a_request_that_can_never_be_sent_fails_at_once() -> None:
    """Permanent errors are not retried: a wrong certificate, a redirect loop."""
    final = ServiceError("wrong certificate", service="http", operation="POST", reason="tls", transient=False)
    http = ScriptedHttp([final, answer()])
    clients = LocalClients(http)
    inputs = {"method": "POST", "url": URL}
    (change,) = ACTION.plan(inputs, clients)
    with pytest.raises(StepFailed, match="wrong certificate"):
        ACTION.apply(change, inputs, ImmediateWork(clients))
    assert len(http.sent) == 1
