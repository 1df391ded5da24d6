"""Which connections have a place, and which make room."""

from __future__ import annotations

import pytest

from closeout.server.connection_limits import LOOPBACK, ConnectionLimits, networks
from closeout.server.protocol import Connection


class Peer(Connection):
    """A connection that leaves when it is told to."""

    def __init__(self, connection_limits: ConnectionLimits, address: str) -> None:
        self.proven = False
        self.connection_limits = connection_limits
        self.address = connection_limits.key(address)
        self.is_open = connection_limits.enter(self)

    def abort(self) -> None:
        """Leave."""
        self.is_open = False
        self.connection_limits.leave(self)


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("192.0.2.7", "192.0.2.7"),
        ("a-socket-of-the-proxy", "a-socket-of-the-proxy"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, None),
    ],
)
def test_what_counts_as_one_peer(peer: str | None, key: str | None) -> None:
    """An IPv4 address, mapped or not; a /64 of IPv6; loopback and Unix sockets are trusted."""
    assert ConnectionLimits(10, LOOPBACK).key(peer) == key


def test_configured_proxies_replace_the_default() -> None:
    """With such a list, loopback counts like any other address."""
    connection_limits = ConnectionLimits(10, ("10.0.0.0/24", "2001:db8::/32"))
    assert connection_limits.key("10.0.0.9") is None
    assert connection_limits.key("2001:db8:7::1") is None
    assert connection_limits.key("127.0.0.1") == "127.0.0.1"


def test_a_network_with_host_bits_is_an_error() -> None:
    """It is more likely a mistake than intended."""
    with pytest.raises(ValueError, match="host bits"):
        networks(("10.0.0.5/24",))


def test_the_oldest_connection_of_an_address_makes_room_first() -> None:
    """Only an address over its share loses connections."""
    told: list[tuple[str, str]] = []
    connection_limits = ConnectionLimits(16, (), lambda reason, address: told.append((reason, address)))
    other = Peer(connection_limits, "192.0.2.1")
    mine = [Peer(connection_limits, "192.0.2.2") for _ in range(4)]
    assert [peer.is_open for peer in mine] == [False, False, True, True]
    assert other.is_open
    assert told == [("address-share", "192.0.2.2")] * 2
    assert len(connection_limits) == 3


def test_a_client_that_delivered_is_closed_last_and_never_during_an_answer() -> None:
    """Reaching the limit is logged, with the address unless it is a trusted proxy's."""
    told: list[tuple[str, str]] = []
    connection_limits = ConnectionLimits(
        2, ("10.0.0.0/8",), lambda reason, address: told.append((reason, address))
    )
    proven, idle = Peer(connection_limits, "10.0.0.1"), Peer(connection_limits, "192.0.2.1")
    proven.proven = True
    connection_limits.busy(proven)
    connection_limits.wait(proven)
    newer = Peer(connection_limits, "10.0.0.1")
    assert (proven.is_open, idle.is_open) == (True, False)
    connection_limits.busy(newer)
    connection_limits.busy(proven)
    assert not Peer(connection_limits, "192.0.2.2").is_open
    connection_limits.wait(proven)
    assert Peer(connection_limits, "192.0.2.2").is_open
    assert (proven.is_open, newer.is_open) == (False, True)
    assert told == [("full", ""), ("full", "192.0.2.2"), ("full", "192.0.2.2")]


def test_a_newcomer_is_refused_if_all_are_busy() -> None:
    """No connection is closed while a request is being answered."""
    connection_limits = ConnectionLimits(2, ("0.0.0.0/0",))
    peers = [Peer(connection_limits, "192.0.2.1") for _ in range(2)]
    for peer in peers:
        connection_limits.busy(peer)
    assert not Peer(connection_limits, "192.0.2.1").is_open
    connection_limits.wait(peers[1])
    assert Peer(connection_limits, "192.0.2.1").is_open
    assert [peer.is_open for peer in peers] == [True, False]


def test_closed_connections_leave_no_memory() -> None:
    """Even after a flood from many addresses."""
    connection_limits = ConnectionLimits(4, ())
    for number in range(100):
        Peer(connection_limits, f"192.0.2.{number}")
    assert len(connection_limits._taken) == len(connection_limits._of_address) == len(connection_limits) == 4
