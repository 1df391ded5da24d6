"""`http/request`: call any HTTP API once, with an idempotency key and secrets by reference.

A request that was sent and not answered may have taken effect. Every try of one execution therefore carries the
same `Idempotency-Key`, by which the other side can recognize a repetition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from closeout.actions.spec import Action, Input, Inputs, Work, no_permissions, nothing_left
from closeout.core import templates
from closeout.core.errors import ActionFailed, InputError, SecretError, ServiceError
from closeout.core.plan import Change
from closeout.core.redact import Redactor
from closeout.core.retry import Backoff, Retry
from closeout.core.url import parse
from closeout.ports import Clients, HttpAnswer, Json

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
KEY = "Idempotency-Key"
READ = 65_536
"""Bytes of an answer that are searched for secrets: more than are shown, so that no shown secret is cut in half."""
SHOWN = 2_048
"""Bytes of an answer that go into the log."""

_CALL_SECONDS = 60.0
_LONGEST_WAIT = 3_600.0
_OURS = ("host", "content-length", "transfer-encoding", "connection", KEY.lower())
_REFERENCE = re.compile(r"(env|file|aws-secretsmanager):.+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PASSING = (408, 425, 429)


def plan(inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the one request."""
    method, url = inputs.get("method") or "POST", str(inputs["url"])
    if problem := _url_problem(url):
        raise InputError(problem)
    parsed = parse(url)
    shown = parsed.shown + ("?…" if parsed.query else "")  # a query may contain tokens
    verb = {"DELETE": "delete", "POST": "post", "PATCH": "patch", "PUT": "send"}.get(method, "call")
    reason = f"{method}, expecting {_expectation(inputs.get('expect'))}"
    return (Change(verb=verb, resource=shown, reason=reason, identity={"method": method, "url": url}),)


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Send the request until an answer is final, as often as `retry` allows."""
    for number in range(1, work.retry.attempts + 1):
        outcome = work.change(f"request-{number}", lambda: _send(change, inputs, work))
        if outcome["later"] is None:
            return {"status": outcome["status"], "summary": f"{change.resource}: {outcome['status']}"}
        if number < work.retry.attempts:
            work.sleep(f"wait-{number}", work.retry.delay(number, retry_after=outcome["after"]))
    raise ActionFailed(f"{outcome['later']}, after {work.retry.attempts} attempts")


def _send(change: Change, inputs: Inputs, work: Work) -> Json:
    """Send it once. Return `later` (a sentence, or None when it is done), so that each attempt is recorded."""
    headers, body = _content(inputs)
    headers[KEY] = f"{work.execution}-{work.step}"
    secret = _secret_headers(inputs, work.clients)
    work.log(f"{change.identity['method']} {change.resource}")
    try:
        answer = work.clients.http.request(
            change.identity["method"],
            change.identity["url"],
            headers=headers,
            body=body,
            timeout=max(1.0, min(_CALL_SECONDS, work.limit().seconds)),
            secret_headers=secret,
        )
    except ServiceError as error:
        if not error.transient:
            raise
        work.log(error.message)
        return {"later": error.message, "after": error.retry_after}
    return _judge(answer, change, inputs, work, tuple(secret.values()))


def _judge(answer: HttpAnswer, change: Change, inputs: Inputs, work: Work, secrets: Sequence[str]) -> Json:
    """Return the outcome of an answer: done, or `later` with a reason. Raises `ActionFailed`."""
    read = Redactor(secrets).text(answer.body[:READ].decode("utf-8", "replace"))
    shown = work.clean(read).encode("utf-8", "replace")[:SHOWN].decode("utf-8", "ignore")
    work.log(f"answered {answer.status}" + (f": {shown}" if shown else ""))
    if answer.status in _statuses(inputs.get("expect")):
        return {"later": None, "status": answer.status}
    sentence = f"{change.identity['method']} {change.resource} answered {answer.status}"
    if answer.status in _PASSING or answer.status >= 500:
        after = answer.headers.get("retry-after", "")
        seconds = min(float(after), _LONGEST_WAIT) if re.fullmatch(r"\d{1,9}", after) else None
        return {"later": sentence, "after": seconds}
    raise ActionFailed(f"{sentence}, expected {_expectation(inputs.get('expect'))}")


def _content(inputs: Inputs) -> tuple[dict[str, str], bytes | None]:
    headers = {str(name): str(value) for name, value in (inputs.get("headers") or {}).items()}
    if inputs.get("text") is not None:
        kind, body = "text/plain; charset=utf-8", str(inputs["text"]).encode()
    elif inputs.get("body") is not None:
        kind, body = "application/json", json.dumps(inputs["body"], ensure_ascii=False).encode()
    else:
        return headers, None
    if "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = kind
    return headers, body


def _secret_headers(inputs: Inputs, clients: Clients) -> dict[str, str]:
    """Read the secret headers only now, so that they are in no plan, record or log."""
    found: dict[str, str] = {}
    for name, reference in (inputs.get("secret-headers") or {}).items():
        value = clients.secrets.read(reference)[0]
        if not value.isprintable() or not value.isascii():
            raise SecretError(
                f"{reference} cannot be the header {name}: it has characters beyond printable ASCII"
            )
        found[str(name)] = value
    return found


def _url_problem(url: str) -> str | None:
    try:
        parse(url)
    except InputError as error:
        return f"`url`: {error.message}"
    return None


def _statuses(expect: Any) -> Sequence[Any]:
    if expect is None:
        return range(200, 300)
    return expect if isinstance(expect, list | tuple) else [expect]


def _expectation(expect: Any) -> str:
    return "2xx" if expect is None else " or ".join(map(str, _statuses(expect)))


def _check(inputs: Inputs) -> Sequence[str]:
    parts = templates.parts(str(inputs.get("url")))
    problem = _url_problem("".join("1" if part.expression else part.text for part in parts))
    problems = [problem] if problem else []
    contents = [name for name in ("body", "text") if inputs.get(name) is not None]
    if len(contents) > 1:
        problems.append("`body` and `text` exclude each other")
    expected = _statuses(inputs.get("expect"))
    if not all(type(status) is int and 100 <= status <= 599 for status in expected):
        problems.append("`expect` is a status or a list of statuses, such as [200, 404]")
    if inputs.get("method") in ("GET", "HEAD") and contents:
        problems.append(f"a {inputs['method']} has no body")
    return [*problems, *_check_headers(inputs)]


def _check_headers(inputs: Inputs) -> list[str]:
    headers, secret = inputs.get("headers") or {}, inputs.get("secret-headers") or {}
    if not isinstance(headers, Mapping) or not isinstance(secret, Mapping):
        return []
    names = [str(name) for name in (*headers, *secret)]
    problems = [f"`{name}` is not the name of a header" for name in names if not _TOKEN.fullmatch(name)]
    problems += [f"`{name}` is set by closeout itself" for name in names if name.lower() in _OURS]
    if any(name.lower() in ("authorization", "cookie", "proxy-authorization") for name in headers):
        problems.append("credentials do not belong into `headers`; put a reference into `secret-headers`")
    problems += [
        f"`secret-headers.{name}` must be a reference such as env:NAME, never the value"
        for name, reference in secret.items()
        if not _REFERENCE.fullmatch(str(reference))
    ]
    return problems


ACTION = Action(
    uses="http/request",
    summary="Call an HTTP API",
    description=(
        "Sends one request and fails unless the status is expected (any 2xx by default, or what `expect` lists)."
        " After no answer, 408, 425, 429 or 5xx it tries again as `retry` says (8 attempts within about four minutes), but"
        " not before `Retry-After`."
        f" All attempts of one execution have the same `{KEY}` header (execution and step), so that the other side can"
        " recognize a repetition; a rerun has another one.\n\n"
        "closeout follows redirects only within the same scheme, host and port, and sends secret headers nowhere else."
        " It refuses the addresses of cloud metadata services. The first 2 KB of the answer go into the log, redacted;"
        " query strings are never shown."
    ),
    inputs={
        "method": Input(
            type="string", description="the HTTP method", default="POST", choices=METHODS, templates=False
        ),
        "url": Input(
            type="string",
            description="the URL; a `${{ }}` must have the form of a name, and before the path it may be only one label of the host",
            required=True,
            names=True,
            url=True,
        ),
        "headers": Input(type="map", description="headers that are not secret"),
        "secret-headers": Input(
            type="map",
            description="header name → secret reference, read when sending",
            secret=True,
            templates=False,
        ),
        "body": Input(type="any", description="sent as JSON"),
        "text": Input(type="string", description="sent unchanged, instead of `body`"),
        "expect": Input(type="any", description="a status or a list of them", templates=False),
    },
    destructive="unless-declared",
    permissions=no_permissions,
    plan=plan,
    apply=apply,
    verify=nothing_left,
    timeout=900.0,
    retry=Retry(attempts=8, backoff=Backoff(first=2.0, factor=2.0, cap=300.0)),
    check=_check,
    example="""\
- uses: http/request
  with:
    method: DELETE
    url: https://previews.example.com/shop/${{ event.pull_request.number }}
    secret-headers: { X-Api-Key: 'env:PREVIEWS_API_KEY' }
    expect: [200, 204, 404]
""",
)
