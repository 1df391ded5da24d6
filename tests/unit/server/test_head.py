"""Heads and chunked bodies: bytes in, values or a named error out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.server.head import (
    CHUNK_OVERHEAD,
    HEAD_BYTES,
    HEADER_FIELDS,
    BadHead,
    Chunked,
    Head,
    HeadTooLarge,
    split,
)


def test_a_head_says_what_matters() -> None:
    """Method, path as it was sent, length, and whether the connection may be kept."""
    head = Head(b"POST /webhook?x=%20 HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\nA: b\r\n\r\n")
    assert (head.method, head.path, head.length, head.keep_alive) == (b"POST", b"/webhook", 7, True)
    assert head.expects_continue
    assert head.headers[2] == (b"a", b"b")


@pytest.mark.parametrize(
    ("line", "follows"),
    [
        (b"A: b", False),
        (b"Content-Length: 0", False),
        (b"Content-Length: 1", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_a_body_follows_a_head_that_says_so(line: bytes, follows: bool) -> None:
    """However short it is."""
    assert Head(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % line).has_body is follows


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_when_its_next_request_can_be_found(raw: bytes, kept: bool) -> None:
    """HTTP/1.0, `close` and a chunked body end it."""
    assert Head(raw).keep_alive is kept


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\nA: b\r\n\r\n",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes) -> None:
    """Two lengths, a length beside an encoding, folded lines, bare line feeds, other versions."""
    with pytest.raises(BadHead):
        Head(raw)


def test_an_upgrade_is_ignored() -> None:
    """The request is answered as if it had not asked."""
    head = Head(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert head.path == b"/"


@given(
    st.binary(max_size=300)
    | st.binary(max_size=100).map(lambda tail: b"GET / HTTP/1.1\r\n" + tail + b"\r\n\r\n")
)
def test_any_bytes_are_a_head_or_a_named_error(raw: bytes) -> None:
    """Nothing else is raised."""
    try:
        found = split(raw, 0)
    except (BadHead, HeadTooLarge):
        return
    if found is not None:
        head, rest = found
        assert raw.endswith(rest)
        assert head.size == len(raw) - len(rest)


@given(st.integers(0, 200), st.integers(1, 60))
def test_a_head_is_found_however_it_is_cut(pad: int, size: int) -> None:
    """`known` bytes are not searched again, and nothing is missed for it."""
    raw = b"GET / HTTP/1.1\r\nX: " + b"x" * pad + b"\r\n\r\nrest"
    buffer = b""
    for start in range(0, len(raw), size):
        known = max(0, len(buffer) - 3)
        buffer += raw[start : start + size]
        found = split(buffer, known)
        if found is not None:
            assert found[0].size == len(raw) - 4
            return
    raise AssertionError("the head was not found")


def test_a_head_has_100_fields_at_most() -> None:
    """Many short ones would be megabytes of objects."""
    fields = b"A: b\r\n" * HEADER_FIELDS
    assert len(Head(b"GET / HTTP/1.1\r\n" + fields + b"\r\n").headers) == HEADER_FIELDS
    with pytest.raises(HeadTooLarge):
        Head(b"GET / HTTP/1.1\r\n" + fields + b"C: d\r\n\r\n")


def test_an_endless_head_ends_at_64_kb() -> None:
    """Whatever follows."""
    raw = b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES
    assert split(raw[: HEAD_BYTES - 1], 0) is None
    with pytest.raises(HeadTooLarge):
        split(raw[:HEAD_BYTES], HEAD_BYTES - 3)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 20))
def test_a_chunked_body_is_decoded_however_it_is_cut(pieces: list[bytes], size: int) -> None:
    """With an extension and a trailer, which are dropped; what follows is not of the body."""
    raw = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nA: b\r\n\r\n"
    chunked, body = Chunked(), b""
    for start in range(0, len(raw), size):
        body += chunked.decode(raw[start : start + size])
    assert (body, chunked.done) == (b"".join(pieces), True)


@pytest.mark.parametrize("before", [0, 10_000_000])
def test_chunks_of_a_byte_are_refused_after_a_while(before: int) -> None:
    """They cost a thousand times the processor time of their data, however much of it came before."""
    chunked = Chunked()
    assert len(chunked.decode(b"%x\r\n%b\r\n" % (before, b"x" * before)) if before else b"") == before
    assert len(chunked.decode(b"1\r\na\r\n" * 10_000)) == 10_000
    with pytest.raises(BadHead):
        chunked.decode(b"1\r\na\r\n" * 10_000)


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_what_chunks_cost_beyond_their_data_has_a_limit(more: int, fits: bool) -> None:
    """A byte over it is too much."""
    extension = b"1;" + b"x" * (CHUNK_OVERHEAD - 2 + more)
    chunked = Chunked()
    if fits:
        assert chunked.decode(extension) == b""
    else:
        with pytest.raises(BadHead):
            chunked.decode(extension)


def test_small_chunks_are_decoded() -> None:
    """Chunks that carry more than they cost are taken, any number of them."""
    assert len(Chunked().decode((b"10\r\n" + b"a" * 16 + b"\r\n") * 100_000)) == 1_600_000


def test_what_is_not_chunked_is_refused() -> None:
    """A size that is no number."""
    with pytest.raises(BadHead):
        Chunked().decode(b"zz\r\n")
