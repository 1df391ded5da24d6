"""A stack's worker in this process: emulated AWS and a fake GitHub over HTTP, the real composition between them.

Its clock moves when a run waits, so nothing waits in real time.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.automation import Automation
from closeout.core.records import NewDelivery
from closeout.engine.lambda_ import DONE
from closeout.intake.receiver import Receiver
from closeout.lambdas.lazy_clients import lazy_clients
from closeout.ports import Ending
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.stack_runtime import StackRuntime, open_stack_runtime
from tests.direct import DirectClient
from tests.ledger_table import create_ledger, deploy
from tests.stack_aws import StackAws

REPOSITORY = "acme/shop"
REGION = "eu-central-1"
FILE = """\
version: 1
secrets: {{ github: env:NOT_SET_ON_AWS, webhook: env:NOT_SET_EITHER }}
github: {{ api-url: '{github}' }}
aws: {{ account: '123456789012', region: us-east-1 }}
automations:
  preview-cleanup:
    on:
      pull_request: {{ types: [closed], branches: [develop] }}
    repositories: [acme/shop]
    if: '!event.pull_request.labels.exists(l, l.name == "keep")'
    steps:
      - uses: aws/cloudformation-delete-stack
        with: {{ stack-name: 'preview-${{{{ event.pull_request.number }}}}', empty-buckets: true }}
"""


class StackWorld:
    """One stack: `runtime` is a Lambda environment's composition; a new one is another environment."""

    def __init__(
        self,
        aws: StackAws,
        github: FakeGitHub,
        folder: Path,
        *,
        token: str | None,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock(time.time())
        self.aws = aws
        self.github = github
        self._folder = folder
        (folder / "closeout.yaml").write_text(FILE.format(github=github.url), encoding="utf-8")
        github.world.add_repository(REPOSITORY, id=1)
        self.dynamo = self.client("dynamodb")
        create_ledger(self.dynamo, "ledger")
        self.client("s3").create_bucket(
            Bucket="bodies", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        given = {"SecretString": token} if token is not None else {}
        secret = self.client("secretsmanager").create_secret(Name="stack/github-token", **given)
        self._secret = str(secret["ARN"])
        self.runtime = self.environment()

    def client(self, service: str) -> Any:
        """A client of the stack's region."""
        return boto3.client(service, region_name=REGION)

    def environment(self, *, secret: str | None = None, **options: Any) -> StackRuntime:
        """What a new Lambda environment composes; `secret` is a name where the stack did not make the secret."""
        return open_stack_runtime(
            self.variables(secret),
            **{
                "client": lazy_clients(REGION, partial(DirectClient, self.aws)),
                "clock": self.clock,
                **options,
            },
        )

    def variables(self, secret: str | None = None) -> dict[str, str]:
        """The variables of the worker."""
        return {
            "LAMBDA_TASK_ROOT": str(self._folder),
            "CLOSEOUT_CONFIG": "closeout.yaml",
            "CLOSEOUT_API_URL": self.github.url,
            "CLOSEOUT_TABLE": "ledger",
            "CLOSEOUT_BUCKET": "bodies",
            "CLOSEOUT_GITHUB_SECRET": secret or self._secret,
            "CLOSEOUT_LOG_GROUP": "/closeout/worker",
            "CLOSEOUT_RETENTION_DAYS": "30",
            "AWS_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": "worker",
        }

    def deploys(self, *, without: bool = False, protect: tuple[str, ...] = (), **changes: Any) -> None:
        """Have another form of the automation deployed, while this worker stays as it is; or a file `without` it.

        `protect` is the file's.
        """
        forms = [] if without else [replace(one, **changes) for one in self.automations()]
        deploy(self.dynamo, "ledger", forms, self.github.url, protect)

    def automations(self) -> tuple[Automation, ...]:
        """Return those of the file in the bundle."""
        return load(self._folder / "closeout.yaml", builtin()).automations

    def damage_what_is_deployed(self) -> None:
        """Have bytes there that nobody can read."""
        item = layout.deployed_item(b"damaged", "", self.clock.now())
        self.dynamo.put_item(TableName="ledger", Item=item)

    def say(self, line: str) -> None:
        """Add a line to the automation in the file of the bundle."""
        file = self._folder / "closeout.yaml"
        file.write_text(
            file.read_text("utf-8").replace("    steps:", f"    {line}\n    steps:"), encoding="utf-8"
        )

    def adds(self, *steps: str) -> None:
        """Add steps to the file of the bundle, before the one that is there."""
        file = self._folder / "closeout.yaml"
        lines = "".join(f"\n      - {step}" for step in steps)
        file.write_text(file.read_text("utf-8").replace("    steps:", f"    steps:{lines}"), encoding="utf-8")

    def switch(self, *, paused: bool) -> None:
        """Pause destructive calls, or let them go on."""
        switch = self.runtime.ledger.switch
        switch.set_paused("a test", None) if paused else switch.clear_paused()

    def closes(self, number: int = 17, *, known: bool = True, **pull: Any) -> tuple[str, str]:
        """Accept the delivery of a closed pull request; return its execution and the head's SHA.

        With `known` the definition of its run is one that was deployed.
        """
        world = self.github.world
        opened = world.open_pull(REPOSITORY, number=number, **pull)
        world.change_pull(REPOSITORY, number, "closed")
        body = json.dumps(world.pull_payload(world.repository(REPOSITORY), opened)).encode()
        loaded = load(self._folder / "closeout.yaml", builtin())
        receiver = Receiver.of(loaded.automations, lambda: ())
        guid = f"guid-{number}"
        (run,) = receiver.runs("pull_request", guid, body)
        delivery = NewDelivery(
            "1", guid, "pull_request", "closed", REPOSITORY, body, False, self.clock.now(), "github", number
        )
        if known:
            item = layout.known_item(definition_digest(run.definition), run.automation, 3600.0)
            self.dynamo.put_item(TableName="ledger", Item=item)
        for item in layout.acceptance(
            delivery, [run], [], zlib.compress(body), int(self.clock.now()) + 86_400
        ):
            self.dynamo.put_item(TableName="ledger", Item=item)
        return f"{run.run_id}-1", opened.sha

    def begun_before(self, execution: str, **operations: Any) -> None:
        """Have a run begun by the release before, which kept its operations beside the definition."""
        run_id = execution.rpartition("-")[0]
        row = self.dynamo.get_item(TableName="ledger", Key=layout.attempt_key(run_id, 1))["Item"]
        now = self.clock.now()
        begun = {"state": "waiting", "started_at": now, "wake": now, "holder": "before"}
        self.dynamo.put_item(TableName="ledger", Item=row | layout.to_item(begun))
        for position, (name, result) in enumerate(operations.items(), 1):
            key = layout.operation_key(run_id, 1, name) | {"pk": {"S": layout.run_partition(run_id)}}
            done = {
                "state": "ok",
                "result": json.dumps(result),
                "tries": 1,
                "started_at": 1.0,
                "ended_at": 1.0,
            }
            values = {"name": name, "position": position, "kind": "record", **done}
            self.dynamo.put_item(TableName="ledger", Item=key | layout.to_item(values))

    def drive(self, execution: str, seconds: float = 60.0) -> Ending:
        """Advance until it is done, as the worker does; it may wait as long as this altogether."""
        deadline = self.clock.now() + seconds
        while (wake := self.advance(execution)) is not None:
            assert wake < deadline, f"{execution} did not end"
            self.wait_until(wake)
        return self.ending(execution)

    def advance(self, execution: str) -> float | None:
        """Continue it with one invocation; return when it goes on, or None if it is done."""
        outcome = self.runtime.engine.advance(execution, lambda: 890.0)
        return None if outcome == DONE else float(outcome["wake"])

    def wait_until(self, at: float) -> None:
        """Move the clock."""
        self.clock.advance(max(0.0, at - self.clock.now()))

    def ending(self, execution: str) -> Ending:
        """How an execution has ended."""
        record = self.runtime.ledger.store.look(execution)
        assert record is not None
        assert record.run.state == "finished"
        return Ending(str(record.run.verdict), str(record.run.summary))

    def statuses(self, sha: str) -> list[tuple[str, str]]:
        """State and description of each status of a commit, oldest first."""
        return [(row["state"], row["description"]) for row in self.github.statuses(REPOSITORY, sha)]

    def add_broken_module(self) -> None:
        """Add a module of the user's own that cannot be imported."""
        (self._folder / "broken_hooks.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
        file = self._folder / "closeout.yaml"
        file.write_text(file.read_text("utf-8") + "modules: [broken_hooks]\n", encoding="utf-8")
