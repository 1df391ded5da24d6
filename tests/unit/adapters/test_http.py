"""Plain HTTP: secrets within their origin, bounded answers, no metadata addresses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from closeout.adapters.http import HttpClient
from closeout.adapters.transport import refused_address
from closeout.core.errors import CloseoutError, InputError, ServiceError
from closeout.testing.github import FakeGitHub
from tests.unit.adapters.shown import shown


class Host:
    """A server that answers by path: `/status/N`, `/to/N?URL`, `/big`, else 200 with the request's data."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1  # one packet for an answer: a second one waits for an acknowledgment

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                host.seen.append(
                    (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                )
                path, _, query = self.path.partition("?")
                _, kind, *rest = path.split("/")
                self.send_response(int(rest[0]) if kind in ("status", "to") else 200)
                if kind == "to":
                    self.send_header("Location", query)
                data = b"x" * 1_000_001 if kind == "big" else b"hello"
                self.send_header("X-Answer", "Yes")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    """Yield a host."""
    made = Host()
    yield made
    made.stop()


@pytest.fixture
def other() -> Iterator[Host]:
    """Yield a second host, of another origin."""
    made = Host()
    yield made
    made.stop()


def ask(url: str, method: str = "GET", **options: Any) -> Any:
    """Send one request with a secret header."""
    options = {
        "headers": {"X-Plain": "1"},
        "body": None,
        "timeout": 1.0,
        "secret_headers": {"X-Key": "s3cret"},
    } | options
    return HttpClient().request(method, url, **options)


def test_any_status_returns_an_answer(host: Host) -> None:
    """Status, lower-case headers and body; the caller decides what they mean."""
    answer = ask(f"{host.url}/status/404", "POST", body=b"{}")
    assert (answer.status, answer.headers["x-answer"], answer.body) == (404, "Yes", b"hello")
    method, _, headers, body = host.seen[0]
    assert (method, headers["x-plain"], headers["x-key"], body) == ("POST", "1", "s3cret", b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_not_followed(host: Host, other: Host, status: int) -> None:
    """Another port is another origin: nothing is sent there, secret or not."""
    assert ask(f"{host.url}/to/{status}?{other.url}/x").status == status
    assert other.seen == []


@pytest.mark.parametrize(
    ("status", "method", "followed"),
    [(301, "GET", True), (303, "GET", True), (307, "POST", True), (308, "PUT", True), (302, "POST", False)],
)
def test_a_redirect_within_the_origin_is_followed_if_the_request_stays_the_same(
    host: Host, status: int, method: str, followed: bool
) -> None:
    """A POST is repeated on 307 and 308 only: on 302 the method is ambiguous."""
    answer = ask(f"{host.url}/to/{status}?/fine", method, body=b"data" if method != "GET" else None)
    assert answer.status == (200 if followed else status)
    assert len(host.seen) == (2 if followed else 1)
    assert host.seen[-1][2]["x-key"] == "s3cret"


def test_a_redirect_loop_ends(host: Host) -> None:
    """Three redirects are followed; one more is an error."""
    assert ask(f"{host.url}/to/307?/to/307?/to/307?/x").body == b"hello"
    with pytest.raises(ServiceError, match="more than 3 redirects") as error:
        ask(f"{host.url}/to/307?/to/307?/to/307?/to/307?/x")
    assert not error.value.transient
    assert len(host.seen) == 8


def test_an_answer_over_one_megabyte_is_refused(host: Host) -> None:
    """A step's answer is for a log, not for a disk."""
    with pytest.raises(ServiceError) as caught:
        ask(f"{host.url}/big")
    assert not caught.value.transient


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "file:///etc/passwd",
        "h/x",
        "http://",
        "http://u:p@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "gopher://h",
    ],
)
def test_only_plain_http_urls_are_accepted(url: str) -> None:
    """Only http and https, without credentials, which would end up in logs."""
    with pytest.raises(InputError):
        ask(url)


@pytest.mark.parametrize("value", ["two\r\nX-Evil: 1", "nul\0", "ende\n", "ü€"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(host: Host, value: str) -> None:
    """http.client would quote it in its error."""
    with pytest.raises(InputError) as caught:
        ask(host.url, secret_headers={"X-Key": value})
    assert value not in shown(caught.value)
    assert host.seen == []


@pytest.mark.parametrize("name", ["X Key", "", "X:", "X\r\n", "ü"])
def test_an_invalid_header_name_is_refused(host: Host, name: str) -> None:
    """It could smuggle in another header."""
    with pytest.raises(InputError):
        ask(host.url, headers={name: "1"})


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "168.63.129.16",
        "100.100.100.200",
    ],
)
def test_a_metadata_address_is_refused(address: str) -> None:
    """These hand out the machine's credentials to any client."""
    assert refused_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8"),
        *("::1", "fd00::1", "2606:50c0::1", "2a80::1", "fec0::1"),
    ],
)
def test_private_addresses_are_allowed(address: str) -> None:
    """This action is for internal services."""
    assert not refused_address(address)


@pytest.mark.parametrize(
    "host_name",
    ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]"],
)
def test_no_spelling_of_the_metadata_address_gets_through(host_name: str) -> None:
    """The resolved address counts, not how it was written; no packet is sent."""
    with pytest.raises(CloseoutError) as caught:
        ask(f"http://{host_name}/latest/meta-data/iam/security-credentials/", timeout=0.3)
    assert isinstance(caught.value, ServiceError)
    assert (caught.value.reason, caught.value.transient) == ("RefusedAddress", False)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("never", "ReadTimeout"),
        ("trickle", "ReadTimeout"),
        ("half", "ConnectionError"),
        ("drop", "ConnectionError"),
    ],
)
def test_a_slow_incomplete_or_missing_answer_is_transient(kind: str, reason: str) -> None:
    """Each is a transient error within the time limit."""
    with FakeGitHub() as fake:
        fake.faults.add(kind, seconds=0.01)
        with pytest.raises(ServiceError) as caught:
            ask(f"{fake.url}/repos/acme/shop", timeout=0.2 if reason == "ReadTimeout" else 5.0)
        assert (caught.value.transient, caught.value.reason) == (True, reason)


def test_an_error_shows_neither_query_nor_secret() -> None:
    """Queries may contain tokens too."""
    with pytest.raises(ServiceError) as caught:
        ask("http://127.0.0.1:9/path?token=s3cret")
    assert "s3cret" not in shown(caught.value)
    assert "/path" in caught.value.message


def test_a_name_that_does_not_resolve_is_transient() -> None:
    """DNS has outages."""
    with pytest.raises(ServiceError) as caught:
        ask("http://nowhere.invalid/", timeout=2.0)
    assert caught.value.transient
