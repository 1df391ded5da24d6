"""Who has a place: the number of connections in all, and of each peer address.

When every place is taken, the connection that has waited longest without a finished request makes room, so that
whoever opens thousands of connections closes their own. A connection whose request is being answered is never chosen.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
"""Trusted unless the command says otherwise: a reverse proxy on this machine is the normal set-up."""
SHARES = 8
"""An address that is no trusted proxy gets one in so many of all places."""
_V6_PREFIX = 64
"""Bits of an IPv6 address that count: a single customer usually has a /64."""


class Occupant(Protocol):
    """A connection."""

    address: str | None
    """Whose share the connection counts to; None for a trusted proxy."""
    proven: bool
    """Whether a verified delivery came on it."""

    def abort(self) -> None:
        """Close at once, and leave."""
        ...


class Places:
    """The connections that are open. `on_full` hears why one was closed: `full` or `address-share`, and the address."""

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
        self._key = lru_cache(4096)(self._key_of)
        self._taken: Counter[str] = Counter()
        self._open = 0
        self._waiting: dict[Any, None] = {}
        self._proven: dict[Any, None] = {}
        self._of_address: dict[str, dict[Any, None]] = {}

    def __len__(self) -> int:
        return self._open

    def key(self, peer: str | None) -> str | None:
        """Return what counts as one peer; None for a trusted proxy and for a Unix socket."""
        return None if peer is None else self._key(peer)

    def enter(self, occupant: Occupant) -> bool:
        """Take a place, if need be of the one that waited longest. False: there is none, and none was taken."""
        address = occupant.address
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
        self.wait(occupant)
        return True

    def leave(self, occupant: Occupant) -> None:
        """Return the place back."""
        self.busy(occupant)
        self._open -= 1
        address = occupant.address
        if address is not None:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
                self._of_address.pop(address, None)

    def wait(self, occupant: Occupant) -> None:
        """Line up at the end: the connection is new, or has just finished a request."""
        (self._proven if occupant.proven else self._waiting)[occupant] = None
        if occupant.address is not None:
            self._of_address.setdefault(occupant.address, {})[occupant] = None

    def busy(self, occupant: Occupant) -> None:
        """Leave the line: a request is being answered."""
        self._waiting.pop(occupant, None)
        self._proven.pop(occupant, None)
        if occupant.address is not None:
            self._of_address.get(occupant.address, {}).pop(occupant, None)

    def _make_room(self, line: dict[Any, None]) -> bool:
        for oldest in line:
            oldest.abort()
            return True
        return False

    def _key_of(self, peer: str) -> str | None:
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


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that are written as `192.0.2.1` or `2001:db8::/32`. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)
