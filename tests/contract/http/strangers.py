"""What hostile clients do to a server over bare sockets; counts and sizes are arguments, for use in floods."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SIGNATURE = b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n"
"""Well formed but wrong: the body must be read before it can be refused."""
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(port: int, host: str = "127.0.0.1", *, source: str | None = None) -> socket.socket:
    """Open a connection, from another loopback address if `source` names one."""
    return socket.create_connection((host, port), 10, (source, 0) if source else None)


def head(size: int, *, first: bytes = b"GET /nothing HTTP/1.1\r\n", end: bytes = b"\r\n") -> bytes:
    """Return a head of exactly `size` bytes, `end` included."""
    lines = first + b"Host: x\r\n" + SIGNATURE
    return lines + b"X-Pad: " + b"x" * (size - len(lines) - len(b"X-Pad: \r\n") - len(end)) + b"\r\n" + end


def upload(length: int, path: bytes = b"/webhook") -> bytes:
    """Return the head of an unsigned body of this length."""
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (path, SIGNATURE, length)


def reset(connection: socket.socket) -> None:
    """Close abruptly: the peer gets RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def everything(connection: socket.socket, seconds: float = 10.0) -> bytes:
    """Return what comes until the server closes. Raises TimeoutError if it does not."""
    connection.settimeout(seconds)
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def drip(connection: socket.socket, piece: bytes, every: float, seconds: float) -> bool:
    """Send `piece` repeatedly; return whether the server ended the connection within `seconds`."""
    end = time.monotonic() + seconds
    connection.settimeout(every)
    while time.monotonic() < end:
        try:
            connection.sendall(piece)
            if connection.recv(65536) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


@contextmanager
def many(count: int, make: Callable[[], socket.socket]) -> Iterator[list[socket.socket]]:
    """Hold many connections."""
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connections.append(make())  # noqa: PERF401 - what was opened is closed, too, if the next one fails
        yield connections
    finally:
        for connection in connections:
            connection.close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has ended the connection, without waiting."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
