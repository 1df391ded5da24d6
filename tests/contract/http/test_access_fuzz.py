"""Generated and mangled links, cookies, tokens and hosts: none causes a server error, and none signs in."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.ports.access import ACT, SESSION, TOKEN
from closeout.server import access
from tests.contract.http.access_world import Walk, path_of, walking
from tests.contract.http.serving import KEY

VISIBLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60
)
"""What a header's value can contain."""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests here."""
    with walking(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@st.composite
def mangled(draw: st.DrawFn, whole: str) -> str:
    """Return a text that differs from `whole`: cut, extended, with a part of it changed, or in another case."""
    at = draw(st.integers(0, len(whole)))
    end = draw(st.integers(at, min(len(whole), at + 5)))
    changed = whole[:at] + draw(VISIBLE) + whole[end:]
    found = draw(
        st.sampled_from((changed, whole[:at], whole[at:], whole.swapcase(), whole + whole, whole + "."))
    )
    return found if found.strip() != whole else whole[:-1]


def code(seconds: float = 0.0) -> str:
    """Return the code of a link that was made `seconds` ago."""
    link = access.login_link("http://x", KEY, "ada@desk", time.time() - seconds)
    return urlsplit(link).query.removeprefix("code=")


@given(data=st.data())
@settings(max_examples=30)
def test_a_mangled_link_signs_nobody_in(walk: Walk, data: st.DataObject) -> None:
    """Whatever follows `code=`, raw or percent-encoded."""
    given_code = data.draw(st.one_of(VISIBLE, mangled(code()), st.text(max_size=30)))
    text = quote(given_code, safe="", errors="replace")
    answer = walk.send("GET", f"/login?code={text}")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "query",
    [
        "code=",
        "code",
        "code=%",
        "code=%ff.%fe.%c0.a",
        "code=a.b.c.d.e",
        "code=....",
        "code=" + "9" * 5000,
        "code=1&code=2",
    ],
)
def test_a_query_without_a_valid_code_signs_nobody_in(walk: Walk, query: str) -> None:
    """With and without an accept header for pages."""
    answer = walk.send("GET", f"/login?{query}")
    assert answer.status in (200, 403)
    assert "set-cookie" not in answer.headers


@given(data=st.data())
@settings(max_examples=30)
@example(data=None)
def test_a_mangled_secret_opens_nothing(walk: Walk, data: st.DataObject | None) -> None:
    """As a cookie and as a bearer token, alone or among others; the host may be unreadable too."""
    session, token = walk.credential(SESSION, ACT), walk.credential(TOKEN, ACT)
    if data is None:
        headers = {"Host": "[", "Cookie": f"{access.COOKIE}={session}"}
    else:
        scheme = data.draw(st.sampled_from(("Bearer ", "bearer ", "Basic ", "Bearer", "")))
        cookie = data.draw(st.one_of(mangled(session), VISIBLE))
        headers = {
            "Host": data.draw(st.one_of(st.just("127.0.0.1"), VISIBLE)),
            "Cookie": data.draw(st.sampled_from(("", "a=b; ", ";;", "{"))) + f"{access.COOKIE}={cookie}",
            "Authorization": scheme + data.draw(st.one_of(mangled(token), VISIBLE)),
            "Accept": data.draw(st.sampled_from(("text/html", "*/*"))),
        }
    answer = walk.send("GET", "/", headers=headers)
    assert answer.status in (303, 400, 401)


def test_valid_secrets_still_open_after_the_attacks(walk: Walk) -> None:
    """So the tests above show that wrong secrets are refused, and not that everything is."""
    secret = walk.credential(SESSION, ACT)
    cookie = f'theme={{"dark": true}}; other; {access.COOKIE}={secret}; x="a b"'
    assert walk.send("GET", "/", headers={"Cookie": cookie}).status == 200
    token = walk.credential(TOKEN, ACT)
    assert walk.send("GET", "/", headers={"Authorization": f"bearer  {token} "}).status == 200
    assert walk.send("GET", f"/login?code={quote(code())}").status == 303


@pytest.mark.parametrize(
    "value", ["9" * 40, "x" * 500, "-1", "0", "..", "%00", "a%2fb", "'", "%ff", "1" * 20 + "-1"]
)
def test_no_path_or_query_causes_a_server_error(walk: Walk, value: str) -> None:
    """Whatever a parameter contains, even a visitor who may see everything gets a page or an error message."""
    headers = {"Authorization": f"Bearer {walk.credential(TOKEN, ACT)}"}
    names = (
        "attempt",
        "after",
        "before",
        "limit",
        "cursor",
        "since",
        "until",
        "search",
        "pull-request",
        "code",
    )
    for route in walk.routes:
        if route.method == "GET" and route.path != "/orphans/clean":
            path = re.sub(r"\{\w+(?::\w+)?\}", value.replace("\\", "/"), route.path)
            queries = [f"{path_of(route)}?{name}={value}" for name in names]
            for asked in (path, *queries):
                assert walk.send("GET", asked, headers=headers).status < 500, asked


def test_a_server_error_reveals_nothing(tmp_path: Path) -> None:
    """Neither what failed nor where, even to an operator: JSON for a program, a page for a browser.

    The log has details.
    """
    with walking(tmp_path) as walk:
        headers = {"Authorization": f"Bearer {walk.credential(TOKEN, ACT)}"}
        with closing(sqlite3.connect(walk.runtime.ledger.path)) as connection:
            connection.execute("DROP TABLE credential")
        for accept, kind in (
            ("application/json", "application/json"),
            ("text/html", "text/html; charset=utf-8"),
        ):
            answer = walk.send("GET", "/", headers={**headers, "Accept": accept})
            assert (answer.status, answer.headers["content-type"]) == (503, kind)
            assert (answer.headers["cache-control"], b"credential" in answer.body) == ("no-store", False)
        assert "credential" in walk.log.getvalue()
