"""A GitHub that answers over HTTP: the API, the control API, and the journal of what was asked.

A real server on a real socket, because timeouts, half answers, redirects and pooled connections are what goes
wrong with the real one.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any, Self

from closeout.testing.github.faults import Faults
from closeout.testing.github.handler import Handler
from closeout.testing.github.webhooks import Hook, Sender
from closeout.testing.github.world import Repository, World

TOKEN = "fake-token-of-the-closeout-bot"
"""The token that a new FakeGitHub accepts; its user is `closeout-bot`."""


class FakeGitHub:
    """A fake GitHub. Use it as a context manager, or call `start` and `stop`.

    `url` is the API's address (also reachable under `url + "/api/v3"`, as on GitHub Enterprise Server);
    `world` is its state, `faults` what goes wrong on purpose, `requests()` what was asked of it. `now` (seconds since
    the epoch) dates what is in the world.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str = TOKEN,
        full: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.sender = Sender(now)
        self.faults = Faults()
        self.world = World(self.emit, now=now, full=full)
        self.world.add_token(token)
        self.token = token
        self.remaining = 4_999
        self.workflow_keys: list[dict[str, Any]] = []
        """The public keys of workflows' OIDC tokens, as JSON Web Keys."""
        self.stopping = threading.Event()
        self._journal: list[dict[str, Any]] = []
        self._journal_lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"fake": self})
        self._server = _Server((host, port), handler)
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> FakeGitHub:
        """Serve from a thread."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def serve(self) -> None:
        """Serve from this thread until `stop`."""
        self._server.serve_forever(0.05)

    def stop(self) -> None:
        """Stop: held and silent calls are dropped."""
        self.stopping.set()
        self.faults.clear()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- what people do -------------------------------------------------------------------------------

    def add_hook(
        self,
        full_name: str,
        *,
        url: str,
        secret: str,
        events: Any = ("pull_request",),
        content_type: str = "json",
    ) -> Hook:
        """Add a hook without sending the `ping` (the API's own `POST …/hooks` sends it)."""
        hook = Hook(self.world.next_id(400_000), url, secret, tuple(events), content_type == "form")
        self.world.repository(full_name).hooks[hook.id] = hook
        return hook

    def emit(
        self, repository: Repository, event: str, payload: dict[str, Any], guid: str | None = None
    ) -> str:
        """Send an event to every hook that wants it, the organization's too; return its GUID."""
        guid = guid or str(uuid.uuid4())
        self.sender.send(repository, event, payload, guid)
        organization = self.world.organizations.get(repository.full_name.partition("/")[0].lower())
        if organization is not None:
            self.sender.send(organization, event, payload, guid)
        return guid

    def statuses(self, full_name: str, sha: str, context: str | None = None) -> list[dict[str, Any]]:
        """Return the statuses of a commit, oldest first."""
        known = self.world.repository(full_name).statuses.get(sha, [])
        return [s for s in reversed(known) if context in (None, s["context"])]

    # --- the journal ----------------------------------------------------------------------------------

    def requests(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return API requests in order: n, method, path, query, headers, body, token (known or not), status, answer."""
        with self._journal_lock:
            return [dict(entry) for entry in self._journal[since:]]

    def clear_requests(self) -> None:
        """Forget the journal."""
        with self._journal_lock:
            self._journal.clear()

    def note(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Add a journal entry; it is changed in place when its answer is known."""
        with self._journal_lock:
            entry["n"] = len(self._journal)
            self._journal.append(entry)
        return entry


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: clients that disconnect are the normal case here."""
