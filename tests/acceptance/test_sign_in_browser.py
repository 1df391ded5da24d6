"""Signing in and out in a real Chromium: the cookie that it keeps, and forms of other origins that it sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from closeout.server import access
from tests.chromium import IN_CHROMIUM, chromium
from tests.contract.http.access_world import Walk, walking
from tests.contract.http.serving import KEY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = list(IN_CHROMIUM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with chromium() as started:
        yield started


def link(walk: Walk) -> str:
    """Return what `closeout open` prints."""
    return access.login_link(walk.server.url, KEY, "ada@desk", time.time())


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """Serve one page at another port; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize("base", [None, "https://closeout.example.com/base"])
def test_a_link_signs_in_and_the_page_signs_out(browser: Browser, tmp_path: Path, base: str | None) -> None:
    """On loopback, also past a proxy that has a base path. The link works once, and afterwards each page leads to sign in."""
    below = "/base" if base else ""
    with walking(tmp_path, base) as walk:
        context = browser.new_context()
        page = context.new_page()
        page.goto(there := link(walk))
        assert page.url == f"{walk.server.url}{below}/"
        assert "ada@desk" in page.content()
        [cookie] = context.cookies(f"{walk.server.url}{below}/")
        assert cookie.get("name") == access.COOKIE
        assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("secure")) == (True, "Lax", False)
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Sign out").click()
        assert page.url == f"{walk.server.url}{below}/login"
        assert context.cookies() == []
        page.goto(there)
        assert "it works once" in page.content()
        page.goto(f"{walk.server.url}{below}/")
        assert page.url == f"{walk.server.url}{below}/login"
        context.close()


def test_a_form_of_another_site_acts_for_nobody(browser: Browser, tmp_path: Path) -> None:
    """Although the browser sends the cookie with it, and it has the right token: only ports differ, so it is the same site."""
    with walking(tmp_path) as walk:
        context = browser.new_context()
        page = context.new_page()
        page.goto(link(walk))
        [cookie] = context.cookies()
        token = walk.form_token(cookie.get("value", ""))
        form = (
            f'<form method="post" action="{walk.server.url}/logout"><input name="form_token" value="{token}">'
            "<button>Win a prize</button></form>"
        )
        with another_site(form) as elsewhere:
            page.goto(elsewhere)
            page.get_by_role("button").click()
            assert "came from another address" in page.content()
            page.goto(elsewhere.replace("127.0.0.1", "localhost"))
            page.get_by_role("button").click()
            assert "closeout open" in page.content()
        page.goto(walk.server.url)
        assert "ada@desk" in page.content()
        context.close()
