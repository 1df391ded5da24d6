"""Sign-in, cookies and forms by what a browser sends: over loopback, over HTTPS, behind proxies and below a base path."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from closeout.core.errors import CodeRefused, FormRefused
from closeout.ports.access import ACT, READ, SESSION, TOKEN
from closeout.server import access, details
from closeout.server.access import COOKIE, Access, Visitor
from closeout.testing.durable import FakeClock
from tests.memory_credentials import MemoryCredentials

KEY = b"k" * 32
LOCAL = {"host": "127.0.0.1:8080"}
PROXIED = {"host": "closeout.example.com", "x-forwarded-proto": "https"}
PUBLIC = "https://closeout.example.com"


class Desk:
    """An `Access` with its store and its clock."""

    def __init__(self, base: str | None = None) -> None:
        self.clock = FakeClock()
        self.store = MemoryCredentials(self.clock)
        self.access = Access(KEY, self.store, self.clock.now, base)

    def code(self, right: str = ACT) -> str:
        """Return the code of a new link."""
        link = access.login_link("http://x/base/", KEY, "ada@desk", self.clock.now(), right=right)
        assert link.startswith("http://x/base/login?code=")
        return urlsplit(link).query.removeprefix("code=")

    def sign_in(self, headers: Mapping[str, str] = LOCAL, right: str = ACT) -> str:
        """Return `Set-Cookie` of a new session."""
        return self.access.sign_in(self.code(right), headers)

    def visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        """Return who asks."""
        presented = self.access.presented(headers)
        return self.access.visitor(presented) if presented else None


def cookie(header: str) -> str:
    """Return what a browser sends back."""
    return header.partition(";")[0]


def test_a_link_makes_a_session_of_eight_hours() -> None:
    """In the name and with the right of whoever created the link."""
    desk = Desk()
    for right in (READ, ACT):
        headers = {**LOCAL, "cookie": cookie(desk.sign_in(right=right))}
        visitor = desk.visitor(headers)
        assert visitor is not None
        assert (visitor.name, visitor.right, visitor.may_act) == ("ada@desk", right, right == ACT)
    desk.clock.advance(8 * 3600 - 1)
    assert desk.visitor(headers) is not None
    desk.clock.advance(1)
    assert desk.visitor(headers) is None


def test_each_sign_in_creates_a_new_secret() -> None:
    """A cookie planted in the browser before is no session afterwards."""
    desk = Desk()
    one, two = desk.sign_in(), desk.sign_in({**LOCAL, "cookie": f"{COOKIE}=planted"})
    assert cookie(one) != cookie(two)
    assert "planted" not in two


def test_a_link_works_once() -> None:
    """The second visitor gets an explanation and no session."""
    desk = Desk()
    code = desk.code()
    desk.access.sign_in(code, LOCAL)
    with pytest.raises(CodeRefused, match="used already"):
        desk.access.sign_in(code, LOCAL)
    assert len(desk.store.rows) == 1


@pytest.mark.parametrize("seconds", [600.0, 86_400.0, -90.0, -86_400.0])
def test_a_link_works_for_ten_minutes_by_any_clock(seconds: float) -> None:
    """A clock that is set back after it was made does not make it work longer."""
    desk = Desk()
    code = desk.code()
    desk.clock.advance(seconds)
    with pytest.raises(CodeRefused, match="expired"):
        desk.access.sign_in(code, LOCAL)


def test_a_link_works_until_its_ten_minutes_are_over() -> None:
    """And no moment longer."""
    desk = Desk()
    code = desk.code()
    desk.clock.advance(599.5)
    assert desk.access.sign_in(code, LOCAL)


def test_a_link_of_another_kind_signs_nobody_in() -> None:
    """A Details link's signature, a session's secret and a token's secret are signed for something else."""
    desk = Desk()
    run = urlsplit(details.link("", KEY, "a" * 26 + "-1", desk.clock.now())).query
    expires = int(desk.clock.now()) + 300
    texts = (run.partition("signature=")[2], f"{expires}.act.YQ.x.{run.partition('signature=')[2]}")
    for code in (*texts, access.new_secret(KEY, SESSION), access.new_secret(KEY, TOKEN)):
        with pytest.raises(CodeRefused, match="did not make"):
            desk.access.sign_in(code, LOCAL)


@pytest.mark.parametrize(
    ("base", "headers", "name", "attributes"),
    [
        (None, LOCAL, COOKIE, "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax"),
        (None, {"host": "localhost"}, COOKIE, "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax"),
        (None, {"host": "[::1]:80"}, COOKIE, "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax"),
        (PUBLIC, LOCAL, COOKIE, "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax"),
        (PUBLIC, PROXIED, f"__Host-{COOKIE}", "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax; Secure"),
        (None, PROXIED, f"__Host-{COOKIE}", "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax; Secure"),
        (
            PUBLIC + "/base/",
            PROXIED,
            f"__Secure-{COOKIE}",
            "Path=/base; Max-Age=28800; HttpOnly; SameSite=Lax; Secure",
        ),
        (
            PUBLIC,
            {"host": "127.0.0.1:8080", "x-forwarded-for": "10.0.0.1"},
            f"__Host-{COOKIE}",
            "Path=/; Max-Age=28800; HttpOnly; SameSite=Lax; Secure",
        ),
    ],
)
def test_a_cookie_is_as_narrow_as_its_address_allows(
    base: str | None, headers: Mapping[str, str], name: str, attributes: str
) -> None:
    """Secure except over loopback HTTP; with a prefix that no sibling of the domain can set; below the base path."""
    desk = Desk(base)
    header = desk.sign_in(headers)
    pair, _, rest = header.partition("; ")
    assert (pair.partition("=")[0], rest) == (name, attributes)
    asked = {**headers, "cookie": pair}
    visitor = desk.visitor(asked)
    assert visitor is not None
    ended = desk.access.sign_out(visitor, headers)
    assert ended.startswith(f"{name}=; ")
    assert "Max-Age=0" in ended
    assert desk.visitor(asked) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "closeout.example.com"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1@evil.example"},
        {"host": ""},
        {},
        {"host": "["},
        {**LOCAL, "x-forwarded-proto": "http"},
        {"host": "closeout.example.com", "x-forwarded-proto": "http"},
    ],
)
def test_no_session_begins_if_the_browser_would_not_keep_it(headers: Mapping[str, str]) -> None:
    """The link still works where it does."""
    desk = Desk()
    code = desk.code()
    with pytest.raises(CodeRefused, match="HTTPS"):
        desk.access.sign_in(code, headers)
    assert desk.access.sign_in(code, LOCAL)


def test_a_cookie_without_its_prefix_opens_nothing_over_https() -> None:
    """A sibling of the domain can set the name without the prefix, and not the one with it."""
    desk = Desk(PUBLIC)
    secret = cookie(desk.sign_in(PROXIED)).partition("=")[2]
    assert desk.visitor({**PROXIED, "cookie": f"{COOKIE}={secret}"}) is None
    assert desk.visitor({**PROXIED, "cookie": f"{COOKIE}=x; __Host-{COOKIE}={secret}"}) is not None


def test_a_token_of_a_proxy_does_not_hide_a_session() -> None:
    """One that is closeout's counts before the cookie, also when it has ended."""
    desk = Desk()
    headers = {**LOCAL, "cookie": cookie(desk.sign_in())}
    for given in ("Bearer eyJhbGciOiJSUzI1NiJ9.e30.x", "Basic YWRhOng=", "Bearer", ""):
        assert desk.visitor({**headers, "authorization": given}) is not None
    for given in ("Bearer closeout_x", f"Bearer {access.new_secret(KEY, TOKEN)}"):
        assert desk.visitor({**headers, "authorization": given}) is None


@pytest.mark.parametrize(
    ("base", "headers", "refused"),
    [
        (None, {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}, False),
        (None, {"host": "127.0.0.1:8080"}, False),
        (None, {"host": "127.0.0.1:8080", "sec-fetch-site": "same-origin"}, False),
        (None, {"host": "127.0.0.1:8080", "sec-fetch-site": "none"}, False),
        (None, {"host": "127.0.0.1:8080", "sec-fetch-site": "cross-site"}, True),
        (None, {"host": "127.0.0.1:8080", "sec-fetch-site": "same-site"}, True),
        (None, {"host": "127.0.0.1:8080", "sec-fetch-site": "something-new"}, True),
        (None, {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8081"}, True),
        (None, {"host": "127.0.0.1:8080", "origin": "null"}, True),
        (None, {"host": "", "origin": "null"}, True),
        (None, {"origin": "null"}, True),
        (None, {"host": "127.0.0.1:8080", "origin": ""}, True),
        (PUBLIC, {"host": "127.0.0.1:8080", "origin": PUBLIC}, False),
        (PUBLIC, {"host": "127.0.0.1:8080", "origin": "https://CLOSEOUT.example.com"}, False),
        (PUBLIC, {"host": "127.0.0.1:8080", "origin": "https://closeout.example.com.evil.example"}, True),
        (PUBLIC, {"host": "127.0.0.1:8080", "origin": "https://closeout.example.com@evil.example"}, True),
    ],
)
def test_a_form_must_come_from_a_page_of_this_server(
    base: str | None, headers: Mapping[str, str], refused: bool
) -> None:
    """By the browser's headers, even with the right token."""
    desk = Desk(base)
    visitor = Visitor("ada@desk", ACT, 1, "right")
    if refused:
        with pytest.raises(FormRefused):
            desk.access.check_form(visitor, {"form_token": "right"}, headers)
    else:
        desk.access.check_form(visitor, {"form_token": "right"}, headers)


def test_a_form_token_belongs_to_one_session() -> None:
    """Not to a person, a server or a token of the API, which needs none."""
    desk = Desk()
    visitors = [desk.visitor({**LOCAL, "cookie": cookie(desk.sign_in())}) for _ in range(2)]
    tokens = [visitor.form_token for visitor in visitors if visitor]
    assert len(set(tokens)) == 2
    desk.access.check_form(Visitor("bot", ACT, 3, None), {}, {"origin": "https://evil.example"})


@pytest.mark.parametrize(
    ("base", "kept"),
    [
        ("https://ci.example", True),
        ("http://ci.example", False),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://localhost.example", False),
    ],
)
def test_browsers_keep_a_session_over_https_or_on_this_machine(base: str, kept: bool) -> None:
    """A link for another address would sign no browser in."""
    assert access.keeps_sessions(base) is kept
