"""Limit the number of connections, in total and for each peer address.

At the limit, the connection that has waited longest without finishing a request is closed, so a client that opens thousands
of connections loses its own. A connection whose request is being answered is never closed for another.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from closeout.server.protocol import Connection

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
"""The default trusted proxies: usually a reverse proxy runs on the same machine."""
SHARES = 8
"""One address may use 1/SHARES of all connections, unless it is a trusted proxy."""
_V6_PREFIX = 64
"""Bits of an IPv6 address that identify a peer: a customer usually has a /64."""


class ConnectionLimits:
    """The open connections. `on_full` gets the limit that was reached, `full` or `address-share`, and the address."""

    def __init__(
        self,
        most: int,
        trusted: Sequence[str] = LOOPBACK,
        on_full: Callable[[str, str], None] = lambda _reason, _address: None,
    ) -> None:
        self.most = most
        self.share = max(1, most // SHARES)
        self._on_full = on_full
        self._networks = networks(trusted)
        self._taken: Counter[str] = Counter()
        self._open = 0
        self._waiting: dict[Connection, None] = {}
        self._proven: dict[Connection, None] = {}
        self._of_address: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return self._open

    def key(self, peer: str | None) -> str | None:
        """Return the key of a peer; None for a trusted proxy and for a Unix socket."""
        if peer is None:
            return None
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return peer
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self._networks):
            return None
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False))
        return str(address)

    def enter(self, connection: Connection) -> bool:
        """Add a connection, closing the one that waited longest at the limit. Return False if there is no room."""
        address = connection.address
        if address is not None and self._taken[address] >= self.share:
            self._on_full("address-share", address)
            if not self._make_room(self._of_address.get(address, {})):
                return False
        if self._open >= self.most:
            self._on_full("full", address or "")
            if not (self._make_room(self._waiting) or self._make_room(self._proven)):
                return False
        self._open += 1
        if address is not None:
            self._taken[address] += 1
        self.wait(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Remove a connection."""
        self.busy(connection)
        self._open -= 1
        address = connection.address
        if address is not None:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
                self._of_address.pop(address, None)

    def wait(self, connection: Connection) -> None:
        """Queue the connection as waiting: it is new, or has just finished a request."""
        (self._proven if connection.proven else self._waiting)[connection] = None
        if connection.address is not None:
            self._of_address.setdefault(connection.address, {})[connection] = None

    def busy(self, connection: Connection) -> None:
        """Remove the connection from the queue: its request is being answered."""
        self._waiting.pop(connection, None)
        self._proven.pop(connection, None)
        if connection.address is not None:
            self._of_address.get(connection.address, {}).pop(connection, None)

    def _make_room(self, line: dict[Connection, None]) -> bool:
        for oldest in line:
            oldest.abort()
            return True
        return False


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks written as `192.0.2.1` or `2001:db8::/32`. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)
