"""A set-up without any fault, whose parts a test can break: the file, GitHub, AWS, the ledger, the server."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.adapters.aws import AwsClients
from closeout.adapters.clock import SystemClock
from closeout.checks import registry
from closeout.checks.check import Outcome
from closeout.checks.world import World
from closeout.config.load import Loaded, load
from closeout.core import signature
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws
from closeout.testing.github import TOKEN, FakeGitHub
from closeout.testing.github.webhooks import Hook
from closeout.wiring.checking import LedgerFile
from closeout.wiring.clients import configured_clients
from closeout.wiring.outside import Outside

SECRET = "the-secret-of-the-webhook"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/closeout"
DELETES = f"arn:aws:iam::{ACCOUNT}:role/deletes-stacks"
REPOSITORIES = ("acme/shop", "acme/site")
RIGHTS = {
    "pull_requests": "write",
    "statuses": "write",
    "contents": "read",
    "deployments": "read",
    "issues": "write",
    "actions": "write",
    "repository_hooks": "read",
}
CONFIG = f"""\
version: 1
secrets: {{ webhook: 'file:hook.secret', github: env:CHECKED_TOKEN }}
github: {{ api-url: env:CHECKED_API }}
public-url: env:CHECKED_URL
aws: {{ account: '{ACCOUNT}', region: eu-central-1, assume-role: '{ROLE}' }}
notify: {{ to: ['file:notify.url'] }}
automations:
  clean:
    on: {{ pull_request: {{ types: [closed] }} }}
    repositories: [acme/shop, acme/site]
    environment: 'preview-${{{{ event.pull_request.number }}}}'
    steps:
      - uses: aws/cloudformation-delete-stack
        with: {{ stack-name: 'preview-${{{{ event.repository.name }}}}-${{{{ event.pull_request.number }}}}', role-arn: '{DELETES}' }}
      - uses: http/request
        destructive: false
        with: {{ url: 'https://example.com/', method: GET, secret-headers: {{ Authorization: 'file:step.secret' }} }}
      - uses: github/comment
        with: {{ body: gone, number: 7 }}
      - uses: github/dispatch-workflow
        destructive: false
        with: {{ repository: acme/shop, workflow: clean.yml, ref: main }}
  branch:
    on: {{ delete: {{}} }}
    repositories: [acme/shop]
    steps: [{{ uses: shell, with: {{ run: 'true' }} }}]
"""


class Server:
    """The server at the public URL: a closeout as far as the checks see it."""

    def __init__(self) -> None:
        self.secret = SECRET
        self.statuses = {"/healthz": 200, "/readyz": 200, "/webhook": 200}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1  # one packet for an answer: a second one waits for an acknowledgment

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = outer.statuses.get(self.path, 404)
                if self.path == "/webhook" and status == 200:
                    try:
                        signature.verify(
                            body,
                            (self.headers.get("X-Hub-Signature-256") or "").encode(),
                            [outer.secret.encode()],
                        )
                    except Exception:
                        status = 401
                text = json.dumps({"message": "The disk is full."}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815 - the base class looks for this name

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class Host(LedgerFile):
    """A ledger whose machine a test can change."""

    free_bytes = 50_000_000_000
    kind: str | None = "ext4"
    forbidden: str | None = None
    empty: Mapping[str, int] = {}

    def __init__(self, path: Path, base: Callable[[Views], str | None]) -> None:
        super().__init__(path, base)
        self.free = lambda: self.free_bytes
        self.file_system = lambda: self.kind
        self.unwritable = lambda: self.forbidden
        self.empty_runs = lambda: self.empty


class Scene:
    """The whole set-up. Every part may be changed before `results`."""

    clients = AwsClients(now=time.time)
    """Shared by all tests."""

    def __init__(self, folder: Path, aws: FakeAws, github: FakeGitHub, server: Server) -> None:
        self.file = folder / "closeout.yaml"
        self.folder = folder
        self.aws, self.github, self.server = aws, github, server
        self.ledger = Ledger(folder / "closeout.db", clock=SystemClock()).open()
        self.host = Host(self.ledger.path, self._base)
        self.base: str | None = server.url
        self.now = time.time
        self.fresh_aws = False
        self.hooks: dict[str, Hook] = {}

    def build(self) -> None:
        """Write the file and its secrets, hooks with a delivery each, and what patrol has seen."""
        self.file.write_text(CONFIG)
        for name, value in (
            ("hook.secret", SECRET),
            ("step.secret", "of-a-step"),
            ("notify.url", "json://localhost/x"),
        ):
            (self.folder / name).write_text(value)
            (self.folder / name).chmod(0o600)
        self.github.world.add_organization("acme")
        for name in REPOSITORIES:
            self.github.world.add_repository(name)
            events = ("pull_request", "delete")
            self.hooks[name] = self.github.add_hook(
                name, url=f"{self.server.url}/webhook", secret=SECRET, events=events
            )
        self.github.world.tokens[TOKEN].update(rights=dict(RIGHTS))
        self.patrolled(lists=60.0, logs=60.0)

    def deliver(self) -> None:
        """Send a delivery through each active hook."""
        for name in REPOSITORIES:
            self.github.emit(self.github.world.repository(name), "pull_request", {"action": "labeled"})
        self.github.sender.settle()

    def patrolled(self, *, errors: tuple[str, ...] = (), **ago: float) -> None:
        """Say how many seconds ago patrol last ended."""
        for kind, seconds in ago.items():
            self.ledger.save_mark("report", kind, {"ended_at": time.time() - seconds, "errors": list(errors)})

    def _base(self, views: Views) -> str | None:
        views.setting("any")  # raises if the ledger cannot be read
        return self.base

    def world(self, *, pings: bool) -> World:
        """Return what a round asks."""

        def connect(loaded: Loaded) -> Outside:
            clients = configured_clients(loaded, SystemClock(), Redactor())
            if not self.fresh_aws:  # making clients takes longer than the whole round
                clients.__dict__["aws"] = self.clients
            return Outside(clients)

        return World(
            partial(load, self.file, builtin()),
            connect,
            self.host,
            machine=self.host,
            file=self.file,
            now=self.now,
            pause=lambda seconds: self.github.sender.settle(seconds) and None,
            pings=pings,
        )

    def results(self, *, pings: bool = False) -> dict[str, Outcome]:
        """Make one round."""
        return {one.check.id: one for one in registry.ask(self.world(pings=pings))}


def environment(monkeypatch: pytest.MonkeyPatch, aws: FakeAws, github: FakeGitHub, url: str) -> None:
    """Set the variables that the file names, and those of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    values = {
        **aws.environment(),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "CHECKED_TOKEN": TOKEN,
        "CHECKED_API": github.url,
        "CHECKED_URL": url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@contextmanager
def scene(folder: Path, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Yield a set-up without any fault."""
    aws.reset()
    with FakeGitHub() as github:
        server = Server()
        environment(monkeypatch, aws, github, server.url)
        made = Scene(folder, aws, github, server)
        try:
            made.build()
            make_role()
            made.deliver()
            yield made
        finally:
            made.host.close()
            made.ledger.close()
            server.stop()


def make_role() -> None:
    """Make the role that CloudFormation assumes."""
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudformation.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
    iam = Scene.clients.for_target(AwsTarget(ACCOUNT, "eu-central-1", None)).aws("iam")
    iam.create_role(
        RoleName="deletes-stacks", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"} | trust)
    )
