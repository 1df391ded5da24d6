"""Send one HTTP request with the standard library: pooled, within one deadline, with a bounded answer, without redirects.

GitHub's client and the plain one differ in what an answer means, not in how it is transferred, so this module serves both. It
receives a host and a port, never a URL's text, so it connects to exactly the origin that was checked. It imports little,
because it posts `pending` on AWS, for which people wait (`docs/adr/0023`).
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cache

from closeout.adapters.deadline import DeadlineConnection
from closeout.core.url import Url
from closeout.ports import HttpAnswer

CONNECT_TIMEOUT = 10.0
PIECE = 65_536
_METADATA = frozenset(
    (
        socket.inet_pton(socket.AF_INET6, "fd00:ec2::254"),
        socket.inet_pton(socket.AF_INET6, "fd00:ec2::23"),
        socket.inet_pton(socket.AF_INET, "100.100.100.200"),
        socket.inet_pton(socket.AF_INET, "168.63.129.16"),
    )
)
"""Instance metadata and pod identity outside the link-local ranges (AWS over IPv6, Alibaba, Azure)."""
_MAPPED = bytes(10) + b"\xff\xff"
"""Prefix of IPv6 addresses that embed an IPv4 address."""


class NoAnswer(Exception):
    """There is no usable answer. `reason` is a short code; the text names the host, never a header or a query."""

    def __init__(self, reason: str, text: str, *, transient: bool = True) -> None:
        super().__init__(text)
        self.reason = reason
        self.transient = transient


def refused_address(address: str) -> bool:
    """Whether an address belongs to a machine's metadata service, which issues credentials."""
    text = address.partition("%")[0]
    packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    packed = packed.removeprefix(_MAPPED)
    if len(packed) == 4:
        link_local = packed.startswith(b"\xa9\xfe")
    else:
        link_local = packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
    return link_local or packed in _METADATA


class Transport:
    """A pool that keeps at most `connections` connections open. Safe to use from many threads."""

    def __init__(self, *, connections: int = 32) -> None:
        self._most = connections
        self._kept: list[tuple[str, _Connection]] = []
        """Idle connections by origin, the last used one at the end."""
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        url: Url,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        limit: int,
    ) -> HttpAnswer:
        """Send one request and read at most `limit` bytes, all within `timeout` seconds.

        Raises `NoAnswer`. The errors of the standard library are not chained: they quote URLs and header values.
        """
        deadline = time.monotonic() + timeout
        connection = self._take(url)
        try:
            if connection is None:
                connection = self._connect(url, min(CONNECT_TIMEOUT, timeout))
            connection.deadline = deadline
            with contextlib.suppress(BrokenPipeError):  # it may have answered before reading everything
                connection.request(method, url.target, body, headers)
            response = connection.getresponse()
            answer = HttpAnswer(response.status, _headers(response.msg), _read(response, limit, url.host))
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError | http.client.HTTPException | ValueError):
                raise _translate(error, url.host, timeout) from None
            raise
        if not response.will_close:  # otherwise `http.client` has closed it
            self._keep(url, connection)
        return answer

    def _connect(self, url: Url, timeout: float) -> _Connection:
        context = _tls() if url.scheme == "https" else None
        connection = _Connection(url.host, context, time.monotonic() + timeout, url.port)
        try:
            connection.connect()
        except TimeoutError:
            raise NoAnswer("ConnectTimeout", f"{url.host} did not accept a connection in time") from None
        return connection

    def _take(self, url: Url) -> _Connection | None:
        """Take an idle connection to this origin that its server has not closed."""
        while True:
            with self._lock:
                found = [place for place, (origin, _) in enumerate(self._kept) if origin == url.origin]
                if not found:
                    return None
                _, connection = self._kept.pop(found[-1])
            if not connection.dropped():
                return connection
            connection.close()

    def _keep(self, url: Url, connection: _Connection) -> None:
        with self._lock:
            self._kept.append((url.origin, connection))
            excess = self._kept[: -self._most]
            del self._kept[: -self._most]
        for _, old in excess:
            old.close()


class _Refused(OSError):
    """The host resolves to a metadata address."""


class _Connection(DeadlineConnection):
    """A connection that refuses metadata addresses. It connects to a checked address, not to a name."""

    def addresses(self) -> list[str]:
        """Return the addresses to connect to. Raises `_Refused` if one of them belongs to a metadata service."""
        found = super().addresses()
        if any(refused_address(address) for address in found):
            raise _Refused(f"{self.host} is an address of a metadata service, which closeout never calls")
        return found


@cache
def _tls() -> ssl.SSLContext:
    """Return a context with the machine's trusted certificates, read once for all connections."""
    return ssl.create_default_context()


def _headers(message: http.client.HTTPMessage) -> dict[str, str]:
    """Join values of one name as RFC 9110 says, so that two `Location`s are not a valid one."""
    return {name.lower(): ", ".join(message.get_all(name, ())) for name in message}


def _read(response: http.client.HTTPResponse, limit: int, host: str) -> bytes:
    """Read the whole body. An answer that is shorter than announced is unusable, and so is an informational one (1xx)."""
    if response.status < 200:
        raise http.client.UnknownProtocol(str(response.status))
    parts: list[bytes] = []
    size = 0
    while size <= limit and (part := response.read(PIECE)):
        size += len(part)
        parts.append(part)
    if size > limit:
        raise NoAnswer("TooLarge", f"{host} sent more than {limit:,} bytes", transient=False)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _translate(error: Exception, host: str, timeout: float) -> NoAnswer:
    if isinstance(error, TimeoutError):
        return NoAnswer("ReadTimeout", f"{host} did not answer within {timeout:g} s")
    if isinstance(error, socket.gaierror):
        return NoAnswer("NameResolution", f"the name {host} does not resolve")
    if isinstance(error, ssl.SSLError):
        return NoAnswer("TLS", f"no trusted TLS connection to {host}")
    if isinstance(error, _Refused):
        return NoAnswer("RefusedAddress", str(error), transient=False)
    if isinstance(error, ValueError | http.client.InvalidURL):
        return NoAnswer(
            "BadRequest",
            f"the request to {host} cannot be sent: a header or the URL is malformed",
            transient=False,
        )
    return NoAnswer("ConnectionError", f"the connection to {host} failed or broke off")
