"""One machine for acceptance tests: a real `closeout serve` between a fake GitHub and an emulated AWS.

Everything is a process or a socket of its own: deliveries are signed and sent over HTTP, the ledger is a file, and
death is `kill -9`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.forked import Forked, Main, closeout_quick, run
from tests.until import until

REGION = "eu-central-1"
SECRET = "a-secret-for-tests-only"
REPOSITORY = "acme/shop"
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  preview-cleanup:
    on:
      pull_request: { types: [closed], branches: [develop] }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}', empty-buckets: true }
"""


@cache
def client(service: str, url: str) -> Any:
    """Return a boto3 client, one for all tests: to make it takes longer than what it is asked."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def template(bucket: str) -> str:
    """A preview: a versioned bucket and a queue."""
    return json.dumps(
        {
            "Resources": {
                "Assets": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {"BucketName": bucket, "VersioningConfiguration": {"Status": "Enabled"}},
                },
                "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{bucket}-jobs"}},
            }
        }
    )


class Machine:
    """The whole scene. `aws`, `github` are the fakes; `start`, `kill`, `stop` are about the server."""

    def __init__(
        self,
        folder: Path,
        aws: FakeAws,
        github: FakeGitHub,
        config: str = CONFIG,
        main: Main = closeout_quick,
    ) -> None:
        self.folder = folder
        self.aws = aws
        self.github = github
        self.config = folder / "closeout.yaml"
        self.config.write_text(config, encoding="utf-8")
        self.db = folder / "closeout.db"
        self.port = 0
        self.server: Forked | None = None
        self.main = main
        """What the server and a command run."""
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "CLOSEOUT_"))},
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "CLOSEOUT_WEBHOOK_SECRET": SECRET,
            "CLOSEOUT_GITHUB_TOKEN": github.token,
            "GITHUB_API": github.url,
        }

    # --- the server -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start `closeout serve` and wait until it listens; the port stays the same over restarts."""
        log = self.folder / "server.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.server = Forked(
                ["serve", "--config", str(self.config), "--db", str(self.db),
                 "--host", "127.0.0.1", "--port", str(self.port)],
                folder=self.folder, environment=self.environment, output=output, errors=output, main=self.main,
            )  # fmt: skip

        def listening() -> str | None:
            assert self.server is not None
            text = log.read_bytes()[before:].decode()
            assert self.server.poll() is None, f"the server ended:\n{text}"
            lines = [line for line in text.splitlines() if "listens on" in line]
            return lines[0] if lines else None

        line = until("the server's start", listening)
        self.port = int(line.rsplit(":", 1)[1].split()[0].rstrip("/."))

    def kill(self) -> None:
        """End the server by kill -9."""
        assert self.server is not None
        self.server.kill()
        self.server.wait(10)
        self.server = None

    def stop(self) -> int:
        """End the server by SIGTERM; return its exit code."""
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        code = self.server.wait(40)
        self.server = None
        return code

    @property
    def hook_url(self) -> str:
        """Where GitHub sends deliveries."""
        return f"http://127.0.0.1:{self.port}/webhook"

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    # --- the command line -----------------------------------------------------------------------------------

    def closeout(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the real CLI with nothing on standard input."""
        return self.feed("", *arguments, check=check)

    def feed(self, stdin: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the real CLI with this on standard input."""
        done = run(
            arguments,
            folder=self.folder,
            environment=self.environment,
            stdin=stdin,
            seconds=90,
            main=self.main,
        )
        assert not check or done.returncode == 0, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def runs(self) -> list[dict[str, Any]]:
        """`closeout runs list --json`."""
        listed: list[dict[str, Any]] = json.loads(
            self.closeout("runs", "list", "--db", str(self.db), "--json").stdout
        )
        return listed

    def finished(self, count: int = 1, seconds: float = 60.0) -> list[dict[str, Any]]:
        """Wait until `count` runs have finished; they are read from the ledger itself, as the CLI does."""
        from closeout.ledger.sqlite import Views

        def look() -> list[dict[str, Any]] | None:
            runs = [run.to_json() for run in Views(self.db).runs()]
            return runs if sum(run["state"] == "finished" for run in runs) >= count else None

        found: list[dict[str, Any]] = until(f"the end of {count} runs", look, seconds)
        return found

    # --- the world ------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        """A boto3 client on the emulated AWS."""
        return client(service, self.aws.url)

    def preview(self, number: int = 17, objects: int = 3) -> str:
        """Deploy the preview of a pull request; return its StackId."""
        bucket = f"preview-{number}-assets"
        stack = self.client("cloudformation").create_stack(
            StackName=f"preview-{number}", TemplateBody=template(bucket)
        )
        for position in range(objects):
            for version in range(2):
                self.client("s3").put_object(
                    Bucket=bucket, Key=f"file-{position}", Body=f"{version}".encode()
                )
        return str(stack["StackId"])

    def is_gone(self, stack_id: str, number: int = 17) -> bool:
        """Whether stack and bucket are really gone."""
        status = self.client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        buckets = [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]
        return status == "DELETE_COMPLETE" and f"preview-{number}-assets" not in buckets

    def open_pull(self, number: int = 17, **options: Any) -> str:
        """Open a pull request into develop; return its head's SHA."""
        options.setdefault("base", "develop")
        pull = self.github.world.open_pull(REPOSITORY, number=number, **options)
        return str(pull.sha)

    def statuses(self, sha: str) -> list[tuple[str, str]]:
        """The statuses of a commit, oldest first."""
        return [(status["state"], status["description"]) for status in self.github.statuses(REPOSITORY, sha)]


@contextmanager
def machine(
    folder: Path,
    aws: FakeAws,
    config: str = CONFIG,
    *,
    private: bool = True,
    main: Main = closeout_quick,
    variables: Mapping[str, str] = {},
) -> Iterator[Machine]:
    """A machine whose server is up and whose repository has a hook that points to it."""
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=private)
        scene = Machine(folder, aws, github, config, main)
        scene.environment |= variables
        scene.start()
        github.add_hook(REPOSITORY, url=scene.hook_url, secret=SECRET, events=("pull_request",))
        try:
            yield scene
        finally:
            if scene.server is not None:
                scene.kill()
