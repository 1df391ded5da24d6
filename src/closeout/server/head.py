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

_HTTP = {"1.0", "1.1"}
_LENGTH = b"content-length"
_ENCODING = b"transfer-encoding"


class BadHead(Exception):
    """The bytes are not the head of an HTTP/1 request that this server serves."""


class HeadTooLarge(Exception):
    """The head has more bytes or more header fields than are taken."""


class Head:
    """A whole head. Header names are in lower case, as in ASGI."""

    __slots__ = (
        "chunked",
        "expects_continue",
        "headers",
        "keep_alive",
        "length",
        "method",
        "size",
        "target",
        "version",
    )

    def __init__(self, raw: bytes) -> None:
        """Parse the bytes up to the empty line and with it. Raises BadHead, HeadTooLarge."""
        self.size = len(raw)
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunked = self.expects_continue = False
        self.length = 0
        self.version = ""
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # Nothing is upgraded: the request is answered as if it had not asked.
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                raise error.__context__ from None
            raise BadHead from None
        self.version = parser.get_http_version() if self.version else ""
        if self.version not in _HTTP:
            raise BadHead
        self.method: bytes = parser.get_method()
        self.keep_alive = self.version == "1.1" and parser.should_keep_alive()
        if self.chunked:
            self.keep_alive = (
                False  # Where a chunked body ends, and the next request begins, llhttp does not say.
            )
            if self.version == "1.0":
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
        if name == _LENGTH:
            self.length = int(value)
        elif name == _ENCODING:
            if value.lower() != b"chunked" or self.chunked:
                raise BadHead
            self.chunked = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True

    def on_headers_complete(self) -> None:
        """Notice that llhttp, too, sees the end of a head, and of one only."""
        if self.version:
            raise BadHead
        self.version = "seen"


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

    __slots__ = ("_parser", "_pieces", "done")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.done = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")

    def decode(self, data: bytes) -> bytes:
        """Return the body's bytes in `data`; `done` tells whether they are the last. Raises BadHead."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.done:
                raise BadHead from None
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def on_body(self, piece: bytes) -> None:
        """Take a piece; nothing after the end."""
        if not self.done:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Notice the end."""
        self.done = True
