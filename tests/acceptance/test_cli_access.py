"""`open`, `token` and `session` beside a real server whose pages have an address of their own, and without a server."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from closeout.cli import exits
from tests.acceptance.cli_process import Result, closeout, environment
from tests.acceptance.forked import Forked
from tests.until import until

SECRET = {"CLOSEOUT_WEBHOOK_SECRET": "s3cret"}
CONFIG = "version: 1\nsecrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }\nautomations: {}\n"


class Desk:
    """A folder with a server in it, and the commands that are used beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "closeout.yaml").write_text(CONFIG)
        with (folder / "serve.log").open("wb") as output:
            self.process = Forked(
                ["serve", "--port", "0", "--pages", "127.0.0.1:0"],
                folder=folder, environment=environment(SECRET), output=output, errors=output,
            )  # fmt: skip
        self.webhook = until("its address", lambda: self._address(r"listens on (http://127\.0\.0\.1:\d+)"))
        self.pages = until(
            "the pages' address",
            lambda: self._address(r"pages: (http://127\.0\.0\.1:\d+)/, and nowhere else"),
        )

    def _address(self, pattern: str) -> str | None:
        text = (self.folder / "serve.log").read_text("utf-8")
        found = re.search(pattern, text)
        assert found or self.process.poll() is None, text
        return found[1] if found else None

    def cli(self, *arguments: str) -> Result:
        """Run a command in the server's folder, where its ledger is the default."""
        return closeout(*arguments, cwd=self.folder)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[int, http.client.HTTPMessage]:
        """Ask for a page as a program does."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers or {}))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers

    def end(self) -> int:
        """Ask it to end with SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def completed(desk: Desk, words: str) -> list[str]:
    """Return what the Tab key offers."""
    there = {"COMP_WORDS": words.replace(" ", "\n"), "COMP_CWORD": str(len(words.split())), **SECRET}
    told = closeout(cwd=desk.folder, env={"_CLOSEOUT_COMPLETE": "bash_complete", **there})
    return [line.rpartition(",")[2] for line in told.out.splitlines()]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One server for the tests of this module."""
    made = Desk(tmp_path_factory.mktemp("access"))
    yield made
    made.end()


def test_a_link_signs_in_once_and_its_session_is_revoked(desk: Desk) -> None:
    """At the pages' address alone; the session is listed under who made the link, and its end holds at once."""
    printed = desk.cli("open")
    assert printed.code == exits.OK
    assert (
        printed.err == "It works once, within ten minutes. End its session with `closeout session revoke`.\n"
    )
    link = printed.out.strip()
    assert link.startswith(f"{desk.pages}/login?code=")
    assert desk.get(link.replace(desk.pages, desk.webhook))[0] == 404
    status, headers = desk.get(link)
    assert (status, headers["location"]) == (303, "/")
    cookie = {"Cookie": headers["set-cookie"].partition(";")[0]}
    assert desk.get(f"{desk.pages}/", cookie)[0] == 200
    assert desk.get(link)[0] == 403
    [session] = desk.cli("session", "list", "--json").json
    assert (session["kind"], session["right"], session["ended_at"]) == ("session", "act", None)
    assert "@" in session["name"]
    assert cookie["Cookie"].partition("=")[2] not in json.dumps(session)
    revoked = desk.cli("session", "revoke", str(session["id"]))
    assert (revoked.code, revoked.out) == (exits.OK, f"The session {session['id']} has ended.\n")
    assert desk.get(f"{desk.pages}/", cookie)[0] == 401
    again = desk.cli("session", "revoke", str(session["id"]))
    assert again.code != exits.OK
    assert "no active session" in again.err


def test_a_token_is_shown_once_and_revoked(desk: Desk) -> None:
    """A second one of its name is a rotation: both hold until the first is revoked. A session's number revokes no token."""
    first = desk.cli("token", "create", "grafana", "--expires", "90d")
    assert "not shown again" in first.err
    assert "Another token" not in first.err
    second = desk.cli("token", "create", "grafana")
    secrets = [one.out.strip() for one in (first, second)]
    numbers = [one["id"] for one in reversed(desk.cli("token", "list", "--json").json)]
    assert f"Another token of this name is active: {numbers[0]}." in second.err
    assert desk.cli("session", "revoke", str(numbers[0])).code != exits.OK
    assert set(map(str, numbers)) <= set(completed(desk, "closeout token revoke "))
    held = [desk.get(f"{desk.pages}/", {"Authorization": f"Bearer {secret}"})[0] for secret in secrets]
    assert held == [200, 200]
    assert desk.cli("token", "revoke", str(numbers[0])).code == exits.OK
    held = [desk.get(f"{desk.pages}/", {"Authorization": f"Bearer {secret}"})[0] for secret in secrets]
    assert held == [401, 200]
    listed = desk.cli("token", "list")
    assert [line.split()[-1] for line in listed.out.splitlines()] == ["ACTIVE", "yes", "revoked"]
    everything = listed.out + desk.cli("token", "list", "--json").out
    assert not any(secret in everything for secret in secrets)


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/login?code="),
        ("https://closeout.example.com/base", "https://closeout.example.com/base/login?code="),
        ("HTTPS://Closeout.Example.com/base/", "https://closeout.example.com/base/login?code="),
    ],
)
def test_a_link_begins_with_the_url_that_is_given(desk: Desk, url: str, begins: str) -> None:
    """As people type it."""
    printed = desk.cli("open", "--url", url, "--json")
    assert printed.code == exits.OK
    assert printed.json["url"].startswith(begins)
    assert (printed.json["right"], printed.json["server_running"]) == ("act", True)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "https://a:b@x", "https://x/?q=1"])
def test_what_is_no_url_is_said(desk: Desk, url: str) -> None:
    """Before a link that nobody can open is printed."""
    printed = desk.cli("open", "--url", url)
    assert (printed.code, printed.out) == (exits.USAGE, "")
    assert "--url" in printed.err


@pytest.mark.parametrize("name", ["", "\x1b[31m", "a" * 81])
def test_a_name_that_nobody_could_read_is_refused(desk: Desk, name: str) -> None:
    """Lists and pages show it."""
    told = desk.cli("token", "create", name)
    assert (told.code, told.out) == (exits.USAGE, "")
    assert "1 to 80 printable characters" in told.err


def test_an_address_at_which_browsers_keep_no_session_is_said(desk: Desk) -> None:
    """Plain HTTP over a network: the link would not sign anybody in."""
    printed = desk.cli("open", "--url", "http://10.0.0.5:8080")
    assert printed.code == exits.OK
    assert "Browsers keep no session at this address" in printed.err


def test_a_link_before_the_first_server_is_refused(tmp_path: Path) -> None:
    """There is nothing that it could open."""
    told = closeout("open", "--db", "none.db", cwd=tmp_path)
    assert (told.code, told.out) == (exits.UNAVAILABLE, "")
    assert "`closeout serve` creates it" in told.err


def test_links_and_tokens_are_made_while_no_server_runs(tmp_path: Path) -> None:
    """The link says that it works once a server runs; a token is written by the command itself."""
    desk = Desk(tmp_path)
    assert desk.end() == exits.OK
    printed = desk.cli("open", "--read-only", "--json")
    assert (printed.json["right"], printed.json["server_running"]) == ("read", False)
    assert "start `closeout serve` before you open the link" in desk.cli("open").err
    assert desk.cli("token", "create", "bot", "--act").out.startswith("closeout_")
    assert desk.cli("token", "revoke", "1").code == exits.OK
    assert desk.cli("token", "revoke", "1").code != exits.OK


@pytest.mark.parametrize("address", ["8081", "::1:8081", "127.0.0.1:65536"])
def test_an_address_of_the_pages_that_is_none_is_a_usage_error(tmp_path: Path, address: str) -> None:
    """With an example of one."""
    told = closeout("serve", "--pages", address, cwd=tmp_path, env=SECRET)
    assert told.code == exits.USAGE
    assert "127.0.0.1:8081" in told.err


def test_an_address_of_the_pages_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """In use, not of this machine, no name, or the webhook's own: one sentence, and no new ledger."""
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            f"127.0.0.1:{port}": f"Port {port} on 127.0.0.1 is in use by another program; choose another one with --pages.",
            "192.0.2.1:8081": "192.0.2.1 is not an address of this machine; choose another one with --pages.",
            "a..b:8081": "a..b is neither an address nor a name of this machine; choose another one with --pages.",
            "127.0.0.1:8080": "The pages and the webhook have the same address; give --pages another port.",
        }
        for address, sentence in cases.items():
            told = closeout("serve", "--pages", address, cwd=tmp_path, env=SECRET)
            assert told.code in (exits.UNAVAILABLE, exits.USAGE)
            assert told.err.strip().endswith(sentence)
    assert list(tmp_path.glob("closeout.db*")) == []
