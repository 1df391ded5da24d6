"""One HTTP request over urllib3: pooled, within one deadline, with a bounded answer, redirects never followed.

GitHub's client and the plain one differ in what an answer means, not in how bytes travel; that part stands
here once. urllib3 is imported with this module, which is why its users import it when they first send. It gets a host
and a port to connect to, never a URL: what was compared as an origin is what is connected to.

A socket timeout bounds the wait for the next byte, so a host that sends one byte now and then could hold a
thread for ever: every read here gets only what is left of the whole request's time.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from closeout.core.url import Url
from closeout.ports import HttpAnswer

CONNECT_TIMEOUT = 10.0
_METADATA = frozenset({"fd00:ec2::254", "fd00:ec2::23", "100.100.100.200", "168.63.129.16"})
"""Instance metadata and pod identity outside the link-local ranges (AWS over IPv6, Alibaba, Azure)."""

_time_left = threading.local()


class NoAnswer(Exception):
    """No usable answer came. `reason` is a short code; the text names the host, never a header or a query."""

    def __init__(self, reason: str, text: str, *, transient: bool = True) -> None:
        super().__init__(text)
        self.reason = reason
        self.transient = transient


def refused_address(address: str) -> bool:
    """Whether an address belongs to a machine's metadata service, which hands out credentials."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_link_local or str(ip) in _METADATA


class Transport:
    """A pool of connections. Safe to use from many threads."""

    def __init__(self, *, connections: int = 8) -> None:
        self._pool = urllib3.PoolManager(num_pools=16, maxsize=connections, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

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

        Raises `NoAnswer`. The errors of urllib3 are not chained: they quote URLs and header values.
        """
        host = f"[{url.host}]" if ":" in url.host else url.host
        _time_left.deadline = time.monotonic() + timeout
        try:
            response = self._pool.connection_from_host(host, url.port, url.scheme).urlopen(
                method,
                url.target,
                headers=dict(headers),
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout),
            )
            return HttpAnswer(
                status=response.status,
                # Values of one name are joined, as RFC 9110 has it, so that two `Location`s are neither.
                headers={name.lower(): response.headers[name] for name in response.headers},
                body=_read(response, limit, host),
            )
        except (HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            raise _translate(error, host, timeout) from None

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()


def _read(response: Any, limit: int, host: str) -> bytes:
    """Read the whole body, or close the connection and raise."""
    parts: list[bytes] = []
    size = 0
    try:
        while size <= limit and (part := response.read(65_536)):
            size += len(part)
            parts.append(part)
    except BaseException:
        response.close()
        raise
    if size > limit:
        response.close()
        raise NoAnswer("TooLarge", f"{host} sent more than {limit:,} bytes", transient=False)
    response.release_conn()
    return b"".join(parts)


def _translate(error: Exception, host: str, timeout: float) -> NoAnswer:
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return NoAnswer("ConnectTimeout", f"{host} did not accept a connection in time")
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return NoAnswer("ReadTimeout", f"{host} did not answer within {timeout:g} s")
    if isinstance(error, NameResolutionError):
        return NoAnswer("NameResolution", f"the name {host} does not resolve")
    if isinstance(error, SSLError):
        return NoAnswer("TLS", f"no trusted TLS connection to {host}")
    if isinstance(error, _Refused):
        return NoAnswer("RefusedAddress", str(error), transient=False)
    if isinstance(error, ValueError) and not isinstance(error, HTTPError):
        return NoAnswer(
            "BadRequest",
            f"the request to {host} cannot be sent: a header or the URL is malformed",
            transient=False,
        )
    return NoAnswer("ConnectionError", f"the connection to {host} failed or broke off")


# --- connections --------------------------------------------------------------------------------------


class _Refused(HTTPError):
    """The host resolves to a metadata address."""


class _Checked(HTTPConnection):
    """A connection that refuses metadata addresses, before it connects and (DNS may change) after."""

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []  # the connection itself reports it
        addresses = [str(entry[4][0]) for entry in found]
        if not any(refused_address(address) for address in addresses):
            connected = super()._new_conn()
            if not refused_address(str(connected.getpeername()[0])):
                return connected
            connected.close()
        raise _Refused(f"{self.host} is an address of a metadata service, which closeout never calls")


class _InTime(io.RawIOBase):
    """A socket's stream whose reads get only what is left of the request's time."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request's time is up")
        self._sock.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Streams:
    """What `http.client` asks of a socket when it reads an answer: a stream."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_InTime(self._sock, _time_left.deadline))


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Streams(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Plain(_Checked):
    response_class = _Response


class _Tls(_Checked, HTTPSConnection):
    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls
