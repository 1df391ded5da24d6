"""The load: wrk as fast as the server answers, and a loader of constant rate for latency.

wrk waits for an answer before it sends the next request, so its latency at saturation is that of a full queue. At
a fixed rate each request has an intended moment, and what is measured starts there: a server that stalls is
charged for everything that it kept waiting.
"""

import hashlib
import hmac
import json
import re
import secrets
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.servers import LOAD_CORE, pinned
from bench.tools import BENCH, WORK

SECRET = "the benchmark's webhook secret"
CONNECTIONS = 32
EVENT = "pull_request"


def example_body() -> bytes:
    """The first `pull_request` `closed` example of @octokit/webhooks-examples, 23.7 KB without white space.

    Without its `closed_at`: sent again and again it would be one closing, and start one run.
    """
    index = BENCH / "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
    events = json.loads(index.read_text("utf-8"))
    (examples,) = (entry["examples"] for entry in events if entry["name"] == EVENT)
    closed = next(example for example in examples if example["action"] == "closed")
    closed["pull_request"]["closed_at"] = None
    return json.dumps(closed, separators=(",", ":"), ensure_ascii=False).encode()


def signature(body: bytes) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


class Requests:
    """Signed requests of one body, a GUID of its own for each."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.signature = signature(body)
        self._head = (
            "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/bench\r\n"
            f"Content-Type: application/json\r\nX-GitHub-Event: {EVENT}\r\nX-GitHub-Hook-ID: 1\r\n"
            f"X-Hub-Signature-256: {self.signature}\r\nContent-Length: {len(body)}\r\nX-GitHub-Delivery: "
        ).encode()
        self._prefix = fresh_prefix()
        self._count = 0

    def next(self) -> bytes:
        """The next request, whole."""
        self._count += 1
        return b"%s%s-0000-4000-8000-%012x\r\n\r\n%s" % (
            self._head,
            self._prefix.encode(),
            self._count,
            self.body,
        )


def fresh_prefix() -> str:
    """Eight hex digits that begin the GUIDs of one source of load."""
    return secrets.token_hex(4)


@dataclass(frozen=True)
class Saturation:
    """What wrk saw."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def saturate(port: int, body: bytes, seconds: int) -> Saturation:
    """Run wrk with 32 connections on its own core."""
    body_file = WORK / "body.json"
    body_file.write_bytes(body)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    command += ["-s", str(BENCH / "signed.lua"), f"http://127.0.0.1:{port}"]
    command += ["--", str(body_file), signature(body), EVENT, fresh_prefix()]
    out = subprocess.run(pinned(LOAD_CORE, command), capture_output=True, text=True, check=True).stdout
    return _parse(out)


def _parse(out: str) -> Saturation:
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s|m)", out)
    if not total:
        raise RuntimeError(f"wrk said: {out}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    failed = sum(map(int, errors.groups())) if errors else 0
    return Saturation(
        requests=int(total[1]),
        seconds=_duration(total[2] + total[3]),
        p50=_percentile(out, 50),
        p99=_percentile(out, 99),
        failed=failed + (int(refused[1]) if refused else 0),
    )


def _percentile(out: str, which: int) -> float:
    found = re.search(rf"^\s+{which}%\s+(\S+)$", out, re.MULTILINE)
    if not found:
        raise RuntimeError(f"wrk gave no {which}th percentile: {out}")
    return _duration(found[1])


def _duration(text: str) -> float:
    """Seconds, of wrk's `812.00us`, `3.21ms`, `4.01s` or `1.00m`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[unit]


def paced(port: int, body: bytes, rate: float, seconds: float) -> list[float]:
    """Latencies in seconds at a constant rate, by a process of its own on the load's core."""
    (WORK / "body.json").write_bytes(body)
    command = [sys.executable, "-m", "bench.load", str(port), f"{rate:g}", f"{seconds:g}"]
    done = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, cwd=BENCH.parent, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    latencies: list[float] = json.loads(done.stdout)
    return latencies


@dataclass
class _Connection:
    socket: socket.socket
    due: float = 0.0
    received: bytes = b""


def _pace(port: int, body: bytes, rate: float, seconds: float) -> list[float]:
    """Send at fixed moments over kept-alive connections; never sleep, since a timer is coarser than the answers."""
    requests = Requests(body)
    idle = [_connect(port) for _ in range(CONNECTIONS)]
    busy: dict[int, _Connection] = {}
    poll = select.epoll()
    latencies: list[float] = []
    began = time.perf_counter() + 0.1
    sent, total = 0, int(rate * seconds)
    prepared = requests.next()
    while len(latencies) < total:
        now = time.perf_counter()
        if sent < total and idle and now >= began + sent / rate:
            connection = idle.pop()
            connection.due = began + sent / rate
            connection.socket.sendall(prepared)
            busy[connection.socket.fileno()] = connection
            poll.register(connection.socket, select.EPOLLIN)
            sent += 1
            prepared = requests.next()
        for descriptor, _ in poll.poll(0):
            connection = busy[descriptor]
            if _answered(connection):
                latencies.append(time.perf_counter() - connection.due)
                poll.unregister(descriptor)
                idle.append(busy.pop(descriptor))
        if now > began + seconds + 30:
            raise RuntimeError(f"{total - len(latencies)} of {total} requests were never answered")
    return latencies


def _connect(port: int) -> _Connection:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Connection(connection)


def _answered(connection: _Connection) -> bool:
    """Read what is there; whether the answer is now complete. Anything but 2xx is an error."""
    chunk = connection.socket.recv(65536)
    if not chunk:
        raise RuntimeError(f"the server closed a connection: {connection.received!r}")
    connection.received += chunk
    head, separator, rest = connection.received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if head[9:10] != b"2":
        raise RuntimeError(f"not a 2xx: {connection.received!r}")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    complete = len(rest) >= int(length[1]) if length else rest.endswith(b"0\r\n\r\n") or head[9:12] == b"204"
    if complete:
        connection.received = b""
    return complete


if __name__ == "__main__":
    port, rate, seconds = sys.argv[1:]
    print(json.dumps(_pace(int(port), (WORK / "body.json").read_bytes(), float(rate), float(seconds))))
