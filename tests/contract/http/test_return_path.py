"""Where sign-in leads: back to the page that a browser asked for, and nowhere else, whatever its cookie contains."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.ports.access import READ, SESSION
from closeout.server import access
from closeout.server.pages.return_path import COOKIE
from tests.contract.http.access_world import RUN, Walk, walking
from tests.contract.http.serving import KEY, Answer

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests here, behind a proxy that has a base path."""
    with walking(tmp_path_factory.mktemp("back"), "https://closeout.example.com/base") as found:
        yield found


def sign_in(walk: Walk, cookie: str | None = None) -> Answer:
    """Follow a new link with the cookies that the browser kept."""
    link = urlsplit(access.login_link("", KEY, "ada@desk", time.time()))
    sent = {"Cookie": f"{COOKIE}={cookie}"} if cookie is not None else {}
    return walk.send("GET", f"{link.path}?{link.query}", headers={**PAGE, **sent})


def kept(answer: Answer) -> str | None:
    """Return the cookie that a browser keeps of an answer, and sends only to `/login`."""
    header = answer.headers.get("set-cookie")
    if header is None:
        return None
    cookie, *attributes = header.split("; ")
    assert attributes == ["Path=/base/login", "Max-Age=1800", "HttpOnly", "SameSite=Lax"]
    return cookie.removeprefix(f"{COOKIE}=")


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/runs?verdict=failure&search=a%20b%C3%A4", "/runs?verdict=failure&search=a+b%C3%A4"),
        (f"/runs/{RUN}/rerun", f"/runs/{RUN}/rerun"),
        ("/base/pull-requests/acme/shop/17", "/pull-requests/acme/shop/17"),
        (f"/runs/{RUN}?attempt=2&expires=1&signature=abc", f"/runs/{RUN}?attempt=2"),
        ("/?part=live", "/"),
        ("/runs/a%20b", "/runs/a%20b"),
        ("/runs?search=" + "x" * 2000, "/"),
    ],
)  # fmt: skip
def test_sign_in_leads_back_to_the_page_that_was_asked_for(walk: Walk, asked: str, led: str) -> None:
    """Without parameters that open a page by themselves; an address that is too long leads to the overview."""
    cookie = kept(walk.send("GET", asked, headers=PAGE))
    assert cookie is None or "signature" not in base64.b64decode(cookie + "==", b"-_").decode()
    answer = sign_in(walk, cookie)
    assert (answer.status, answer.headers["location"]) == (303, f"/base{led}")


def test_nothing_is_kept_for_a_visitor_who_is_signed_in(walk: Walk) -> None:
    """Even if the page they asked for does not exist."""
    session = {"Cookie": f"{access.COOKIE}={walk.credential(SESSION, READ)}"}
    answer = walk.send("GET", "/runs/nothing", headers=PAGE | session)
    assert (answer.status, kept(answer)) == (404, None)


def test_a_form_that_was_refused_leads_back_to_its_page(walk: Walk) -> None:
    """The session ended while the visitor read the plan; a form without a page leads nowhere."""
    cookie = kept(walk.send("POST", f"/runs/{RUN}/rerun", "", PAGE))
    assert sign_in(walk, cookie).headers["location"] == f"/base/runs/{RUN}/rerun"
    assert kept(walk.send("POST", "/logout", "", PAGE)) is None


def test_a_link_that_fails_keeps_the_page_and_one_that_works_forgets_it(walk: Walk) -> None:
    """So the next link still leads there, and the one after that does not."""
    cookie = kept(walk.send("GET", "/health", headers=PAGE))
    sent = {**PAGE, "Cookie": f"{COOKIE}={cookie}"}
    assert "set-cookie" not in walk.send("GET", "/login?code=no", headers=sent).headers
    done = sign_in(walk, cookie)
    assert done.headers["location"] == "/base/health"
    assert f"{COOKIE}=; Path=/base/login; Max-Age=0" in done.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Mode": "cors"}, {"Sec-Purpose": "prefetch"}, {"Accept": "application/json"}],
)
def test_only_a_page_that_a_person_opens_is_kept(walk: Walk, headers: dict[str, str]) -> None:
    """Neither a script of an open page nor a prefetch replaces it; a program has no cookies."""
    assert kept(walk.send("GET", "/health", headers={**PAGE, **headers})) is None


@pytest.mark.parametrize(
    "page",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "/runs/..", "/pull-requests/../../x",
     "/runs/%2e%2e", "/login", "/logout", "/api/runs", "/nowhere", "", "runs", "/runs/x/live", "/webhook"],
)  # fmt: skip
def test_a_cookie_that_closeout_did_not_write_leads_to_the_overview(walk: Walk, page: str) -> None:
    """Another program on the host can set the cookie."""
    cookie = base64.urlsafe_b64encode(page.encode()).decode().rstrip("=")
    assert sign_in(walk, cookie).headers["location"] == "/base/"


@given(
    cookie=st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters=";\x7f"), max_size=40
    )
)
@settings(max_examples=20)
@example(cookie="\xff")
@example(cookie="A" * 5000)
@example(cookie=base64.urlsafe_b64encode(b"/runs/x\r\nX: y").decode())
def test_no_cookie_causes_an_error_or_leads_away(walk: Walk, cookie: str) -> None:
    """Whatever it contains: the link is used up, so it must sign in."""
    answer = sign_in(walk, cookie)
    assert (answer.status, answer.headers["location"].startswith("/base/")) == (303, True)
    assert "x" not in answer.headers
