"""Memory: what strangers may make the server hold, and whether it lets go of it.

40 MB of heads, each answered and then reset; twelve unsigned bodies of 25 MB at once; and 200 bodies of just under
1 MB, each waiting for its last byte. Resident memory stays under 150 MB and is back within 20 MB of the start within
ten seconds, and a good delivery each second is taken throughout: bytes that nobody signed never make it 503.

Red when sabotaged: keep the keep-alive timer of a connection that was reset (`server/protocol.py`); keep large bodies
in memory; count unverified bytes against small deliveries.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from closeout.testing import deliveries
from tests.hostile.good import GoodDeliveries, Sent, note
from tests.hostile.process import Watch
from tests.hostile.report import Report
from tests.hostile.requests import get
from tests.hostile.server import IDLE, Server
from tests.hostile.stage import Stage

MEGABYTE = 1024 * 1024
HEAD = b"a:b\r\n" * (60 * 1024 // 5)
"""60 KB in as many headers as fit: each becomes objects many times its size."""
HEADS = 700
"""Of 60 KB each: 42 MB."""
LARGE, LARGE_AT_ONCE = 25 * MEGABYTE - 1, 12
SMALL, SMALL_AT_ONCE = MEGABYTE - 1, 200
MOST = 150.0
BACK_WITHIN, BACK_SECONDS = 20.0, 10.0
WRONG = deliveries.signature(b"", "another secret").encode()
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without a wait: close() resets the connection, see socket(7)."""


def run(stage: Stage, report: Report) -> None:
    """Play the three, each on a server of its own; the row shows the memory of the worst."""
    sent: list[Sent] = []
    for name, attack in (("heads", _heads), ("large", _large_bodies), ("small", _small_bodies)):
        with Server(stage.room(name), IDLE) as server:
            sent += watched(report, server, name, partial(attack, stage, server))
    note(sent, report)


def watched(report: Report, server: Server, name: str, attack: Callable[[], str]) -> list[Sent]:
    """Attack under watch; check what this attack did to the memory. Returns the good deliveries beside it."""
    with GoodDeliveries(server, prefix="warm", every=0.05):
        time.sleep(0.5)  # threads, connections to the ledger and caches belong to the start
    with Watch(server.pid) as watch:
        with GoodDeliveries(server) as good:
            report.events.append(attack())
            after = watch.settled(BACK_WITHIN, BACK_SECONDS)
        figures = (watch.start.resident, watch.peak, after)
        counts = (watch.start.descriptors, watch.last.descriptors)
    shown = ", ".join(f"{figure:.0f}" for figure in figures)
    report.check(watch.peak < MOST, f"{name}: the peak is {watch.peak:.0f} MB, over {MOST:.0f} ({shown})")
    report.check(
        after <= watch.start.resident + BACK_WITHIN,
        f"{name}: {after - watch.start.resident:.0f} MB over the start after {BACK_SECONDS:g} s ({shown})",
    )
    if report.memory is None or watch.peak > report.memory[1]:
        report.memory, report.descriptors = figures, counts
    return good.sent


def _heads(stage: Stage, server: Server) -> str:
    """Send a head of 60 KB, read the answer, reset the connection; again and again from four threads."""
    count = stage.count(HEADS)
    raw = get(b"/healthz").replace(b"Connection: close\r\n", HEAD)

    def one(_: int) -> None:
        with contextlib.suppress(OSError), server.connect(seconds=10) as connection:
            connection.sendall(raw)
            connection.recv(65536)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    _at_once(one, range(count), 4)
    return f"{count:,} heads of 60 KB, reset"


def _large_bodies(stage: Stage, server: Server) -> str:
    """Send bodies of 25 MB with a signature that does not fit, all at once."""
    raw = b"a" * LARGE

    def one(_: int) -> None:
        with contextlib.suppress(OSError), server.connect(seconds=30) as connection:
            connection.sendall(_head(LARGE))
            connection.sendall(raw)
            connection.recv(65536)

    _at_once(one, range(LARGE_AT_ONCE), LARGE_AT_ONCE)
    return f"{LARGE_AT_ONCE} unsigned bodies of 25 MB at once"


def _small_bodies(stage: Stage, server: Server) -> str:
    """Send all but the last byte of many bodies just under 1 MB, hold them together for a moment, then end them."""
    raw = b"a" * (SMALL - 1)
    held: list[socket.socket] = []

    def one(_: int) -> None:
        with contextlib.suppress(OSError):
            connection = server.connect(seconds=10)
            held.append(connection)
            connection.sendall(_head(SMALL))
            connection.sendall(raw)

    _at_once(one, range(SMALL_AT_ONCE), 16)
    time.sleep(2.0)
    for connection in held:
        with contextlib.suppress(OSError):
            connection.sendall(b"a")
            connection.recv(65536)
        connection.close()
    return f"{SMALL_AT_ONCE} of just under 1 MB at once"


def _head(length: int) -> bytes:
    return (
        b"POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\n"
        b"X-Hub-Signature-256: %b\r\nContent-Length: %d\r\n\r\n" % (WRONG, length)
    )


def _at_once(one: Callable[[int], None], numbers: Iterable[int], threads: int) -> None:
    """Call a function for each number, from so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, numbers))
