"""Calls to the emulated AWS that pass over the sockets: half of what a call costs is HTTP, on both sides.

For tests of what is kept in DynamoDB, which make thousands. Everything else of botocore and of the emulator is as ever:
signing, parsing, faults, the journal of calls.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import botocore
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from closeout.lambdas.aws_client import AwsClient, Call, Response
from closeout.testing.aws import FakeAws

DIRECT = "direct"
"""The name under which a session knows what calls the emulator: botocore asks all that may answer, and takes the first."""


class _Body(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Return it in one piece."""
        yield self.getvalue()


@contextmanager
def no_sockets(aws: FakeAws) -> Iterator[None]:
    """Have each boto3 client that is made meanwhile call the emulator of this process as a function."""

    def meet(session: Any) -> None:
        session.register("before-send", _answer(aws), unique_id=DIRECT)

    botocore.register_initializer(meet)
    boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        botocore.unregister_initializer(meet)
        boto3.DEFAULT_SESSION = None


def pass_over_sockets(client: Any, aws: FakeAws) -> Any:
    """Have a boto3 client call the emulator of this process as a function; return the client."""
    client.meta.events.register("before-send", _answer(aws), unique_id=DIRECT)
    return client


def _answer(aws: FakeAws) -> Callable[..., AWSResponse | None]:
    def answer(request: Any, **_: Any) -> AWSResponse | None:
        if not request.url.startswith(aws.url):
            return None
        try:
            status, headers, body = post(
                aws, request.url, request.headers, request.body or b"", request.method
            )
        except ConnectionError as error:
            raise ConnectionClosedError(endpoint_url=request.url) from error
        except Exception:  # as the server does with what moto does not know
            status, headers, body = 500, {}, b""
        return AWSResponse(request.url, status, headers, _Body(body))

    return answer


class DirectClient(AwsClient):
    """The signed connections of the functions, without a connection."""

    def __init__(self, aws: FakeAws, environment: Mapping[str, str], **more: Any) -> None:
        super().__init__(environment, **more)
        self._aws = aws

    def connect_ahead(self, *services: str) -> None:
        """Do nothing."""

    def _exchange(self, call: Call, headers: Mapping[str, str], deadline: float) -> Response:
        status, found, body = post(
            self._aws, f"http://{call.host}{call.path}", headers, call.body, call.method
        )
        told = Message()
        for name, value in found.items():
            told[name] = value
        return Response(status, body, told)


def post(
    aws: FakeAws, url: str, headers: Mapping[str, Any], body: Any, method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    """Send a request to the emulator of this process; return status, headers and body."""
    begun: list[Any] = []
    data = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read()
    environ = _environ(url, headers, data, method)
    answer = b"".join(aws.application(environ, lambda *line: begun.extend(line)))
    status, told = begun
    return int(status.split()[0]), {"Date": formatdate(usegmt=True), **dict(told)}, answer


def _environ(to: str, headers: Mapping[str, Any], body: bytes, method: str) -> dict[str, Any]:
    """Return what a WSGI server would make of a request."""
    url = urlsplit(to)
    told = {
        name.upper().replace("-", "_"): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }
    return {
        **{f"HTTP_{name}": value for name, value in told.items()},
        "HTTP_HOST": url.netloc,
        "CONTENT_TYPE": told.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote(url.path) or "/",
        "QUERY_STRING": url.query,
        "RAW_URI": url.path or "/",
        "SCRIPT_NAME": "",
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
    }
