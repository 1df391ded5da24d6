"""The receiver against servers that never answer: GitHub waits ten seconds, and is told before."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from closeout.core.errors import ServiceError
from closeout.core.rules import compile_rules
from closeout.lambdas.answering import Door
from closeout.lambdas.wire import LEAST, WITHIN, Aws
from closeout.testing import deliveries
from tests.unit.lambdas.conftest import AUTOMATIONS, event
from tests.unit.lambdas.servers import Server

Servers = Callable[[Callable[[int, socket.socket], None]], Server]
SLACK = 0.8
"""Seconds that a busy machine may take besides."""


def silent(_number: int, connection: socket.socket) -> None:
    """Read what comes and say nothing."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def dripping(start: bytes) -> Callable[[int, socket.socket], None]:
    """Answer, a byte every fifth of a second, and never to the end: each piece comes in time."""

    def serve(_number: int, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while True:
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


def client(url: str, now: Callable[[], float] = time.time) -> Aws:
    """Return a client of a server."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    return Aws({"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **keys}, now=now)


def late(url: str) -> tuple[float, float]:
    """Call when half a second of a request's time is left, and again after it; return the seconds of both calls."""
    past = [0.0]
    aws = client(url, lambda: time.time() + past[0])
    aws.begin()
    past[0] = WITHIN - 0.5
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        with pytest.raises(ServiceError) as caught:
            aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {})
        assert caught.value.transient
        taken.append(time.perf_counter() - began)
    return taken[0], taken[1]


@pytest.mark.parametrize(
    "answer",
    [silent, dripping(b""), dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"), dripping(b"HTTP/1.1 200 OK\r\n\r\n")],
    ids=["silent", "dripping head", "dripping body", "dripping without an end"],
)  # fmt: skip
def test_a_call_that_begins_late_has_two_seconds_and_the_next_none(
    servers: Servers, answer: Callable[[int, socket.socket], None]
) -> None:
    """Whatever trickles in meanwhile, and without a connection for the call after the time."""
    server = servers(answer)
    first, second = late(server.url)
    assert LEAST - 0.1 < first < LEAST + SLACK
    assert second < SLACK / 2
    assert len(server.connections) == 1


def test_a_handshake_that_is_not_answered_ends_in_time_as_well(servers: Servers) -> None:
    """The server accepts the connection, and that is all."""
    first, second = late(servers(silent).url.replace("http:", "https:"))
    assert LEAST - 0.1 < first < LEAST + SLACK
    assert second < SLACK / 2


def test_a_connection_that_is_not_accepted_ends_in_time_as_well() -> None:
    """Nobody answers at all: a security group that drops, a route to nowhere."""
    with unreachable() as url:
        first, _ = late(url)
    assert LEAST - 0.1 < first < LEAST + SLACK


def test_a_request_whose_calls_are_not_answered_is_refused_before_github_gives_up(
    servers: Servers, tmp_path: Path
) -> None:
    """503 after at most nine seconds, retries and all, by the real clock."""
    (tmp_path / "rules.json").write_text(compile_rules(AUTOMATIONS, ()), "utf-8")
    environment = {
        "AWS_ENDPOINT_URL": servers(silent).url,
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
    answer = Door(environment, log=lambda _: None).answer(event("pull_request", deliveries.pull_request()))
    assert answer["statusCode"] == 503
    assert time.perf_counter() - began < WITHIN + LEAST
