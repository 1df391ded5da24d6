"""Every route of the server as every kind of visitor: who gets an answer, and what a refusal may not do.

The rules are in `expected`: what a route needs, compared with who asks. A route that is added later is tested too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from closeout.ports.access import ACT, READ
from closeout.server.access import SIGN_IN
from closeout.server.pages.site import LINK, NOBODY, Route
from tests.contract.http.access_world import GUESTS, SECRETS_OF_THE_LEDGER, Case, Guest, Walk, walking

ADMITTED, HIDDEN, UNKNOWN, FORBIDDEN, FORM = (
    "admitted",
    "hidden",
    "not-signed-in",
    "not-allowed",
    "form-refused",
)

REFUSALS = ("You may read here, but not act", "does not belong to your session", "came from another address")
"""The statuses that refuse a visitor; an action may also refuse a form for its content."""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests here."""
    with walking(tmp_path_factory.mktemp("walk")) as found:
        yield found


def expected(route: Route, guest: Guest) -> str:
    """Return what a guest gets."""
    if route.needs == LINK and guest.right is None:
        return ADMITTED if guest.link == "own" else HIDDEN
    if route.needs in (READ, ACT) and guest.right is None:
        return UNKNOWN
    if route.needs == ACT and guest.right == READ:
        return FORBIDDEN
    if route.method == "POST" and guest.right is not None and not guest.has_form:
        return FORM
    return ADMITTED


def error(case: Case) -> str | None:
    """Return the code of a JSON error."""
    kind = case.answer.headers.get("content-type", "")
    if not kind.startswith("application/json") or case.answer.status < 400:
        return None
    code: str = json.loads(case.answer.body)["error"]
    return code


def check_refusal(case: Case, verdict: str) -> None:
    """A refusal says what is missing in the visitor's format, and reveals nothing of the ledger."""
    answer, route, headers = case.answer, case.route, case.answer.headers
    text = answer.body.decode()
    as_json = not case.html or route.path.startswith("/api/")
    assert not any(word in text for word in SECRETS_OF_THE_LEDGER)
    assert headers.get("set-cookie", "closeout_page=").startswith("closeout_page="), "no session"
    if verdict == HIDDEN:
        assert answer.status in (404, 410)
    elif verdict == UNKNOWN and not as_json and route.method == "GET":
        assert (answer.status, headers["location"]) == (303, "/login")
    else:
        assert answer.status == {UNKNOWN: 401, FORBIDDEN: 403, FORM: 403}[verdict]
        assert headers["content-type"].startswith("application/json" if as_json else "text/html")
        assert error(case) == (verdict if as_json else None)
        if verdict == UNKNOWN:
            assert not as_json or json.loads(answer.body)["message"] == SIGN_IN
            assert "closeout open" in text
    check_headers(case)


def check_headers(case: Case) -> None:
    """No answer may be cached, framed or read by another site."""
    headers = case.answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def check_admission(case: Case, guest: Guest) -> None:
    """A visitor with the right gets an answer; a sign-out with a token gets one too."""
    answer, route = case.answer, case.route
    if route.path == "/logout" and "Authorization" in guest.headers:
        assert answer.status == 403
        return
    assert answer.status < 500
    assert answer.status != 401
    assert error(case) not in (UNKNOWN, FORBIDDEN)
    assert not any(sentence in answer.body.decode() for sentence in REFUSALS)
    if answer.headers.get("location", "").endswith("/login"):
        assert route.path == "/logout"


@pytest.mark.parametrize("name", GUESTS)
def test_a_refused_visitor_learns_and_changes_nothing(walk: Walk, name: str) -> None:
    """On every route: the status, the format of the answer, and a ledger without a write."""
    guest = GUESTS[name](walk)
    before = walk.version()
    for route in walk.routes:
        verdict = expected(route, guest)
        for html in (True, False) if verdict != ADMITTED else ():
            case = walk.ask(route, guest, html=html)
            try:
                check_refusal(case, verdict)
            except AssertionError as failed:
                raise AssertionError(f"{name} on {route.method} {route.path}: {case.answer}") from failed
    assert walk.version() == before


@pytest.mark.parametrize("name", GUESTS)
def test_a_visitor_with_the_right_is_answered(walk: Walk, name: str) -> None:
    """On every route that they may use; a GET changes nothing."""
    for route in walk.routes:
        guest = GUESTS[name](walk)
        before = walk.version()
        for html in (True, False):
            if expected(route, guest) != ADMITTED:
                continue
            case = walk.ask(route, guest, html=html)
            try:
                check_admission(case, guest)
                check_headers(case)
                assert route.method == "POST" or walk.version() == before
            except AssertionError as failed:
                raise AssertionError(f"{name} on {route.method} {route.path}: {case.answer}") from failed
            walk.settle()
            guest = GUESTS[name](walk)
            before = walk.version()


def test_every_change_needs_a_right(walk: Walk) -> None:
    """No route acts for an anonymous visitor or a Details link, and only GET and POST exist."""
    for route in walk.routes:
        assert route.method in ("GET", "POST")
        assert route.needs in (NOBODY, LINK, READ, ACT)
        assert route.method == "GET" or route.needs in (READ, ACT), route.path
    assert {route.path for route in walk.routes if route.method == "POST" and route.needs == READ} == {
        "/logout"
    }
    assert {route.path for route in walk.routes if route.needs == NOBODY} == {"/login"}
    assert {route.path for route in walk.routes if route.needs == LINK} == {
        "/runs/{run_id}",
        "/runs/{run_id}/live",
    }


def test_a_forged_secret_is_refused_without_reading_the_ledger(walk: Walk) -> None:
    """Each made-up cookie of a flood costs a digest, but neither a thread nor a statement."""
    for name in ("forged cookie", "forged bearer", "cookie of another ledger"):
        headers = {key.lower(): value for key, value in GUESTS[name](walk).headers.items()}
        assert walk.access.presented({"host": "127.0.0.1", **headers}) is None
    secret = GUESTS["operator's token"](walk).headers["Authorization"]
    assert walk.access.presented({"authorization": secret}) is not None
