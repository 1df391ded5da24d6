"""A real server over real sockets, in a thread; a fake that a test controls replaces the ledger.

The process-level tests use `closeout serve` itself; these need a store that fails, waits or forgets on command.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from closeout.core.automation import Automation
from closeout.intake import Receiver
from closeout.ports import Incoming
from closeout.server import serve
from closeout.server.app import Application
from closeout.server.bodies import Limits
from closeout.server.connection_limits import LOOPBACK
from closeout.server.log import Log
from closeout.server.parts import ServerParts
from closeout.server.shared import Timers
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from tests.memory_ledger import MemoryLedger

SECRET = b"It's a Secret to Everybody"
KEY = b"k" * 32
AUTOMATION = Automation(
    name="preview-cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    repositories=("acme/shop",),
)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class FakeStore(MemoryLedger):
    """A ledger in memory that answers from another thread, as the real one does; it waits or fails on command."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        super().__init__(FakeClock())
        self.groups: list[int] = []
        self.fail: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Store a group, in a thread of its own."""
        threading.Thread(target=self._commit, args=(list(group),), daemon=True).start()

    def _commit(self, group: list[Incoming]) -> None:
        self.hold.wait(10)
        self.groups.append(len(group))
        if self.fail is None:
            super().accept_group(group)
            return
        for _, _, done in group:
            done(self.fail)

    def stats(self) -> dict[str, Any]:
        """Return some figures."""
        known = {"runs_by_verdict": {"success": 2}, "step_durations": {("a", "b"): (3, 1.5)}}
        return super().stats() | known


class Running(NamedTuple):
    """A server that listens."""

    url: str
    host: str
    port: int
    app: Application
    store: FakeStore
    started: list[str]
    log: list[str]

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def deliver(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        event: str = "pull_request",
        guid: str = "g-1",
        **more: Any,
    ) -> Answer:
        """Send a signed delivery; by default #17 into develop, closed."""
        form = bool(more.get("form", False))
        body = deliveries.encode(
            dict(payload) if payload is not None else deliveries.pull_request(), form=form
        )
        headers = deliveries.signed_headers(event, body, more.pop("secret", SECRET), guid, **more)
        return self.send("POST", "/webhook", body, headers)

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        return socket.create_connection((self.host, self.port), timeout=10)


class _Lines:
    """A stream that keeps what is written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> int:
        """Keep a piece."""
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


@contextmanager
def serving(
    *,
    store: FakeStore | None = None,
    secrets: Callable[[], Sequence[bytes]] = lambda: (SECRET,),
    refresh: Callable[[], bool] = lambda: False,
    views: Any = None,
    limits: Limits | None = None,
    timers: Timers | None = None,
    most: int | None = None,
    trusted_proxies: Sequence[str] = LOOPBACK,
    automations: Sequence[Automation] = (AUTOMATION,),
    secrets_named: str = "",
    **more: Any,
) -> Iterator[Running]:
    """Serve in a thread until the block ends."""
    store = store or FakeStore()
    started: list[str] = []
    lines = _Lines()
    parts = ServerParts(
        receiver=Receiver.of(automations, secrets),
        accept=store.accept_group,
        started=started.extend,
        refresh=refresh,
        ready=more.pop("ready", lambda: None),
        views=views or store,
        link_key=KEY,
        limits=limits or Limits(),
        secrets=secrets_named,
        log=Log(stream=lines, hold_seconds=0.0),  # type: ignore[arg-type]
        **more,
    )
    with listening(
        Application(parts),
        store,
        started=started,
        log=lines.lines,
        timers=timers,
        most=most,
        trusted_proxies=trusted_proxies,
    ) as running:
        yield running


@contextmanager
def listening(
    app: Application,
    store: Any = None,
    *,
    started: list[str] | None = None,
    log: list[str] | None = None,
    **more: Any,
) -> Iterator[Running]:
    """Serve an application in a thread until the block ends."""
    listens, stop = threading.Event(), threading.Event()
    where: list[str] = []

    def on_listening(address: str) -> None:
        where.append(address)
        listens.set()

    def run() -> None:
        serve.run(
            app, "127.0.0.1", 0, on_listening, on_draining=app.drain, drain_seconds=2, stop=stop, **more
        )

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert listens.wait(10), "the server did not start"
    host, port = where[0].removeprefix("http://").split(":")
    try:
        yield Running(
            where[0],
            host,
            int(port),
            app,
            store,
            started if started is not None else [],
            log if log is not None else [],
        )
    finally:
        if store is not None:
            store.hold.set()
        stop.set()
        thread.join(10)
