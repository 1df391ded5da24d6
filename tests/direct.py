"""Calls to the emulated AWS that pass over the sockets: half of what a call costs is HTTP, on both sides.

For tests of what is kept in DynamoDB, which make thousands. Everything else of botocore and of the emulator is as ever:
signing, parsing, faults, the journal of calls.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

from closeout.testing.aws import FakeAws


class _Body(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Return it in one piece."""
        yield self.getvalue()


def pass_over_sockets(client: Any, aws: FakeAws) -> Any:
    """Have a boto3 client call the emulator of this process as a function; return the client."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        try:
            status, headers, body = post(
                aws, request.url, request.headers, request.body or b"", request.method
            )
        except ConnectionError as error:
            raise ConnectionClosedError(endpoint_url=request.url) from error
        return AWSResponse(request.url, status, headers, _Body(body))

    client.meta.events.register("before-send", answer)
    return client


def post(
    aws: FakeAws, url: str, headers: Mapping[str, Any], body: Any, method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    """Send a request to the emulator of this process; return status, headers and body."""
    begun: list[Any] = []
    environ = _environ(url, headers, body, method)
    answer = b"".join(aws.application(environ, lambda *line: begun.extend(line)))
    status, told = begun
    return int(status.split()[0]), dict(told), answer


def _environ(to: str, headers: Mapping[str, Any], body: Any, method: str) -> dict[str, Any]:
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
        "wsgi.input": io.BytesIO(body if isinstance(body, bytes) else body.encode()),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
    }
