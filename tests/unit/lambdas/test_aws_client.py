"""The receiver's calls to AWS over connections that a server closes, breaks or never answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from closeout.core.errors import ServiceError
from closeout.core.records import NewDelivery
from closeout.lambdas.aws_client import WITHIN, AwsClient, Call, _refusal
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from tests.unit.lambdas.servers import Server

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def read_request(connection: socket.socket) -> bool:
    """Read one request of a JSON call; False at the end of the connection."""
    text = b""
    while not text.endswith(b"\r\n\r\n{}"):
        try:
            part = connection.recv(65_536)
        except OSError:
            part = b""
        if not part:
            return False
        text += part
    return True


def client(url: str, pauses: list[float], now: Callable[[], float] = lambda: 1_700_000_000.0) -> AwsClient:
    """Return a client of a server that notes its pauses instead of making them."""
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    return AwsClient(environment, now=now, pause=pauses.append)


def ask(aws: AwsClient) -> None:
    """Make one call."""
    assert aws.json_call("dynamodb", "DynamoDB_20120810.GetItem", {}) == {}


def test_a_call_has_the_session_token_of_the_role(servers: Callable[..., Server]) -> None:
    """AWS refuses a role's keys without it."""
    asked: list[bytes] = []

    def serve(_number: int, connection: socket.socket) -> None:
        asked.append(connection.recv(65_536))
        connection.sendall(ANSWER)

    environment = {
        "AWS_ENDPOINT_URL": servers(serve).url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "of-the-session",
    }
    ask(AwsClient(environment))
    assert b"x-amz-security-token: of-the-session\r\n" in asked[0]


def test_servers_are_verified_with_the_configured_bundle(tmp_path: Path) -> None:
    """An unreadable bundle is an error; the machine's certificates do not replace it."""
    bundle = {"AWS_REGION": "us-east-1", "AWS_CA_BUNDLE": str(tmp_path / "absent.pem")}
    with pytest.raises(FileNotFoundError):
        AwsClient(bundle)


def test_connections_are_kept(servers: Callable[..., Server]) -> None:
    """Two calls, one connection."""

    def serve(_number: int, connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(ANSWER)

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses)
    ask(aws)
    ask(aws)
    assert (len(server.connections), pauses) == (1, [])


def test_a_connection_closed_while_idle_costs_no_pause(servers: Callable[..., Server]) -> None:
    """A frozen environment wakes up with a dead connection: the call uses a new one at once."""
    closed = threading.Event()

    def serve(_number: int, connection: socket.socket) -> None:
        if read_request(connection):
            connection.sendall(ANSWER)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses)
    for count in range(1, 4):
        ask(aws)
        assert closed.wait(5)
        closed.clear()
        assert (len(server.connections), pauses) == (count, [])


def test_a_kept_connection_that_breaks_during_a_call_costs_no_attempt(servers: Callable[..., Server]) -> None:
    """The server closes as the request arrives: a new connection at once, without using up a retry."""

    def serve(number: int, connection: socket.socket) -> None:
        read_request(connection)
        if number == 0:
            connection.sendall(ANSWER)
            read_request(connection)
        elif number == 5:
            connection.sendall(ANSWER)
        connection.shutdown(socket.SHUT_RDWR)

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses)
    ask(aws)
    with pytest.raises(ServiceError) as caught:
        ask(aws)
    assert caught.value.transient
    assert (len(server.connections), pauses) == (5, [0.05, 0.2, 0.6])


def test_all_calls_of_a_request_share_the_time_for_retries(servers: Callable[..., Server]) -> None:
    """GitHub waits ten seconds in total; after that no call begins."""
    clock = [1_700_000_000.0]

    def serve(_number: int, connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses, now=lambda: clock[0])
    aws.begin()
    clock[0] += 6.0
    for reason in ("HTTP500", "the time for the request is over"):
        with pytest.raises(ServiceError, match=reason):
            ask(aws)
        assert len(pauses) == 3
        clock[0] += 3.0
    aws.begin()
    with pytest.raises(ServiceError):
        ask(aws)
    assert len(pauses) == 6


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_conflicts_is_tried_again(servers: Callable[..., Server], code: str) -> None:
    """The transient reasons of API_TransactWriteItems: moto never returns the last two."""
    error = json.dumps(
        {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": [{"Code": "None"}, {"Code": code}],
        }
    ).encode()
    answers = iter([b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%s" % (len(error), error), ANSWER])

    def serve(_number: int, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(next(answers))
        connection.close()

    server = servers(serve)
    pauses: list[float] = []
    ledger = DeliveryWriter(
        client(server.url, []), Destination("ledger", "bodies", "worker:live", 30.0), pauses.append
    )
    delivery = NewDelivery("1", "guid", "push", None, "acme/shop", b"{}", False, 1_700_000_000.0, "github")
    assert ledger.accept(delivery, ()).runs == ()
    assert len(pauses) == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
@pytest.mark.parametrize("length", [b"content-length: 2\r\n", b""])
def test_a_connection_that_the_server_ends_is_not_kept(
    servers: Callable[..., Server], head: bytes, length: bytes
) -> None:
    """Its answer is read to the end, with or without a length, and the next call opens a connection."""

    def serve(_number: int, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head + length + b"\r\n{")
        connection.sendall(b"}")
        connection.close()

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses)
    ask(aws)
    ask(aws)
    assert (len(server.connections), pauses) == (2, [])


def test_an_answer_in_chunks_is_read_to_its_end(servers: Callable[..., Server]) -> None:
    """The connection is kept."""

    def serve(_number: int, connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
            )

    server = servers(serve)
    aws = client(server.url, [])
    ask(aws)
    ask(aws)
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "IncompleteRead"),
        (b"SSH-2.0-server\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWER, "UnknownProtocol"),
    ],
)
def test_an_incomplete_answer_is_refused(servers: Callable[..., Server], answer: bytes, reason: str) -> None:
    """The call's outcome is unknown: it is repeated, and finally fails with the cause."""

    def serve(_number: int, connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(OSError):  # the client may be gone
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

    pauses: list[float] = []
    with pytest.raises(ServiceError, match=reason) as caught:
        ask(client(servers(serve).url, pauses))
    assert caught.value.transient
    assert pauses == [0.05, 0.2, 0.6]


# --- connections that are made ahead --------------------------------------------------------------------------


def answering(_number: int, connection: socket.socket) -> None:
    """Answer every request."""
    while read_request(connection):
        connection.sendall(ANSWER)


def test_a_call_uses_the_connection_opened_in_advance(servers: Callable[..., Server]) -> None:
    """One for each host, and an emulator is one host for all services."""
    pauses: list[float] = []
    server = servers(answering)
    aws = client(server.url, pauses)
    aws.connect_ahead("secretsmanager", "dynamodb", "lambda")
    ask(aws)
    ask(aws)
    assert (len(server.connections), pauses) == (1, [])


def test_a_connection_that_was_closed_before_the_first_call_costs_no_pause(
    servers: Callable[..., Server],
) -> None:
    """An environment that waited for its first request for hours has lost it."""

    def serve(number: int, connection: socket.socket) -> None:
        if number == 0:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            answering(number, connection)

    pauses: list[float] = []
    server = servers(serve)
    aws = client(server.url, pauses)
    aws.connect_ahead("dynamodb")
    ask(aws)
    assert (len(server.connections), pauses) == (2, [])


def test_a_connection_that_waited_too_long_is_not_used(servers: Callable[..., Server]) -> None:
    """A frozen environment does not learn of its end: the call uses a new one at once."""
    clock = [1_700_000_000.0]
    server = servers(answering)
    aws = client(server.url, [], now=lambda: clock[0])
    aws.connect_ahead("dynamodb")
    aws._opening[server.url.removeprefix("http://")].join(5)
    clock[0] += 3600.0
    ask(aws)
    assert len(server.connections) == 2


def test_a_connection_that_cannot_be_opened_in_advance_is_opened_by_the_call() -> None:
    """Nothing listens yet: the start continues, and the call connects or reports why not."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    pauses: list[float] = []
    aws = client(url, pauses)
    aws.connect_ahead("dynamodb")
    with pytest.raises(ServiceError, match="ConnectionRefusedError"):
        ask(aws)
    assert pauses == [0.05, 0.2, 0.6]


def test_a_hanging_early_connection_leaves_time_for_another(servers: Callable[..., Server]) -> None:
    """The call that needs it opens one itself, within the same attempt."""
    hanging = threading.Thread(target=threading.Event().wait, args=(5,), daemon=True)
    hanging.start()
    clock = [1_700_000_000.0]
    pauses: list[float] = []
    server = servers(answering)
    aws = client(server.url, pauses, now=lambda: clock[0])
    aws._opening[server.url.removeprefix("http://")] = hanging
    aws.begin()
    clock[0] += WITHIN - 0.6
    ask(aws)
    assert pauses == []


@pytest.mark.parametrize(
    ("url", "tls"), [("http://localhost:1", False), ("http://", True), ("HTTP://h", True)]
)
def test_only_an_emulator_is_called_without_tls(url: str, tls: bool) -> None:
    """An endpoint without a host means AWS itself, whose calls carry the role's token."""
    assert (client(url, [])._context is not None) is tls


CALL = Call("dynamodb", "h", "POST", "/", {"x-amz-target": "DynamoDB_20120810.PutItem"}, b"")
XML = b"<Error><Code>SlowDown</Code><Message>m</Message></Error>"


@pytest.mark.parametrize(
    ("status", "kind", "body", "reason", "transient"),
    [
        (400, "ValidationException:http://internal/", b"{}", "ValidationException", False),
        (
            400,
            "",
            b'{"__type": "com.amazonaws#ConditionalCheckFailedException"}',
            "ConditionalCheckFailedException",
            False,
        ),
        (400, "One", b'{"__type": "x#Two"}', "One", False),
        (503, "", XML, "SlowDown", True),
        (400, "LimitExceededException", b"", "LimitExceededException", True),
        (500, "", b"<html/>", "HTTP500", True),
        (429, "", b"[]", "HTTP429", True),
        (499, "", b"\xff", "HTTP499", False),
        (403, "x" * 200, b"", "x" * 100, False),
    ],
)
def test_a_refusal_has_its_code_wherever_aws_puts_it(
    status: int, kind: str, body: bytes, reason: str, transient: bool
) -> None:
    """In a header, in JSON or in XML; without a code the status is the reason."""
    error = _refusal(CALL, status, kind, body)
    assert (error.reason, error.transient, error.operation) == (reason, transient, "PutItem")
    assert error.message == f"dynamodb PutItem failed: {reason}"


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-central-1", "sqs.eu-central-1.amazonaws.com"), ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn")],
)
def test_a_service_is_called_in_its_region(region: str, host: str) -> None:
    """China's regions have a domain of their own."""
    environment = {"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    assert AwsClient(environment, now=lambda: 0.0, pause=lambda _: None)._host("sqs") == host
