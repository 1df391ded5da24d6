"""The law of redirects: whatever a `Location` says, no byte of a secret reaches another origin."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.adapters.github import GitHubClient
from closeout.adapters.http import HttpClient
from closeout.core import url
from closeout.core.errors import CloseoutError, InputError

SECRET = "tell-nobody-4711"


class Listener:
    """Takes connections, keeps every byte, and answers each with `answer`."""

    def __init__(self, host: str, port: int = 0) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        self.heard: list[bytes] = []
        self._socket = socket.create_server((host, port))
        self.port = self._socket.getsockname()[1]
        self.place = f"{host}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10.0)
                self.heard.append(b"")
                while b"\r\n\r\n" not in self.heard[-1] and (data := connection.recv(65_536)):
                    self.heard[-1] += data
                connection.sendall(self.answer)

    def close(self) -> None:
        """Take no more connections."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Places:
    """The configured origin, and two others: another host, and another port of the same host."""

    def __init__(self) -> None:
        self.home = Listener("127.0.0.1")
        self.others = (Listener("127.0.0.2"), Listener("127.0.0.1"))

    def redirect(self, location: bytes, status: int = 307) -> None:
        """Answer each request to the origin with this `Location`, byte by byte."""
        head = f"HTTP/1.1 {status} Elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n".encode()
        self.home.answer = head + b"Location: " + location + b"\r\n\r\n"
        for listener in (self.home, *self.others):
            listener.heard.clear()

    def ask(self, client: str) -> None:
        """Have one of the clients send its secret to the origin; how it ends does not matter here."""
        base = f"http://{self.home.place}"
        with contextlib.suppress(CloseoutError):
            if client == "github":
                GitHubClient(lambda: SECRET, base, timeout=2.0).request("GET", "/user")
            else:
                HttpClient().request(
                    "GET", f"{base}/x", headers={}, body=None, timeout=2.0, secret_headers={"X-Key": SECRET}
                )

    def close(self) -> None:
        """End."""
        for listener in (self.home, *self.others):
            listener.close()


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """Yield three listeners."""
    made = Places()
    yield made
    made.close()


def fill(pieces: list[str], places: Places) -> bytes:
    """Put the listeners' addresses into a `Location`."""
    ports = {"P": places.home.port, "Q": places.others[0].port, "R": places.others[1].port}
    text = "".join(pieces)
    for name, port in ports.items():
        text = text.replace(f"<{name}>", str(port))
    return text.encode("latin-1")


HOME, OTHER, NEXT = "127.0.0.1:<P>", "127.0.0.2:<Q>", "127.0.0.1:<R>"
starts = st.sampled_from(
    [
        "",
        "http:",
        "http://",
        "HTTP://",
        "https://",
        "//",
        "///",
        "/\\",
        "http:/\\",
        "http:///",
        "http:\\\\",
        "\t//",
        "http:/",
        "ht\ttp://",
        " http://",
        "http://\t",
        "/",
        "\\\\",
        "//\\",
        "http://@",
        "?",
        "#",
        "http://[",
        "\x0b//",
    ]
)
hosts = st.sampled_from(
    f"{HOME} {OTHER} {NEXT} 127.0.0.2 127.0.0.1 localhost:<R> LOCALHOST:<R> 127.0.0.1: 127.0.0.1:0 127.0.0.1:0<P>"
    " [::ffff:127.0.0.2]:<Q> 2130706434:<Q> 0x7f.2:<Q> 127.0.0.1%2e:<R> 127.0.0.2.:<Q> %31%32%37.0.0.2:<Q>"
    " 127.0.0.1.:<P> \xb9\xb2\xb7.0.0.2:<Q> 127.0.0.1:<P>:<R>".split(" ")
)
marks = st.sampled_from(
    [
        "@",
        "\\@",
        "\\",
        "/",
        "?",
        "#",
        "?@",
        "#@",
        "/@",
        "%40",
        "%5c",
        "\t",
        "\n ",
        " ",
        ";",
        ":",
        "\x00",
        "\xad",
        "&",
        "\r\n\t",
        ",",
        "|",
        "^",
        "%00",
        "%0a",
        "\x85",
        "\xa0",
        "]",
        "[",
        ":80@",
        "/..//",
        ", ",
    ]
)
paths = st.sampled_from(
    ["", "/x", "/..//127.0.0.2:<Q>/x", "//127.0.0.2:<Q>/", "?next=http://127.0.0.2/", "/%2e%2e/"]
)
locations = st.tuples(starts, st.lists(hosts | marks, min_size=0, max_size=4), paths).map(
    lambda parts: [parts[0], *parts[1], parts[2]]
)


@settings(max_examples=60)
@example(pieces=["http://", OTHER, "\\@", HOME, "/x"], client="http")
@example(pieces=["http://", OTHER, "\\@", HOME, "/x"], client="github")
@example(pieces=["http://", NEXT, "\\@", HOME, "/x"], client="http")
@example(pieces=["http://", HOME, "/x\r\nLocation: http://", OTHER, "/x"], client="http")
@example(pieces=["http://", HOME, "@", OTHER, "/x"], client="github")
@given(pieces=locations, client=st.sampled_from(["http", "github"]))
def test_no_location_takes_a_secret_to_another_origin(places: Places, pieces: list[str], client: str) -> None:
    """Nobody but the configured origin is even called."""
    places.redirect(fill(pieces, places))
    places.ask(client)
    assert [listener.heard for listener in places.others] == [[], []]
    assert SECRET.encode() in places.home.heard[0]


@pytest.mark.parametrize("client", ["http", "github"])
@pytest.mark.parametrize(
    "location", ["/y", "y?a=1", "//127.0.0.1:<P>/y", "http://127.0.0.1:<P>/y#z", "HTTP://127.0.0.1:<P>"]
)
def test_a_redirect_within_the_origin_is_followed(places: Places, client: str, location: str) -> None:
    """In each of the forms that RFC 3986 has for it, with the secret."""
    places.redirect(fill([location], places))
    places.ask(client)
    assert len(places.home.heard) == 4
    assert all(SECRET.encode() in heard for heard in places.home.heard)
    assert [listener.heard for listener in places.others] == [[], []]


texts = st.tuples(starts, st.lists(hosts | marks | st.text(max_size=3), max_size=5), paths).map(
    lambda parts: (
        "".join((parts[0], *parts[1], parts[2]))
        .replace("<P>", "81")
        .replace("<Q>", "82")
        .replace("<R>", "83")
    )
)


@settings(max_examples=400)
@given(texts)
@example("http://127.0.0.1:81/..//127.0.0.2:82/x")
def test_what_is_taken_is_read_alike_by_every_parser(text: str) -> None:
    """A URL either is refused or names one scheme, host and port, to urllib3 and to the standard library too."""
    try:
        read = url.parse(text)
    except InputError:
        return
    by_urllib3, by_library = urllib3.util.parse_url(text), urlsplit(text)
    ports = {"http": 80, "https": 443}
    assert by_urllib3.scheme == by_library.scheme == read.scheme
    assert (by_urllib3.host or "").strip("[]") == by_library.hostname == read.host
    assert (by_urllib3.port or ports[read.scheme]) == (by_library.port or ports[read.scheme]) == read.port
    assert by_urllib3.auth is by_library.username is None
    if "//" not in read.path:  # urllib3 drops an empty segment behind `..`, which RFC 3986, 5.2.4, keeps
        assert by_urllib3.request_uri == urllib3.util.parse_url(str(read)).request_uri
    assert url.parse(str(read)) == read
