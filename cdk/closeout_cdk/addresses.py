"""The file of GitHub's addresses: written by `refresh_addresses.py`, committed, read at synth.

It is a file and not a lookup, so that synthesis needs no network and a review shows each change of addresses.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path


def read(path: Path) -> tuple[str, ...]:
    """Return the ranges of a file. Raises `ValueError` with the problem."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    ranges = value.get("hooks") if isinstance(value, dict) else None
    return checked(ranges)


def checked(ranges: object) -> tuple[str, ...]:
    """Return CIDR ranges, each once and in order. Raises `ValueError` for anything else, and for `everybody`."""
    if not isinstance(ranges, list) or not ranges:
        raise ValueError("`hooks` must be a list of address ranges that is not empty")
    return networks(ranges)


def networks(ranges: Iterable[object]) -> tuple[str, ...]:
    """Return CIDR ranges, each once and in order. Raises `ValueError` for anything else, for none, and for the whole internet."""
    found = []
    for text in ranges:
        try:
            network = ipaddress.ip_network(str(text))
        except ValueError:
            raise ValueError(f"`{text}` is not an address range, like 192.30.252.0/22") from None
        if network.prefixlen < 8:
            raise ValueError(f"`{text}` is too wide")
        found.append(network)
    if not found:
        raise ValueError("there is no address range")
    ordered = sorted(found, key=lambda network: (network.version, int(network.network_address)))
    return tuple(dict.fromkeys(str(network) for network in ordered))
