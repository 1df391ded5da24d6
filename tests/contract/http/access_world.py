"""The site that `closeout serve` composes, over a real ledger with one run in it, and every kind of visitor.

A route that is added to the server is in `Walk.routes` without a change here.
"""

from __future__ import annotations

import http.client
import io
import re
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.ids import execution_id
from closeout.core.ids import run_id as id_of
from closeout.core.redact import Redactor
from closeout.ports.access import ACT, READ, SESSION, TOKEN
from closeout.server import access, details, serve
from closeout.server.app import Application
from closeout.server.log import Log
from closeout.server.pages.composition import compose
from closeout.server.pages.site import Route
from closeout.server.service import parts_of
from closeout.testing import deliveries
from closeout.wiring.runtime import Runtime, open_runtime
from tests.contract.http.serving import KEY, Answer, Running, listening
from tests.unit.ledger.sqlite.conftest import delivery, new_run
from tests.until import until

CONFIG = """\
version: 1
secrets: { webhook: file:webhook.secret }
automations: {}
"""
AUTOMATION = "canary-cleanup"
RUN, OTHER = id_of("g1", AUTOMATION), id_of("g2", AUTOMATION)
SECRETS_OF_THE_LEDGER = ("canary", "acme/shop", RUN)
"""Words that only a visitor who may read the ledger sees."""
PARAMETERS = {"run_id": RUN, "owner": "acme", "repo": "shop", "repository": "shop", "number": "17"}
"""Of paths; any other is 1."""
LINKS = {
    "": "",
    "own": urlsplit(details.link("", KEY, execution_id(RUN, 1), time.time())).query,
    "other": urlsplit(details.link("", KEY, execution_id(OTHER, 1), time.time())).query,
    "expired": urlsplit(
        details.link("", KEY, execution_id(RUN, 1), time.time() - details.LIFETIME - 60)
    ).query,
}


class Guest(NamedTuple):
    """One kind of visitor."""

    right: str | None = None
    """What their credential opens, None for an anonymous visitor."""
    link: str = ""
    """Which Details link they use: of this run, of another, an expired one, or none."""
    headers: Mapping[str, str] = {}
    form: Mapping[str, str] = {}
    has_form: bool = True
    """Whether their form came from their own page."""


def path_of(route: Route) -> str:
    """Return a path of a route, with something of the ledger in each parameter that can name it."""
    known = {**PARAMETERS, **({"id": RUN} if route.path.startswith("/runs/") else {})}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: known.get(found[1], "1"), route.path)


class Case(NamedTuple):
    """One answer."""

    route: Route
    html: bool
    answer: Answer


class Walk:
    """A server that listens, its runtime, and one kept connection to it."""

    def __init__(
        self,
        server: Running,
        runtime: Runtime,
        known: access.Access,
        routes: list[Route],
        log: io.StringIO,
        pages: socket.socket | None = None,
    ) -> None:
        self.server = server
        self.runtime = runtime
        self.access = known
        self.routes = routes
        self.log = log
        self.port: int = pages.getsockname()[1] if pages else server.port
        self._connection = http.client.HTTPConnection(server.host, self.port, timeout=30)
        self._watch = sqlite3.connect(runtime.ledger.path)

    def version(self) -> int:
        """Return a number that changes with every commit to the ledger."""
        found: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        return found

    def settle(self) -> None:
        """Wait until no request is open."""
        until("the requests' end", lambda: not self.runtime.ledger.take_requests())

    def credential(self, kind: str, right: str, *, expires_in: float = 3600.0, ended: bool = False) -> str:
        """Add a session or a token; return its secret."""
        secret = access.new_secret(KEY, kind)
        store = self.runtime.ledger.credentials
        store.add(kind, "ada@desk", right, access.digest(secret), expires_at=time.time() + expires_in)
        if ended:
            store.end(store.all()[0].id)
        return secret

    def form_token(self, secret: str) -> str:
        """Return what a session's page puts into its forms."""
        visitor = self.access.visitor(access.PresentedSecret(SESSION, secret))
        assert visitor is not None
        assert visitor.form_token is not None
        return visitor.form_token

    def ask(self, route: Route, guest: Guest, *, html: bool) -> Case:
        """Ask for a route as a guest."""
        path = path_of(route)
        if guest.link:
            path += "?" + LINKS[guest.link]
        accept = "text/html,application/xhtml+xml,*/*;q=0.8" if html else "application/json"
        headers = {"Accept": accept, **guest.headers}
        body = None
        if route.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(guest.form)
        return Case(route, html, self.send(route.method, path, body, headers))

    def send(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request on the kept connection."""
        self._connection.request(method, path, body, dict(headers or {}))
        answer = self._connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._watch.close()


@contextmanager
def carrying(runtime: Runtime) -> Iterator[None]:
    """Finish every request while the block runs, in place of the engine."""
    ended = threading.Event()

    def carry() -> None:
        while not ended.wait(0.01):
            for request in runtime.ledger.take_requests():
                runtime.ledger.finish_request(request.id, "done")

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


@contextmanager
def walking(folder: Path, base: str | None = None, *, apart: bool = False) -> Iterator[Walk]:
    """Serve what `closeout serve` serves, over a new ledger in `folder`.

    The engine does not run: requests are `done` at once. With `apart` the pages have an address of their own, which
    `Walk.send` calls, and `Walk.server` is the webhook's.
    """
    (folder / "closeout.yaml").write_text(CONFIG, "utf-8")
    (folder / "webhook.secret").write_text("a-secret-for-tests\n", "utf-8")
    (folder / "webhook.secret").chmod(0o600)
    loaded = load(folder / "closeout.yaml", builtin())
    runtime = open_runtime(
        loaded,
        folder / "closeout.yaml",
        folder / "closeout.db",
        redactor=Redactor(),
        report=lambda _text: None,
        on_finish=lambda _run: None,
    )
    try:
        ledger = runtime.ledger
        ledger.setting(details.KEY_SETTING, lambda: KEY)
        body = deliveries.encode(deliveries.pull_request(title="canary"))
        ledger.accept_wait(delivery(body=body), [new_run(RUN, AUTOMATION)])
        log = io.StringIO()
        parts = parts_of(runtime, KEY, Log(stream=log, hold_seconds=0.0), base)
        assert parts.access is not None
        routes = compose(parts).routes
        pages = serve.bind("127.0.0.1", 0) if apart else None
        app = Application(replace(parts, pages_apart=apart))
        with (
            carrying(runtime),
            listening(app, pages=pages) as server,
            closing(Walk(server, runtime, parts.access, routes, log, pages)) as walk,
        ):
            yield walk
    finally:
        runtime.close(0.0)


def _session(right: str | None, holds: str = ACT, **more: float | bool) -> Callable[[Walk], Guest]:
    """Return somebody with a session of the right `holds`, which opens `right`, and whose forms are right."""

    def make(walk: Walk) -> Guest:
        secret = walk.credential(SESSION, holds, **more)  # type: ignore[arg-type]
        form = {"form_token": walk.form_token(secret)} if right else {"form_token": secrets.token_urlsafe()}
        return Guest(right, headers=_cookie(secret), form=form)

    return make


def _token(right: str | None, holds: str = ACT, **more: float | bool) -> Callable[[Walk], Guest]:
    return lambda walk: Guest(right, headers=_bearer(walk.credential(TOKEN, holds, **more)))  # type: ignore[arg-type]


def _forged(form: Callable[[Walk, str], Mapping[str, str]], **headers: str) -> Callable[[Walk], Guest]:
    """Return an operator whose browser sends a form, or a header, that no page of theirs made it send."""

    def make(walk: Walk) -> Guest:
        secret = walk.credential(SESSION, ACT)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Guest(ACT, headers={**_cookie(secret), **sent}, form=form(walk, secret), has_form=False)

    return make


def _own(walk: Walk, secret: str) -> Mapping[str, str]:
    return {"form_token": walk.form_token(secret)}


def _of_another(walk: Walk, secret: str) -> Mapping[str, str]:
    del secret
    return {"form_token": walk.form_token(walk.credential(SESSION, ACT))}


def _cookie(secret: str) -> dict[str, str]:
    return {"Cookie": f"{access.COOKIE}={secret}"}


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def _two_cookies(walk: Walk) -> Guest:
    one, two = walk.credential(SESSION, ACT), walk.credential(SESSION, ACT)
    return Guest(headers={"Cookie": f"{access.COOKIE}={one}; {access.COOKIE}={two}"}, form=_own(walk, one))


GUESTS: Mapping[str, Callable[[Walk], Guest]] = {
    "nobody": lambda _: Guest(),
    "link holder": lambda _: Guest(link="own"),
    "holder of another run's link": lambda _: Guest(link="other"),
    "holder of an expired link": lambda _: Guest(link="expired"),
    "reader's session": _session(READ, READ),
    "reader's token": _token(READ, READ),
    "operator's session": _session(ACT),
    "operator's token": _token(ACT),
    "forged cookie": lambda _: Guest(headers=_cookie("A" * 43)),
    "forged bearer": lambda _: Guest(headers=_bearer("closeout_" + "A" * 43)),
    "cookie of another ledger": lambda _: Guest(headers=_cookie(access.new_secret(b"x" * 32, SESSION))),
    "session that the ledger does not have": lambda _: Guest(
        headers=_cookie(access.new_secret(KEY, SESSION))
    ),
    "token that the ledger does not have": lambda _: Guest(headers=_bearer(access.new_secret(KEY, TOKEN))),
    "expired session": _session(None, expires_in=-1.0),
    "expired token": _token(None, expires_in=-1.0),
    "revoked session": _session(None, ended=True),
    "revoked token": _token(None, ended=True),
    "session from before the clock was set back": _session(None, expires_in=9 * 3600.0),
    "session's secret as a bearer": lambda walk: Guest(headers=_bearer(walk.credential(SESSION, ACT))),
    "token's secret as a cookie": lambda walk: Guest(headers=_cookie(walk.credential(TOKEN, ACT))),
    "two cookies": _two_cookies,
    "form without its token": _forged(lambda _walk, _secret: {}),
    "form with a wrong token": _forged(lambda _walk, _secret: {"form_token": "A" * 43}),
    "form with another session's token": _forged(_of_another),
    "form from another origin": _forged(_own, Origin="https://evil.example"),
    "form from a page without an origin": _forged(_own, Origin="null"),
    "form from another site": _forged(_own, Sec_Fetch_Site="cross-site"),
    "form from a sibling of the site": _forged(_own, Sec_Fetch_Site="same-site"),
}
