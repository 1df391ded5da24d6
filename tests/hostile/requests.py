"""Hostile requests by kind, made from a seed, each with the answers that `docs/reference/http.md` allows for it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import NamedTuple

from closeout.testing import deliveries
from tests.hostile.server import SECRET, signed

DOCUMENTED = frozenset({200, 202, 400, 401, 403, 404, 405, 408, 410, 413, 431, 503})
FORGED = "2026-01-01 00:00:00 closeout: forged-line"
"""What a request wants to see in the log as a line of its own."""
INNER = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
"""What is smuggled: its answer would be of a kind that the outer request never gets."""
NEVER = b"closeout_build_info"
"""Stands in the answer to `INNER` and in no other."""
LATE = "bad-encoding-"
"""Begins the GUIDs of signed bodies that a cheap look may take: a run refuses them when it reads them."""


class Hostile(NamedTuple):
    """One request. `allowed`: the statuses of its first answer, 0 for a connection closed without one.

    `answers`: the most answers that may come; a smuggled request would be one more.
    """

    kind: str
    raw: bytes
    allowed: frozenset[int]
    answers: int = 1


Maker = Callable[[random.Random], Hostile]
_CLOSED = frozenset({0, 400, 401, 408, 431})
CLOSED_AT = "2026-03-14T09:26:53Z"
"""The same for each process: a seed gives the same bytes."""
_BODY = deliveries.encode(deliveries.pull_request(closed_at=CLOSED_AT))


def make(chance: random.Random) -> Hostile:
    """Return the next request."""
    return chance.choice(MAKERS)(chance)


def post(headers: bytes, body: bytes = b"") -> bytes:
    """Return a POST to the webhook that asks for the connection's end."""
    return b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n" + body


def get(target: bytes) -> bytes:
    """Return a GET that asks for the connection's end."""
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _noise(chance: random.Random) -> Hostile:
    raw = chance.randbytes(chance.randint(1, 400)) + b"\r\n\r\n"
    return Hostile("bytes that are no HTTP", raw, frozenset({400}))


def _bad_head(chance: random.Random) -> Hostile:
    line = chance.choice(
        (
            b"X-GitHub-Event : push",
            b"X-\x00: y",
            b"X: a\x00b",
            b"X: a\rb",
            b": nothing",
            b"X-GitHub-Event",
            b"Content-Length: -1",
            b"Content-Length: 0x10",
            b"Content-Length: 99999999999999999999999999",
            b"Content-Length: 1, 1",
        )
    )
    return Hostile("bad heads", post(line + b"\r\n"), frozenset({400, 401, 413}))


def _bad_version(chance: random.Random) -> Hostile:
    version = chance.choice((b"HTTP/9.9", b"HTTP/1.1.1", b"HTTP/1.", b"http/1.1", b"HTTP/2.0", b"ICY/1.0"))
    return Hostile(
        "bad heads", b"POST /webhook " + version + b"\r\nHost: x\r\n\r\n", frozenset({0, 400, 401})
    )


def _bad_chunks(chance: random.Random) -> Hostile:
    fine = f"X-Hub-Signature-256: {deliveries.signature(_BODY, SECRET)}\r\n".encode()
    chunks = chance.choice(
        (
            b"zz\r\nabc\r\n",
            b"-1\r\n\r\n",
            b"ffffffffffffffffff\r\nx",
            b"3\r\nabcdef\r\n",
            b"3;x=\x00\r\nabc\r\n",
            b"\r\n\r\n",
        )
    )
    raw = post(fine + b"Transfer-Encoding: chunked\r\n", chunks)
    return Hostile("bad chunking", raw, _CLOSED | {413})


def _smuggled(chance: random.Random) -> Hostile:
    length = b"Content-Length: %d\r\n" % len(INNER)
    pair = chance.choice(
        (
            length + b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\n" + length,
            b"Content-Length: 0\r\n" + length,
            b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        )
    )
    raw = b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + pair + b"\r\n0\r\n\r\n" + INNER
    return Hostile("smuggling", raw, frozenset({0, 400, 401, 413}))


def _large_head(chance: random.Random) -> Hostile:
    size = chance.randint(70_000, 90_000)
    if chance.random() < 0.5:
        return Hostile("heads over 64 KB", post(b"X-Big: " + b"a" * size + b"\r\n"), frozenset({431}))
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 90) for number in range(size // 90))
    return Hostile("heads over 64 KB", post(lines), frozenset({431}))


def _many_headers(chance: random.Random) -> Hostile:
    lines = b"".join(b"X-%d: a\r\n" % number for number in range(chance.randint(500, 3000)))
    return Hostile("thousands of headers", post(lines), frozenset({400, 401, 431}))


def _unsigned(chance: random.Random) -> Hostile:
    signature = chance.choice(
        (b"", b"X-Hub-Signature: sha1=" + b"a" * 40 + b"\r\n", b"X-Hub-Signature-256: sha256=\xc3\xa9\r\n")
    )
    body = chance.randbytes(chance.randint(0, 5000))
    raw = post(signature + b"Content-Length: %d\r\n" % len(body), body)
    return Hostile("unsigned bodies", raw, frozenset({401}))


def _ill_signed(chance: random.Random) -> Hostile:
    body = chance.choice((_BODY, chance.randbytes(chance.randint(1, 30_000))))
    signature = deliveries.signature(body, "another secret").encode()
    raw = post(b"X-Hub-Signature-256: %b\r\nContent-Length: %d\r\n" % (signature, len(body)), body)
    return Hostile("ill-signed bodies", raw, frozenset({401}))


def _two_signatures(chance: random.Random) -> Hostile:
    good = deliveries.signature(_BODY, SECRET).encode()
    bad = deliveries.signature(_BODY, "x").encode()
    first, second = chance.sample((good, bad), 2)
    lines = b"X-Hub-Signature-256: %b\r\nX-Hub-Signature-256: %b\r\n" % (first, second)
    return Hostile(
        "ill-signed bodies", post(lines + b"Content-Length: %d\r\n" % len(_BODY), _BODY), frozenset({401})
    )


def _bad_encoding(chance: random.Random) -> Hostile:
    text = json.dumps(deliveries.pull_request(closed_at=CLOSED_AT)).encode()
    body = chance.choice(
        (
            b"\xff\xfe" + text.decode().encode("utf-16-le"),
            b"\xef\xbb\xbf" + text,
            text[:-5],
            b"[1]",
            b'{"a": NaN}',
            b'{"a": "\\u0000"}',
            b'{"a": "\\ud800"}',
            b'{"a": 123456789012345678901234567890}',
            b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
            b"",
        )
    )
    raw = signed(body, f"{LATE}{chance.randrange(10**9)}")
    return Hostile("signed, wrong encodings", raw, frozenset({202, 400}))


def _percent(chance: random.Random) -> Hostile:
    target = chance.choice(
        (b"/%6detrics", b"/%6Detrics", b"/metric%73", b"/./metrics", b"/x/../metrics", b"//metrics", b"/metrics/",
         b"/%2e%2e/etc/passwd", b"/runs/%2e%2e%2f%2e%2e", b"/runs/%00", b"/%", b"/%zz", b"/healthz%00", b"/readyz%3f")
    )  # fmt: skip
    return Hostile("percent tricks", get(target), frozenset({404, 400}))


INJECTION = get(
    b"/runs/x%0a" + FORGED.replace(" ", "%20").encode() + b"%1b[2J%c2%9b2J%c2%85%e2%80%a8%e2%80%ae%07%7f"
)
"""A page's address with everything that could begin a line or steer a terminal."""


def _log_injection(chance: random.Random) -> Hostile:
    forged = FORGED.replace(" ", "%20").encode()
    targets = (b"/runs/x%0d%0a", b"/runs/x?signature=%0a", b"/x%0a%07%08", b"/runs/%e2%80%a8%1b]0;")
    raw = chance.choice((INJECTION, *(get(target + forged) for target in targets)))
    return Hostile("log injection", raw, frozenset({404, 400}))


def _method(chance: random.Random) -> Hostile:
    method = chance.choice((b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND"))
    raw = method + b" /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return Hostile("methods", raw, frozenset({405}))


def _strange_method(chance: random.Random) -> Hostile:
    method = chance.choice((b"CONNECT", b"PRI", b"GET\x00", b"get", b"X" * 5000, b"M-SEARCH"))
    raw = method + b" /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return Hostile("methods", raw, frozenset({0, 400, 404, 405}))


def _pipelined(chance: random.Random) -> Hostile:
    count = chance.randint(2, 40)
    one = b"GET /runs/none HTTP/1.1\r\nHost: x\r\n\r\n"
    return Hostile("pipelining", one * (count - 1) + get(b"/runs/none"), frozenset({404}), answers=count)


def _large_announced(chance: random.Random) -> Hostile:
    size = chance.randint(26_214_401, 10**15)
    return Hostile("announced sizes", post(b"Content-Length: %d\r\n" % size), frozenset({401, 413}))


MAKERS: tuple[Maker, ...] = (
    _noise,
    _bad_head,
    _bad_version,
    _bad_chunks,
    _smuggled,
    _large_head,
    _many_headers,
    _unsigned,
    _ill_signed,
    _two_signatures,
    _bad_encoding,
    _percent,
    _log_injection,
    _method,
    _strange_method,
    _pipelined,
    _large_announced,
)
