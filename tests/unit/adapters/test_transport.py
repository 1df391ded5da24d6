"""Why a host did not answer: each cause has a name, and says whether to come again."""

from __future__ import annotations

import io
import socket
import time
from typing import Any

import pytest
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from closeout.adapters import transport
from closeout.adapters.transport import NoAnswer

ANY: Any = None


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (ConnectTimeoutError("x"), "ConnectTimeout", True),
        (ReadTimeoutError(ANY, "/", "x"), "ReadTimeout", True),
        (TimeoutError("x"), "ReadTimeout", True),
        (NameResolutionError("h", ANY, socket.gaierror()), "NameResolution", True),
        (NewConnectionError(ANY, "x"), "ConnectionError", True),
        (SSLError("x"), "TLS", True),
        (transport._Refused("it is refused"), "RefusedAddress", False),
        (ValueError("x"), "BadRequest", False),
        (UnicodeEncodeError("ascii", "é", 0, 1, "x"), "BadRequest", False),
        (ProtocolError("x"), "ConnectionError", True),
        (ConnectionResetError("x"), "ConnectionError", True),
    ],
)
def test_each_cause_has_a_name(error: Exception, reason: str, again: bool) -> None:
    """A request that cannot be sent, or must not be, is not sent again."""
    found = transport._translate(error, "h.example", 5.0)
    assert (found.reason, found.transient) == (reason, again)
    assert "h.example" in str(found) or "refused" in str(found)


class Response:
    """An answer in pieces, and what becomes of its connection."""

    def __init__(self, *pieces: Any) -> None:
        self._pieces = list(pieces)
        self.done: list[str] = []

    def read(self, _size: int) -> bytes:
        """Return the next piece, or raise it."""
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return bytes(piece)

    def close(self) -> None:
        """Note it."""
        self.done.append("closed")

    def release_conn(self) -> None:
        """Note it."""
        self.done.append("released")


def test_a_connection_is_kept_only_after_a_whole_answer() -> None:
    """What follows on it would be the rest of this one."""
    whole, broken, large = Response(b"ab", b"c"), Response(b"ab", OSError("x")), Response(b"abc", b"d")
    assert transport._read(whole, 3, "h") == b"abc"
    with pytest.raises(OSError, match="x"):
        transport._read(broken, 3, "h")
    with pytest.raises(NoAnswer, match="h sent more than 3 bytes") as caught:
        transport._read(large, 3, "h")
    assert (caught.value.reason, caught.value.transient) == ("TooLarge", False)
    assert (whole.done, broken.done, large.done) == (["released"], ["closed"], ["closed"])


class Socket:
    """A socket with an answer."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self.file = io.BytesIO(b"abc")

    def makefile(self, mode: str, buffering: int) -> io.BytesIO:
        """Return the answer."""
        assert (mode, buffering) == ("rb", 0)
        return self.file

    def settimeout(self, seconds: float) -> None:
        """Note it."""
        self.timeouts.append(seconds)


def test_each_read_gets_what_is_left_of_the_requests_time() -> None:
    """And none begins when nothing is left."""
    sock = Socket()
    stream = transport._InTime(sock, time.monotonic() + 100.0)  # type: ignore[arg-type]
    assert stream.readable()
    assert stream.read(2) == b"ab"
    assert 90.0 < sock.timeouts[0] <= 100.0
    stream.close()
    assert sock.file.closed
    late = transport._InTime(Socket(), time.monotonic())  # type: ignore[arg-type]
    with pytest.raises(TimeoutError, match="the request's time is up"):
        late.read(1)
