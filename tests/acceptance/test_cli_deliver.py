"""`closeout deliver` as a process, against a small receiver that keeps what it got."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from closeout.cli import exits
from tests.acceptance.cli_process import Result, closeout

SECRET = "schlüssel"
ENV = {"HOOK": SECRET}


class Receiver(HTTPServer):
    """Keeps each request's headers and body; answers `status` with `answer`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        self.answer: bytes = b'{"delivery": 7, "runs": ["abc"]}'

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}/webhook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(({key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        if self.server.status == 307:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A payload with a byte order and spacing that only raw bytes keep."""
    path = tmp_path / "p.json"
    path.write_bytes('{ "action":"closed",  "ünï": 1 }\n'.encode())
    return path


def push_to(url: str, payload: Path) -> Result:
    """Deliver a push, signed with the secret that the environment has."""
    arguments = ("--url", url, "--event", "push", "--payload", payload, "--secret", "env:HOOK")
    return closeout("deliver", *arguments, env=ENV)


def test_the_raw_bytes_are_sent_and_signed(receiver: Receiver, payload: Path) -> None:
    """The file's bytes go out as they are, signed with the secret that the reference names."""
    sent = closeout(
        "deliver", "--url", receiver.url, "--event", "pull_request", "--payload", payload, "--secret", "env:HOOK",
        "--hook-id", "9", "--guid", "g-1", env=ENV,
    )  # fmt: skip
    assert sent.code == exits.OK, sent.err
    ((headers, body),) = receiver.seen
    assert body == payload.read_bytes()
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={expected}"
    assert headers["x-github-event"] == "pull_request"
    assert headers["x-github-hook-id"] == "9"
    assert headers["x-github-delivery"] == "g-1"
    assert "@" in headers["user-agent"]
    assert sent.out.startswith("202 in ")
    assert "runs: abc" in sent.out


def test_each_delivery_of_a_closed_pull_request_is_a_closing_of_its_own(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Otherwise the same payload would start a run once only. Every other byte is sent as it is."""
    at = "2026-03-14T09:26:53Z"
    raw = f'{{ "action":"closed", "pull_request": {{"closed_at":"{at}",  "merged_at": "{at}", "number": 1}}}}'
    path = tmp_path / "closed.json"
    path.write_text(raw, "utf-8")
    for source in (("--event", "pull_request", "--payload", path), ("--sample", "pull_request.closed")):
        for _ in range(2):
            arguments = ("--url", receiver.url, *source, "--secret", "env:HOOK")
            assert closeout("deliver", *arguments, env=ENV).code == exits.OK
    bodies = [body.decode() for _, body in receiver.seen]
    moments = [json.loads(body)["pull_request"]["closed_at"] for body in bodies]
    assert len({at, *moments}) == 5
    assert bodies[0] == raw.replace(at, moments[0])


def test_the_answer_can_be_read_by_a_program(receiver: Receiver, payload: Path) -> None:
    """--json prints status, GUID, time and the decoded answer; without --guid each delivery is a new one."""
    arguments = (
        "deliver",
        "--url",
        receiver.url,
        "--event",
        "push",
        "--payload",
        payload,
        "--secret",
        "env:HOOK",
        "--json",
    )
    first, second = closeout(*arguments, env=ENV).json, closeout(*arguments, env=ENV).json
    assert first["status"] == 202
    assert first["answer"] == {"delivery": 7, "runs": ["abc"]}
    assert first["milliseconds"] > 0
    assert first["guid"] != second["guid"]


def test_standard_input_and_the_form_are_taken(receiver: Receiver) -> None:
    """`--payload -` reads standard input; --form wraps it as hooks with that content type do."""
    sent = closeout(
        "deliver", "--url", receiver.url, "--event", "push", "--payload", "-", "--secret", "env:HOOK", "--form",
        env=ENV, stdin='{"a": "b & c"}',
    )  # fmt: skip
    assert sent.code == exits.OK
    ((headers, body),) = receiver.seen
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode())["payload"] == ['{"a": "b & c"}']


def test_a_sample_carries_a_repository_that_nothing_matches(receiver: Receiver) -> None:
    """A built-in sample brings its event with it and belongs to sample/never-matches."""
    sent = closeout(
        "deliver", "--url", receiver.url, "--sample", "pull_request.closed", "--secret", "env:HOOK", env=ENV
    )
    assert sent.code == exits.OK, sent.err
    ((headers, body),) = receiver.seen
    assert headers["x-github-event"] == "pull_request"
    assert json.loads(body)["repository"]["full_name"] == "sample/never-matches"


def test_a_delivery_that_starts_nothing_says_where_to_learn_why(receiver: Receiver) -> None:
    """A person reads what the empty list means; a program gets the answer alone."""
    receiver.answer = b'{"delivery": 1, "runs": []}'
    sent = closeout(
        "deliver", "--url", receiver.url, "--sample", "pull_request.closed", "--secret", "env:HOOK", env=ENV
    )
    assert sent.code == exits.OK, sent.err
    assert "No automation matches it." in sent.err
    assert "closeout explain" in sent.err


def test_an_unknown_sample_names_those_that_are() -> None:
    """A misspelt sample is a usage error with the list."""
    told = closeout(
        "deliver", "--url", "http://127.0.0.1:9/", "--sample", "nothing", "--secret", "env:HOOK", env=ENV
    )
    assert told.code == exits.USAGE
    assert "pull_request.closed" in told.err


@pytest.mark.parametrize("status", [307, 401, 500, 503])
def test_another_answer_than_2xx_is_a_failure(receiver: Receiver, payload: Path, status: int) -> None:
    """The exit code is 1, the answer is shown, and a redirect is not followed."""
    receiver.status, receiver.answer = status, b'{"error": "unauthorized", "message": "Unauthorized request"}'
    told = push_to(receiver.url, payload)
    assert told.code == exits.FAILED
    assert told.out.startswith(str(status))
    assert "Unauthorized request" in told.out
    assert ("a different secret from env:HOOK" in told.err) == (status == 401)
    assert len(receiver.seen) == 1


def test_no_answer_is_unavailable(payload: Path) -> None:
    """A closed port ends in one sentence and exit code 4."""
    told = push_to("http://127.0.0.1:1/webhook", payload)
    assert told.code == exits.UNAVAILABLE
    assert (
        told.err
        == "closeout: No answer from http://127.0.0.1:1: Connection refused. Is `closeout serve` running there?\n"
    )


@pytest.mark.parametrize(("path", "told"), [("/", True), ("/hooks", True), ("/webhook", False)])
def test_a_wrong_path_is_told_the_right_one(receiver: Receiver, payload: Path, path: str, told: bool) -> None:
    """A 404 at another path than the webhook's names the webhook's; one at the webhook's says nothing new."""
    receiver.status, receiver.answer = 404, b'{"error": "not-found", "message": "Not found"}'
    base = receiver.url.removesuffix("/webhook").rstrip("/")
    sent = push_to(base + path, payload)
    assert sent.code == exits.FAILED
    assert (f"The path of closeout's webhook is /webhook: {base}/webhook\n" == sent.err) is told


def test_a_url_elsewhere_needs_a_confirmation(payload: Path) -> None:
    """Without a terminal and without --yes nothing is sent: it says what would be, and ends with 3."""
    told = closeout(
        "deliver", "--url", "http://192.0.2.1/webhook", "--event", "push", "--payload", payload, "--secret", "env:HOOK",
        env=ENV,
    )  # fmt: skip
    assert told.code == exits.REFUSED
    assert "POST http://192.0.2.1/webhook" in told.err
    assert "Add --yes" in told.err


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(payload: Path) -> None:
    """--secret takes a reference; what was given instead may be the secret, so no output holds it."""
    told = closeout(
        "deliver",
        "--url",
        "http://127.0.0.1:1/",
        "--event",
        "push",
        "--payload",
        payload,
        "--secret",
        "hunter2",
    )
    assert told.code == exits.USAGE
    assert "hunter2" not in told.err + told.out


def test_a_secret_that_is_not_set_is_named(payload: Path) -> None:
    """An environment variable that is missing is named in the sentence, with exit code 4."""
    told = closeout(
        "deliver",
        "--url",
        "http://127.0.0.1:1/",
        "--event",
        "push",
        "--payload",
        payload,
        "--secret",
        "env:NOT_SET",
    )
    assert told.code == exits.UNAVAILABLE
    assert "NOT_SET" in told.err


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "127.0.0.1:80/webhook",
        "http://",
        "http://127.0.0.1:99999/",
        "http://10.0.0.1\\@127.0.0.1/",
        "http://bücher.example/",
        f"http://{'a' * 64}.example/",
        "http://a..b/",
    ],
)
def test_an_address_that_is_none_is_a_usage_error(payload: Path, url: str) -> None:
    """A URL that cannot be posted to is said before anything else, in closeout's words."""
    told = closeout(
        "deliver", "--url", url, "--event", "push", "--payload", payload, "--secret", "env:HOOK", env=ENV
    )
    assert told.code == exits.USAGE
    assert "codec" not in told.err
