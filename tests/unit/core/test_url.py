"""A URL is read unambiguously, or refused with the reason."""

from __future__ import annotations

import pytest

from closeout.core import url
from closeout.core.errors import InputError

REFUSED = {
    "a backslash": "http://a\\@b/",
    "a backslash in the path": "http://a/\\b",
    "a tab": "http://a\t.b/",
    "a line break": "http://a/\r\nX: y",
    "a space": "http://a /",
    "a control": "http://a\x00/",
    "beyond ASCII": "http://b\u00fccher.example/",
    "a wide digit": "http://127.0.0.\uff11/",
    "a long s": "http\u017f://a/",
    "credentials": "https://u:p@h/",
    "an empty user": "https://@h/",
    "no host": "http://",
    "an empty host": "http:///x",
    "one slash": "http:/h/x",
    "another scheme": "ftp://h/",
    "no scheme": "h/x",
    "an empty port": "http://h:/",
    "port 0": "http://h:0/",
    "a port with zeros": "http://h:080/",
    "a port beyond": "http://h:65536/",
    "two ports": "http://h:1:2/",
    "no port": "http://h:x/",
    "an encoded host": "http://%31.0.0.1/",
    "an open bracket": "http://[::1/",
    "no IPv6": "http://[::g]/",
    "a zone": "http://[fe80::1%25eth0]/",
    "a future address": "http://[v1.x]/",
    "an empty label": "http://a..b/",
    "a long label": f"http://{'a' * 64}.example/",
    "a fragment": "http://h/x#y",
    "a fragment for a host": "http://a#@b/",
    "only a dot": "http://./",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_an_ambiguous_url_is_refused_without_repeating_it(text: str) -> None:
    """The message has no part of the URL: it may contain a secret."""
    with pytest.raises(InputError) as caught:
        url.parse(text)
    assert text not in caught.value.message


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://h", "https://h", "/"),
        ("http://h:65535", "http://h:65535", "/"),
        ("https://h/a/b/../c", "https://h", "/a/c"),
        ("https://h/a/b/c/..", "https://h", "/a/b/"),
        ("HTTPS://H.example:443/a?b=c", "https://h.example", "/a?b=c"),
        ("http://h:8080/?q", "http://h:8080", "/?q"),
        ("http://[::1]:81/x", "http://[::1]:81", "/x"),
        ("http://my_service/a/../b/./c", "http://my_service", "/b/c"),
        ("https://h./x", "https://h.", "/x"),
        ("http://h/a{1}|2%41", "http://h", "/a{1}|2%41"),
    ],
)
def test_an_address_says_where_to_connect_and_what_to_request(text: str, origin: str, target: str) -> None:
    """Scheme and host in lower case, the port unless it is the scheme's, the path without dots."""
    found = url.parse(text)
    assert (found.origin, found.target, str(found)) == (origin, target, origin + target)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/y", "/y"),
        ("y", "/a/y"),
        ("../y", "/y"),
        ("?z", "/a/b?z"),
        ("//h/y", "/y"),
        ("HTTP://H:80/y#z", "/y"),
        ("http://h", "/"),
        (None, None),
        ("", None),
        ("#z", None),
        ("///h/y", None),
        ("http:y", None),
        ("https://h/y", None),
        ("http://h:81/y", None),
        ("http://h./y", None),
        ("/y, /z", None),
    ],
)
def test_a_location_leads_within_the_origin_or_nowhere(location: str | None, target: str | None) -> None:
    """RFC 3986's forms of a reference; another origin, nothing, or two values lead nowhere."""
    found = url.parse("http://h/a/b?c").redirected(location)
    assert (found and found.target) == target


def test_a_base_url_has_neither_query_nor_final_slash() -> None:
    """Paths are appended to it."""
    assert str(url.parse_base("https://h/api/v3/")) == "https://h/api/v3"
    assert str(url.parse_base("https://h/")) == "https://h"
    with pytest.raises(InputError, match="query"):
        url.parse_base("https://h/?x=1")


@pytest.mark.parametrize(
    ("host", "good"),
    [("a" * 63, True), ("a" * 64, False), ("[::1]", True), ("[::1::]", False), ("[::g]", False)],
)
def test_the_length_of_a_label_and_the_form_of_an_address_are_checked(host: str, good: bool) -> None:
    """By the rules of DNS and IPv6."""
    if good:
        assert url.parse(f"http://{host}/").host
    else:
        with pytest.raises(InputError):
            url.parse(f"http://{host}/")
