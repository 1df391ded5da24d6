"""Pages at an address of their own: what that address serves, what the webhook's no longer serves, and how both end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from closeout.ports.access import ACT, SESSION, TOKEN
from closeout.server import access
from closeout.server.pages.site import FORM
from closeout.testing import deliveries
from tests.contract.http.access_world import LINKS, RUN, Walk, path_of, walking
from tests.contract.http.serving import KEY

SECRET = b"a-secret-for-tests"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests here."""
    with walking(tmp_path_factory.mktemp("apart"), apart=True) as found:
        yield found


def bearer(walk: Walk) -> dict[str, str]:
    """Return the header of somebody who may do everything."""
    return {"Authorization": f"Bearer {walk.credential(TOKEN, ACT)}"}


def test_the_webhooks_address_serves_no_pages_but_those_of_details_links(walk: Walk) -> None:
    """Not even to an operator: every other route is 404, and no page reveals more."""
    headers = bearer(walk)
    assert len(walk.routes) > 4
    for route in walk.routes:
        answer = walk.server.send(
            route.method, path_of(route), headers={**headers, "Accept": "application/json"}
        )
        assert answer.status == 404, route.path
        assert path_of(route).startswith("/runs/") or answer.json["error"] == "not-found"
    page = f"/runs/{RUN}?{LINKS['own']}"
    assert walk.server.send("GET", page).status == 200
    assert b"ada@desk" not in walk.server.send("GET", page, headers=headers).body


def test_a_sign_in_link_works_only_at_the_pages_address(walk: Walk) -> None:
    """The webhook's address does not use it up."""
    link = urlsplit(access.login_link("http://x", KEY, "ada@desk", time.time()))
    target = f"{link.path}?{link.query}"
    assert walk.server.send("GET", target).status == 404
    signed_in = walk.send("GET", target)
    assert (signed_in.status, signed_in.headers["location"]) == (303, "/")
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    assert walk.send("GET", "/", headers=cookie).status == 200
    assert walk.server.send("GET", "/", headers=cookie).status == 404


def test_the_pages_address_serves_only_pages(walk: Walk) -> None:
    """No webhook, even for a signed delivery; no health, no metrics, no guard; Details links work there too."""
    body = deliveries.encode(deliveries.pull_request())
    headers = deliveries.signed_headers("pull_request", body, SECRET, "g-1")
    before = walk.version()
    assert b'href="/' not in walk.server.send("GET", "/nowhere", headers={"Accept": "text/html"}).body
    for path in ("/webhook", "/healthz", "/readyz", "/metrics", "/guard?pull-request=1", "/webhook/x"):
        answer = walk.send(
            "POST" if "hook" in path else "GET", path, body.decode() if "hook" in path else None, headers
        )
        assert (answer.status, answer.json["error"]) == (404, "not-found"), path
    assert walk.version() == before
    assert walk.send("GET", f"/runs/{RUN}?{LINKS['own']}").status == 200


def test_the_webhooks_address_still_serves_deliveries_health_and_metrics(walk: Walk) -> None:
    """Deliveries, health and metrics."""
    body = deliveries.encode(deliveries.pull_request())
    headers = deliveries.signed_headers("pull_request", body, SECRET, "g-2")
    assert walk.server.send("POST", "/webhook", body, headers).status == 202
    assert walk.server.send("GET", "/healthz").status == 200
    assert walk.server.send("GET", "/metrics").status == 200


def test_both_addresses_end_together(tmp_path: Path) -> None:
    """A connection that waits at either is closed, and both ports are free."""
    with walking(tmp_path, apart=True) as walk:
        ports = (walk.port, walk.server.port)
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for port in ports]
        for connection in waiting:
            connection.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 404")
    for connection in waiting:
        with connection:
            assert connection.recv(1) == b""
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.parametrize("prefix", ["", "/base"])
def test_pages_answer_with_and_without_the_base_path(tmp_path: Path, prefix: str) -> None:
    """A proxy strips it; a visitor who comes through a tunnel instead follows the same links."""
    with walking(tmp_path, "https://closeout.example.com/base") as walk:
        cookie = {"Cookie": f"{access.COOKIE}={walk.credential(SESSION, ACT)}"}
        assert walk.send("GET", f"{prefix}/", headers=cookie).status == 200
        assert walk.send("GET", f"{prefix}/nothing", headers=cookie).json["error"] == "not-found"
        lost = walk.send("GET", f"{prefix}/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (lost.status, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert lost.headers["content-security-policy"].startswith("default-src 'none'")
        assert '<a href="/base/">' in lost.body.decode()
        away = walk.send("GET", f"{prefix}/", headers={"Accept": "text/html"})
        assert (away.status, away.headers["location"]) == (303, "/base/login")
        assert walk.send("GET", f"{prefix}/login").status == 200
        assert walk.send("GET", "/bases/login").status == 404
        assert json.loads(walk.send("GET", f"{prefix}/api/runs").body)["error"] in (
            "not-signed-in",
            "not-found",
        )


@pytest.mark.parametrize("strips", [True, False])
def test_a_session_works_behind_a_proxy_with_a_base_path(tmp_path: Path, strips: bool) -> None:
    """From the link to signing out, as a browser does it at the public URL."""
    with walking(tmp_path, "https://tools.example.com/closeout") as walk:
        below = "" if strips else "/closeout"
        headers = {"Host": "tools.example.com", "X-Forwarded-Proto": "https", "Accept": "text/html"}
        link = urlsplit(access.login_link("https://tools.example.com/closeout", KEY, "ada@desk", time.time()))
        there = f"{below}{link.path.removeprefix('/closeout')}?{link.query}"
        signed_in = walk.send("GET", there, headers=headers)
        assert (signed_in.status, signed_in.headers["location"]) == (303, "/closeout/")
        pair, _, attributes = signed_in.headers["set-cookie"].partition("; ")
        assert pair.startswith("__Secure-")
        assert attributes.startswith("Path=/closeout; ")
        assert attributes.endswith("; Secure")
        headers |= {"Cookie": pair}
        assert b'href="/closeout/runs"' in walk.send("GET", f"{below}/", headers=headers).body
        form = {"Content-Type": FORM, "Origin": "https://tools.example.com", "Sec-Fetch-Site": "same-origin"}
        body = f"form_token={walk.form_token(pair.partition('=')[2])}"
        foreign = walk.send(
            "POST", f"{below}/logout", body, headers | form | {"Origin": "http://127.0.0.1:8080"}
        )
        assert foreign.status == 403
        ended = walk.send("POST", f"{below}/logout", body, headers | form)
        assert (ended.status, ended.headers["location"]) == (303, "/closeout/login")
        assert walk.send("GET", f"{below}/", headers=headers).status == 303
