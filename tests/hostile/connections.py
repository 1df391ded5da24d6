"""Connections that make no progress, and strangers who want all places.

Fifteen kinds of silence and of slowness, a few connections of each, all at once: every one of them is closed by the
server within `BOUND`. Then one address, and then sixteen, open more connections than the server has places: a good
delivery each second from another address is taken all the same, the log and the metrics say that the server is full,
and every place is free again afterwards.

Red when sabotaged: leave out any of the timers in `server/protocol.py`; take away an address's share.
"""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from closeout.testing import deliveries
from tests.hostile.good import GoodDeliveries
from tests.hostile.process import Watch
from tests.hostile.report import Report
from tests.hostile.requests import get, post
from tests.hostile.server import ATTACKER, IDLE, SECRET, Server
from tests.hostile.stage import Stage

BOUND = 90.0
"""Seconds within which a connection without progress ends: the longest of the server's timers is 75, between an answer
and the next head, and a busy machine comes on top. Progress is a whole head, a whole body, or an answer that is read."""
OF_EACH = 4
FILES = 1024
"""Descriptors of the server that one address wants to fill: half of them are for connections."""
CROWD, MANY = 1100, 16
PIECE = 30_000
"""Bytes sent at once: under the limit of a head, which a server may take several requests for."""
HOLD = 4.0
SHARE = FILES // 8
"""The most of the places that one address may hold: a quarter."""
LEFT_OPEN = 40
"""Descriptors more than at the start that threads may keep (see `flood`)."""
ESTABLISHED, CLOSE_WAIT = "01", "08"
SIGNED = f"X-Hub-Signature-256: {deliveries.signature(b'a' * 60, SECRET)}\r\n".encode()
UNSIGNED_BODY = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
PAGE = b"GET /runs/none HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Kind:
    """What is sent at first, what is sent each second after that, and whether answers are read."""

    name: str
    first: bytes
    drip: bytes = b""
    reads: bool = True
    after_answer: bytes = b""
    """Sent once, after the first answer has come."""


KINDS = (
    Kind("silence from the start", b""),
    Kind("half a request line", b"POST /web"),
    Kind("half a head", b"POST /webhook HTTP/1.1\r\nHost: x\r\nX-Git"),
    Kind("a head that drips", b"POST /webhook HTTP/1.1\r\nHost: x\r\nX: ", drip=b"a"),
    Kind("a CRLF after a keep-alive answer", PAGE, after_answer=b"\r\n"),
    Kind("CRLFs that drip after an answer", PAGE, after_answer=b"\r\n", drip=b"\r\n"),
    Kind("half a head after an answer", PAGE, after_answer=b"GET /runs/no"),
    Kind("one byte of a body after its answer", UNSIGNED_BODY, after_answer=b"a"),
    Kind(
        "one byte of a page's body",
        PAGE.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"),
        after_answer=b"a",
    ),
    Kind("a body that never comes", post(SIGNED + b"Content-Length: 60\r\n")),
    Kind("a body that drips", post(SIGNED + b"Content-Length: 60\r\n"), drip=b"a"),
    Kind("an unread body that drips", UNSIGNED_BODY, drip=b"a"),
    Kind("chunks that drip", post(SIGNED + b"Transfer-Encoding: chunked\r\n"), drip=b"1\r\na\r\n"),
    Kind("a chunk without its end", post(SIGNED + b"Transfer-Encoding: chunked\r\n", b"ff\r\naaa")),
    Kind("answers that nobody reads", PAGE * 20_000, reads=False),
)


@dataclass
class _Held:
    kind: Kind
    socket: socket.socket
    unsent: bytes
    port: int
    answered: bool = False
    ended: bool = False
    closed: float | None = None
    """Seconds after which the server had let go of it."""


def run(stage: Stage, report: Report) -> None:
    """Play both parts on one server with few places."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096 if hard == resource.RLIM_INFINITY else min(hard, 4096), hard)
    )
    with Server(stage.folder, IDLE, files=FILES, options=("--trusted-proxy", "none")) as server:
        with GoodDeliveries(server, every=0.05, prefix="warm"):
            time.sleep(0.5)
        with Watch(server.pid) as watch:
            with GoodDeliveries(server) as good:
                _silent(server, report)
                _crowds(server, report)
            good.into(report)
            after = watch.settled(20.0, 10.0, descriptors=LEFT_OPEN)
            report.memory = (watch.start.resident, watch.peak, after)
            report.descriptors = (watch.start.descriptors, watch.last.descriptors)
        more = report.descriptors[1] - report.descriptors[0]
        report.check(more <= LEFT_OPEN, f"{more} descriptors more than before are open when all have gone")


def _silent(server: Server, report: Report) -> None:
    """Hold connections of every kind until the server has let go of all, or the bound is over."""
    held = [_opened(server, kind) for kind in KINDS for _ in range(OF_EACH)]
    began = tick = time.monotonic()
    while time.monotonic() < began + BOUND and any(one.closed is None for one in held):
        time.sleep(0.05)
        for one in held:
            _turn(one)
        if time.monotonic() < tick:
            continue
        tick += 1.0
        there = held_ports(server.port)
        for one in held:
            one.unsent += one.kind.drip if one.answered or not one.kind.after_answer else b""
            if one.port not in there and one.closed is None:
                one.closed = time.monotonic() - began
    for kind in KINDS:
        left = sum(one.closed is None for one in held if one.kind is kind)
        report.check(not left, f"{kind.name}: {left} of {OF_EACH} connections are open after {BOUND:g} s")
    last = max(one.closed or BOUND for one in held)
    report.events.append(
        f"{len(held)} connections of {len(KINDS)} slow kinds (the last ended after {last:.0f} s)"
    )
    for one in held:
        one.socket.close()


def _opened(server: Server, kind: Kind) -> _Held:
    connection = server.connect()
    if not kind.reads:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    return _Held(kind, connection, kind.first, connection.getsockname()[1])


def _turn(one: _Held) -> None:
    """Send what is to be sent and read what is there, where this kind reads."""
    if one.ended:
        return
    try:
        if one.unsent:
            one.unsent = one.unsent[one.socket.send(one.unsent[:PIECE]) :]
        if one.kind.reads:
            one.ended = not one.socket.recv(65536)
            if not one.answered:
                one.unsent += one.kind.after_answer
            one.answered = True
    except BlockingIOError:
        return
    except OSError:
        one.ended = True


def held_ports(port: int) -> set[int]:
    """Return the other sides' ports of the connections that a process holds on its `port`.

    A socket that its process has closed has no inode any more, whatever the kernel still does with it (proc(5),
    /proc/net/tcp); nor has one that was not accepted yet.
    """
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {
        int(row[2].rpartition(":")[2], 16)
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port
        and row[9] != "0"
        and row[3] in (ESTABLISHED, CLOSE_WAIT)
    }


def _crowds(server: Server, report: Report) -> None:
    """Open more connections than there are places: from one address, then from many."""
    one = _crowd(server, [ATTACKER])
    many = _crowd(server, [f"127.0.1.{number}" for number in range(1, MANY + 1)])
    report.events.append(f"{CROWD:,} from one address: {one} are held")
    report.events.append(f"{CROWD:,} from {MANY}: {many} are held")
    report.check(one <= SHARE, f"one address holds {one} connections, over {SHARE} of {FILES // 2} places")
    report.check(many <= FILES // 2, f"{many} connections are held, over the {FILES // 2} places")
    metrics = server.exchange(get(b"/metrics"), source="127.0.0.1").decode("utf-8", "replace")
    log = server.log().decode("utf-8", "replace")
    for reason, said in (
        ("address-share", "share of the connections"),
        ("full", "connection limit reached"),
    ):
        counted = re.search(rf'closed_total{{reason="{reason}"}} [1-9]', metrics)
        report.check(
            counted is not None, f"the metrics do not say that connections were closed as `{reason}`"
        )
        report.check(said in log, f"the log does not say `{said}`")


def _crowd(server: Server, addresses: Sequence[str]) -> int:
    """Open `CROWD` connections from these addresses and hold them for some seconds; return how many the server holds."""
    crowd: list[socket.socket] = []
    for number in range(CROWD):
        with contextlib.suppress(OSError):
            crowd.append(server.connect(addresses[number % len(addresses)], seconds=2.0))
    time.sleep(HOLD)
    mine = {one.getsockname()[1] for one in crowd}
    held = len(held_ports(server.port) & mine)
    for one in crowd:
        one.close()
    return held
