"""Which forms are accepted, and what a sign-in link does not do for a browser that only prefetches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from closeout.ports.access import ACT, TOKEN
from closeout.server import access
from closeout.server.exchange import FORM_BYTES
from closeout.server.pages.site import FORM
from tests.contract.http.access_world import Walk, walking
from tests.contract.http.serving import KEY


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests here."""
    with walking(tmp_path_factory.mktemp("forms")) as found:
        yield found


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("a=" + "x" * FORM_BYTES, {"Content-Type": FORM}),
        ("5\r\na=bcd\r\n0\r\n\r\n", {"Content-Type": FORM, "Transfer-Encoding": "chunked"}),
        ('{"reason": "x"}', {"Content-Type": "application/json"}),
        ("--x\r\n\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"}),
        ("form_token=x", {"Content-Type": "text/plain"}),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(walk: Walk, body: str, headers: dict[str, str]) -> None:
    """Too long, chunked or of another type: it would pass for a form without fields, which may mean something else."""
    bearer = {"Authorization": f"Bearer {walk.credential(TOKEN, ACT)}"}
    before = walk.version()
    for route in walk.routes:
        if route.method == "POST":
            answer = walk.server.send("POST", route.path, body.encode(), {**bearer, **headers})
            assert (answer.status, answer.json["error"]) == (403, "form-refused"), route.path
    assert walk.version() == before


def link() -> str:
    """Return a new link's path and query."""
    parts = urlsplit(access.login_link("", KEY, "ada@desk", time.time()))
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X-Moz": "prefetch"}),
    ],
)
def test_a_prefetch_does_not_use_up_a_sign_in_link(walk: Walk, method: str, headers: dict[str, str]) -> None:
    """It gets an empty answer and no session; the person who follows the link then gets one."""
    there = link()
    ahead = walk.send(method, there, headers=headers)
    assert (ahead.status, ahead.body, "set-cookie" in ahead.headers) == (204, b"", False)
    assert walk.send("GET", there).status == 303


def test_no_log_contains_a_link_or_its_secrets(walk: Walk) -> None:
    """Neither a link's code nor a signature, however the request ended."""
    there = link()
    for _ in range(2):
        walk.send("GET", there)
    log = walk.log.getvalue()
    assert "/login?code=[redacted]" in log
    assert there.partition("code=")[2] not in log
