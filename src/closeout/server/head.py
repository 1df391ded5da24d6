"""A request's head and a chunked body, parsed by llhttp; bytes in, values or a named error out.

The head is parsed only once it is whole: until then a connection holds its bytes and nothing else, so that 64 KB of
short headers are 64 KB of memory and not megabytes of objects. Whatever two parsers could read differently is refused.
"""

from __future__ import annotations

import httptools

HEAD_BYTES = 64 * 1024
HEADER_FIELDS = 100
"""GitHub sends about fifteen, a proxy adds a few. Apache and Node.js draw such a line too."""
END = b"\r\n\r\n"
CHUNK_OVERHEAD = 64 * 1024
"""Bytes of a chunked body that may be sizes, extensions and trailers, beside as many as it has data: chunks of one byte
each cost a thousand times the processor time of what they carry. Go's net/http draws such a line too."""
_SLICE = 8192

_HTTP = {"1.0", "1.1"}
_LENGTH = b"content-length"
_ENCODING = b"transfer-encoding"
_FRAMING = {_LENGTH, _ENCODING, b"expect"}


class BadHead(Exception):
    """The bytes are not the head of an HTTP/1 request that this server serves."""


class HeadTooLarge(Exception):
    """The head has more bytes or more header fields than are taken."""


class Head:
    """A whole head. Header names are in lower case, as in ASGI."""

    __slots__ = (
        "_parser", "chunked", "expects_continue", "headers", "keep_alive", "length", "method", "size", "target", "version",
    )  # fmt: skip

    def __init__(self, raw: bytes) -> None:
        """Parse the bytes up to the empty line and with it. Raises BadHead, HeadTooLarge."""
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
            pass  # Nothing is upgraded: the request is answered as if it had not asked.
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
        """The target without its query, exactly as it was sent: nothing is decoded or normalized."""
        return self.target.partition(b"?")[0]

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow."""
        return self.chunked or self.length > 0

    # What llhttp calls.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. llhttp has refused a second length, a length beside an encoding, and what is no number."""
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
        """Read what llhttp knows at the end of the head. A second end is one of a second head, and refused."""
        if self.version:
            raise BadHead
        self.version = self._parser.get_http_version()
        self.method = self._parser.get_method()
        # Where a chunked body ends, and the next request begins, llhttp does not say: such a connection is closed.
        self.keep_alive = self.version == "1.1" and self._parser.should_keep_alive() and not self.chunked


def split(buffer: bytes, known: int) -> tuple[Head, bytes] | None:
    """Return the first head in `buffer`, and what follows it; None while it is not whole.

    The first `known` bytes are known not to end a head. Raises BadHead, HeadTooLarge.
    """
    if not b"A" <= buffer[:1] <= b"Z":
        raise BadHead
    end = buffer.find(END, known, HEAD_BYTES)
    if end >= 0:
        end += len(END)
        return Head(buffer[:end]), buffer[end:]
    if len(buffer) >= HEAD_BYTES:
        raise HeadTooLarge
    return None


class Chunked:
    """Decodes a chunked body. Extensions and trailers are parsed and dropped, so that they take no memory."""

    __slots__ = ("_body", "_parser", "_spare")

    def __init__(self) -> None:
        self._body = _ChunkedBody()
        self._parser = httptools.HttpRequestParser(self._body)
        self._parser.feed_data(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        self._spare = CHUNK_OVERHEAD

    @property
    def done(self) -> bool:
        """Whether the body is whole."""
        return self._body.done

    def decode(self, data: bytes) -> bytes:
        """Return the body's bytes in `data`. Raises BadHead, also when there is more around the chunks than in them."""
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
    """What llhttp calls; apart from `Chunked`, so that nothing refers to itself and waits for the garbage collector."""

    __slots__ = ("done", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.done = False

    def on_body(self, piece: bytes) -> None:
        if not self.done:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.done = True
