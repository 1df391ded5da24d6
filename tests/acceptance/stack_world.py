"""A deployed stack without AWS: its outputs in moto, its secrets, a real `closeout serve` behind its URL, and GitHub.

The receiver is the local one with an `aws-secretsmanager:` reference, so a rotation meets the same rule for two
accepted values and for reading again as on AWS.
"""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from closeout.core.records import NewDelivery
from closeout.ledger.dynamodb.table import Table, put
from closeout.stack import table as layout
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.forked import Forked
from tests.acceptance.machine import REGION, REPOSITORY, Machine
from tests.ledger_table import create_ledger

STACK = "closed-pr-event-stack"
WEBHOOK_SECRET = "closed-pr/webhook"
GITHUB_SECRET = "closed-pr/github"
FIRST = "the-first-webhook-secret"
CONFIG = """\
version: 1
secrets: { webhook: 'aws-secretsmanager:closed-pr/webhook', github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
aws: { account: '123456789012', region: eu-central-1 }
patrol: { deliveries: off, state: off }
automations:
  preview-cleanup:
    on:
      pull_request: { types: [closed], branches: [develop] }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
  branches:
    on: delete
    repositories: [acme/*]
    steps:
      - uses: shell
        destructive: false
        with: { run: 'true' }
  elsewhere:
    on: push
    repositories: [other/thing]
    steps:
      - uses: shell
        destructive: false
        with: { run: 'true' }
"""
OUTPUTS = {
    "WebhookSecretName": WEBHOOK_SECRET,
    "GitHubTokenSecretName": GITHUB_SECRET,
    "LogGroupName": "/closeout/runs",
    "TableName": "closeout-ledger",
    "BucketName": "closeout-bodies",
    "WorkerAlias": f"arn:aws:lambda:{REGION}:123456789012:function:worker:live",
    "PatrolAlias": f"arn:aws:lambda:{REGION}:123456789012:function:patrol:live",
    "Region": REGION,
    "ApiId": "abc123",
}


class StackWorld(Machine):
    """A machine whose server reads the stack's secret; the stack's outputs name its URL."""

    def begin(self, *arguments: str) -> tuple[Forked, TextIO]:
        """Start the CLI; return it, to be killed, and what it says."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as output:
            process = Forked(
                arguments, folder=self.folder, environment=self.environment, output=output, errors=output,
                main=self.main,
            )  # fmt: skip
        return process, os.fdopen(reading, encoding="utf-8")

    def type_in(self, text: str, *arguments: str, seconds: float = 30.0) -> tuple[int, str]:
        """Run the real CLI at a terminal, type `text` at its prompt; return exit code and all that the terminal shows."""
        child, terminal = pty.fork()
        if child == 0:  # pragma: no cover  the other process
            os.chdir(self.folder)
            os.execve(sys.executable, [sys.executable, "-m", "closeout", *arguments], self.environment)
        shown, typed, end = b"", False, time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([terminal], [], [], 0.1)
            if ready:
                try:
                    part = os.read(terminal, 4096)
                except OSError:
                    part = b""
                if not part:
                    break
                shown += part
            if not typed and b"(hidden)" in shown:
                os.write(terminal, text.encode() + b"\n")
                typed = True
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), shown.decode()

    def deploy(self, name: str = STACK, leave_out: Sequence[str] = ()) -> None:
        """Make the stack: a queue as its only resource, and the outputs that a deployed one has."""
        values = {"WebhookUrl": self.hook_url, **OUTPUTS}
        template = {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {key: {"Value": value} for key, value in values.items() if key not in leave_out},
        }
        self.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))

    def keep_delivery(self, hook: str, guid: str, days: float) -> None:
        """Put a delivery through this hook into the stack's ledger, so many days old."""
        at = time.time() - days * 86_400
        delivery = NewDelivery(
            hook, guid, "pull_request", "opened", "acme/api", b"{}", False, at, "github", 1
        )
        table = Table(self.client("dynamodb"), OUTPUTS["TableName"])
        items = layout.acceptance(delivery, [], [], zlib.compress(b"{}"), int(at) + 30 * 86_400)
        assert not table.write([put(item, layout.NEW) for item in items])

    def versions(self) -> dict[str, list[str]]:
        """Version → stages of the webhook secret, those without a stage left out."""
        stages: dict[str, list[str]] = self.client("secretsmanager").describe_secret(SecretId=WEBHOOK_SECRET)[
            "VersionIdsToStages"
        ]
        return {version: held for version, held in stages.items() if held}

    def secret(self, stage: str = "AWSCURRENT", name: str = WEBHOOK_SECRET) -> str:
        """A value of the webhook secret."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=name, VersionStage=stage)
        return str(answer["SecretString"])

    def hooks(self) -> list[dict[str, Any]]:
        """The hooks of the repository as GitHub shows them."""
        repository = self.github.world.repository(REPOSITORY)
        return [hook.to_json(repository) for hook in repository.hooks.values()]

    def asked(self, *methods: str) -> list[str]:
        """Requests that GitHub got, `METHOD path`, of these methods."""
        return [
            f"{entry['method']} {entry['path']}"
            for entry in self.github.requests()
            if entry["method"] in methods
        ]


def free_port() -> int:
    """Return a port that nothing listens on now: the stack's URL is known before its server is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def bare_stack(folder: Path, aws: FakeAws, port: int = 9) -> Iterator[StackWorld]:
    """A stack with both secrets and a value in each, a repository and its organization; no server listens."""
    aws.reset()
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        github.world.add_organization("acme")
        world = StackWorld(folder, aws, github, CONFIG)
        world.port = port
        secrets = world.client("secretsmanager")
        secrets.create_secret(Name=WEBHOOK_SECRET, SecretString=FIRST)
        secrets.create_secret(Name=GITHUB_SECRET, SecretString=github.token)
        create_ledger(world.client("dynamodb"), OUTPUTS["TableName"])
        world.deploy()
        yield world


@contextmanager
def stack_world(folder: Path, aws: FakeAws) -> Iterator[StackWorld]:
    """The same with a server that listens at the stack's URL."""
    port = free_port()
    with bare_stack(folder, aws, port) as world:
        world.start()
        try:
            yield world
        finally:
            if world.server is not None:
                world.kill()
