"""The receiver against servers that never answer: GitHub waits ten seconds, and is told before."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from closeout.core.errors import ServiceError
from closeout.core.rules import compile_rules
from closeout.lambdas.aws_client import WITHIN, AwsClient
from closeout.lambdas.receiver_app import ReceiverApp
from closeout.testing import deliveries
from tests.unit.lambdas.conftest import AUTOMATIONS, event
from tests.unit.lambdas.servers import Server

Servers = Callable[[Callable[[int, socket.socket], None]], Server]
SLACK = 3.0
"""Seconds that a busy machine may take besides."""
LONG = 4.0
"""Seconds after which a server that trickles gives up, so that a receiver that waits for it fails the test, and soon."""
LEFT = 0.5
"""Seconds of a request's time that a late call has."""


def silent(_number: int, connection: socket.socket) -> None:
    """Read what comes and say nothing."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def going_on(_number: int, connection: socket.socket) -> None:
    """Say only that an answer will come."""
    with contextlib.suppress(OSError), connection:
        connection.recv(65_536)
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)


def dripping(start: bytes) -> Callable[[int, socket.socket], None]:
    """Return what answers a byte every fifth of a second, and not to the end: each piece comes in time."""

    def serve(_number: int, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(start)
            until = time.monotonic() + LONG
            while time.monotonic() < until:
                connection.sendall(b"x")
                time.sleep(0.2)

    return serve


@contextlib.contextmanager
def unreachable() -> Iterator[str]:
    """Yield the URL of a server whose queue is full: a connection is neither accepted nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, contextlib.ExitStack() as held:
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def client(url: str, now: Callable[[], float] = time.time) -> AwsClient:
    """Return a client of a server."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    return AwsClient({"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **keys}, now=now)


def late(url: str) -> tuple[float, float]:
    """Call when `LEFT` of a request's time is left, and again after it; return the seconds of both calls."""
    past = [0.0]
    aws = client(url, lambda: time.time() + past[0])
    aws.begin()
    past[0] = WITHIN - LEFT
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        with pytest.raises(ServiceError) as caught:
            aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {})
        assert caught.value.transient
        taken.append(time.perf_counter() - began)
    return taken[0], taken[1]


ANSWERS: dict[str, Callable[[int, socket.socket], None]] = {
    "silent": silent,
    "going on": going_on,
    "dripping head": dripping(b""),
    "dripping body": dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
    "dripping without an end": dripping(b"HTTP/1.1 200 OK\r\n\r\n"),
}


def test_a_call_ends_with_the_time_of_its_request_and_the_next_does_not_begin(servers: Servers) -> None:
    """Whatever trickles in meanwhile, and without a connection for the call after the time. All at once: each takes time."""
    called = {name: servers(answer) for name, answer in ANSWERS.items()}
    with ThreadPoolExecutor(len(called)) as pool:
        taken = dict(zip(called, pool.map(late, [server.url for server in called.values()]), strict=True))
    for name, (first, second) in taken.items():
        assert LEFT - 0.1 < first < LEFT + SLACK, name
        assert second < SLACK / 2, name
        assert len(called[name].connections) == 1, name


def test_a_body_that_is_not_read_ends_in_time_as_well(servers: Servers) -> None:
    """The server takes a little of it every now and then."""

    def sipping(_number: int, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        with contextlib.suppress(OSError):
            while connection.recv(1_024):
                time.sleep(0.05)

    past = [0.0]
    aws = client(servers(sipping).url, lambda: time.time() + past[0])
    aws.begin()
    past[0] = WITHIN - LEFT
    began = time.perf_counter()
    with pytest.raises(ServiceError, match="TimeoutError"):
        aws.put_object("bodies", "one", b"x" * 20_000_000)
    assert LEFT - 0.1 < time.perf_counter() - began < LEFT + SLACK


def test_a_handshake_that_is_not_answered_ends_in_time_as_well(servers: Servers) -> None:
    """The server accepts the connection, and that is all."""
    first, second = late(servers(silent).url.replace("http:", "https:"))
    assert LEFT - 0.1 < first < LEFT + SLACK
    assert second < SLACK / 2


def test_a_connection_that_is_not_accepted_ends_in_time_as_well() -> None:
    """Nobody answers at all: a security group that drops, a route to nowhere."""
    with unreachable() as url:
        first, _ = late(url)
    assert LEFT - 0.1 < first < LEFT + SLACK


def test_a_request_whose_calls_are_not_answered_is_refused_before_github_gives_up(
    servers: Servers, tmp_path: Path
) -> None:
    """503 at the end of the request's time, retries and all: the first try is dropped, the next one begins late."""
    past = [0.0]

    def dropped_and_silent(number: int, connection: socket.socket) -> None:
        if number:
            silent(number, connection)
            return
        with connection:
            connection.recv(65_536)
            past[0] = WITHIN - LEFT

    server = servers(dropped_and_silent)
    (tmp_path / "rules.json").write_text(compile_rules(AUTOMATIONS, ()), "utf-8")
    environment = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "CLOSEOUT_TABLE": "ledger",
        "CLOSEOUT_BUCKET": "bodies",
        "CLOSEOUT_WORKER": "worker",
        "CLOSEOUT_WEBHOOK_SECRET": "hook",
        "CLOSEOUT_RETENTION_DAYS": "90",
    }
    began = time.perf_counter()
    app = ReceiverApp(environment, now=lambda: time.time() + past[0], log=lambda _: None)
    answer = app.answer(event("pull_request", deliveries.pull_request()))
    assert answer["statusCode"] == 503
    assert len(server.connections) == 2
    assert time.perf_counter() - began < LEFT + SLACK
