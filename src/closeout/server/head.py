"""Parse a request's head and a chunked body with llhttp.

A head is parsed when all of it has arrived. Until then a connection holds bytes only, so 64 KB of short headers take
64 KB of memory and not megabytes of objects. Anything that two parsers could read differently is rejected.
"""

from __future__ import annotations

import httptools

HEAD_BYTES = 64 * 1024
HEADER_FIELDS = 100
"""GitHub sends about fifteen, and a proxy adds a few. Apache and Node.js have such a limit, too."""
END = b"\r\n\r\n"
CHUNK_OVERHEAD = 64 * 1024
"""Bytes of overhead (sizes, extensions, trailers) that a chunked body may have beyond the size of its data. One-byte chunks
cost a thousand times the CPU time of their data. Go's net/http has such a limit too."""
_SLICE = 8192

_HTTP = {"1.0", "1.1"}
_LENGTH = b"content-length"
_ENCODING = b"transfer-encoding"
_FRAMING = {_LENGTH, _ENCODING, b"expect"}


class BadHead(Exception):
    """The bytes are not the head of a valid HTTP/1 request."""


class HeadTooLarge(Exception):
    """The head has too many bytes or too many header fields."""


class Head:
    """A complete head. Header names are in lower case, as in ASGI."""

    __slots__ = (
        "_parser", "chunked", "expects_continue", "headers", "keep_alive", "length", "method", "size", "target", "version",
    )  # fmt: skip

    def __init__(self, raw: bytes) -> None:
        """Parse a head including its empty line. Raises BadHead, HeadTooLarge."""
        self.size = len(raw)
        self.method = self.target = b""
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunked = self.expects_continue = self.keep_alive = False
        self.length = 0
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # Upgrades are not supported: answer the request as if it had not asked.
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                raise HeadTooLarge from None
            raise BadHead from None
        finally:
            del self._parser
        if self.version not in _HTTP or (self.chunked and self.version == "1.0"):
            raise BadHead

    @property
    def path(self) -> bytes:
        """The target without its query, neither decoded nor normalized."""
        return self.target.partition(b"?")[0]

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.length > 0

    # Callbacks of llhttp.

    def on_url(self, url: bytes) -> None:
        """Append a piece of the target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. llhttp rejects a second length, a length with an encoding, and a length that is not a number."""
        if len(self.headers) == HEADER_FIELDS:
            raise HeadTooLarge
        name = name.lower()
        self.headers.append((name, value))
        if name not in _FRAMING:
            return
        if name == _LENGTH:
            self.length = int(value)
        elif name == _ENCODING:
            if value.lower() != b"chunked" or self.chunked:
                raise BadHead
            self.chunked = True
        elif value.lower() == b"100-continue":
            self.expects_continue = True

    def on_headers_complete(self) -> None:
        """Read version, method and keep-alive. Raises BadHead for a second head."""
        if self.version:
            raise BadHead
        self.version = self._parser.get_http_version()
        self.method = self._parser.get_method()
        # llhttp does not report where a chunked body ends, so the connection cannot be reused.
        self.keep_alive = self.version == "1.1" and self._parser.should_keep_alive() and not self.chunked


def split(buffer: bytes, known: int) -> tuple[Head, bytes] | None:
    """Return the first head in `buffer` and the bytes after it; None while it is incomplete.

    The first `known` bytes contain no end of a head. Raises BadHead, HeadTooLarge.
    """
    if not b"A" <= buffer[:1] <= b"Z":
        raise BadHead
    end = buffer.find(END, known, HEAD_BYTES)
    if end != -1:
        end += len(END)
        return Head(buffer[:end]), buffer[end:]
    if len(buffer) >= HEAD_BYTES:
        raise HeadTooLarge
    return None


class Chunked:
    """Decodes a chunked body. Extensions and trailers are parsed and dropped, so they take no memory."""

    __slots__ = ("_body", "_parser", "_spare")

    def __init__(self) -> None:
        self._body = _ChunkedBody()
        self._parser = httptools.HttpRequestParser(self._body)
        self._parser.feed_data(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        self._spare = CHUNK_OVERHEAD

    @property
    def done(self) -> bool:
        """Whether the body is complete."""
        return self._body.done

    def decode(self, data: bytes) -> bytes:
        """Return the body's bytes in `data`. Raises BadHead, also for more than `CHUNK_OVERHEAD`."""
        decoded: list[bytes] = []
        for at in range(0, len(data), _SLICE):
            piece = data[at : at + _SLICE]
            try:
                self._parser.feed_data(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                if not self.done:
                    raise BadHead from None
            body = b"".join(self._body.pieces)
            self._body.pieces.clear()
            decoded.append(body)
            if self.done:
                break
            self._spare = min(CHUNK_OVERHEAD, self._spare + 2 * len(body) - len(piece))
            if self._spare < 0:
                raise BadHead
        return b"".join(decoded)


class _ChunkedBody:
    """Callbacks of llhttp, separate from `Chunked` to avoid a reference cycle that waits for the garbage collector."""

    __slots__ = ("done", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.done = False

    def on_body(self, piece: bytes) -> None:
        if not self.done:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.done = True
