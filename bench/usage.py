"""What one closed pull request uses of AWS: the receiver and the worker's visits over the emulator, counted.

Calls and bytes are counted where they leave closeout, and turned into what AWS bills by the rules of its pages; so
the figures follow the code. Time is not measured here: an emulator on loopback says nothing of AWS's. It is a clock of
its own, which moves on when a run waits and only then, so that the same code gives the same figures on any machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.automation import status_contexts
from closeout.core.rules import compile_rules
from closeout.engine.key_queue import next_check
from closeout.lambdas.receiver_app import ReceiverApp
from closeout.stack.table import SETTINGS
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.stack_ledger import LedgerResources
from closeout.wiring.stack_runtime import StackRuntime
from tests.ledger_table import create_ledger, deploy
from tests.stack_aws import StackAws

WORKER = "arn:aws:lambda:us-east-1:123456789012:function:worker:live"
SECRET = "the-secret-of-the-hook"
GUID = "00000000-0000-4000-8000-000000000017"
SECOND = "00000000-0000-4000-8000-000000000018"
KB = 1024
DAY, MOST_VISITS = 86_400.0, 200
INVOCATION = 900.0
CALLBACK = "c" * 300  # about as long as Lambda's ids
BEGIN = 1_764_086_400.123457
"""When the measured delivery arrives. With the digits of any other moment: they are part of an item's size."""
LAST_POLL = 0.9
"""Seconds from which a wait is one for a poll and not one of the ledger's own short ones."""

COMMENT = """
      - uses: github/comment
        with: { body: 'closeout saw this pull request close.' }"""
PREVIEW = """
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}', empty-buckets: true }"""
FILE = """\
version: 1
github: {{ api-url: '{github}' }}
aws: {{ account: '123456789012', region: us-east-1 }}
automations:
  preview-cleanup:
    on: {{ pull_request: {{ types: [closed], branches: [develop] }} }}
    repositories: [acme/shop]
    steps:{step}
"""


class Used(NamedTuple):
    """What something used. Units are DynamoDB's request units, bytes are of log lines and stored items."""

    writes: float = 0.0
    reads: float = 0.0
    stored: float = 0.0
    log: float = 0.0
    visits: float = 0.0

    def plus(self, other: Used, times: float = 1.0) -> Used:
        """Add another, some times."""
        return Used(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))


class Usage(NamedTuple):
    """A delivery, then the run without its polls, and one poll (a visit that finds nothing new)."""

    delivery: Used
    run: Used
    poll: Used
    polls: int
    """How many polls the measured run had; its `run` is without them."""
    calls: dict[str, int]
    """All calls of AWS's services in the measured run, by `service operation`."""


# --- DynamoDB's units -------------------------------------------------------------------------------------------


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return an item's size as AWS counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "N":
        digits = content.replace(".", "").replace("-", "").strip("0")
        return math.ceil(len(digits) / 2) + 1
    if kind == "L":
        return 3 + sum(1 + _value_bytes(part) for part in content)
    return 1 if kind in ("BOOL", "NULL") else len(content if kind == "B" else str(content).encode())


def write_units(size: int) -> int:
    """Return the units of one plain write."""
    return max(1, math.ceil(size / KB))


def read_units(size: int) -> int:
    """Return the units of one consistent read."""
    return max(1, math.ceil(size / (4 * KB)))


class Meter:
    """Counts what a DynamoDB client asks and gets. `peek` is another client, which is not counted."""

    def __init__(self, peek: Any, table: str) -> None:
        self.writes = 0
        self.reads = 0
        self._peek = peek
        self._table = table
        self._before: dict[str, int] = {}

    def watch(self, client: Any) -> Any:
        """Count the calls of a client from now on."""
        client.meta.events.register("provide-client-params.dynamodb", self._asked)
        client.meta.events.register("after-call.dynamodb", self._answered)
        return client

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self._parts = list(_written(model.name, params))
        self._sizes = [self._size(key) for key, _ in self._parts]
        self._keys = params.get("RequestItems", {}).get(self._table, {}).get("Keys", ())

    def _answered(self, http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in ("GetItem", "Query"):
            items = parsed.get("Items", [parsed["Item"]] if "Item" in parsed else [])
            self.reads += read_units(sum(map(item_bytes, items)))
            return
        if model.name == "BatchGetItem":  # each item by itself
            self.reads += sum(read_units(self._size(key)[0]) for key in self._keys)
            return
        together = model.name == "TransactWriteItems"
        for (key, changes), before in zip(self._parts, self._sizes, strict=True):
            after = self._size(key)
            units = write_units(max(before[0], after[0]))
            self.writes += units * (2 if together else 1)
            if changes and (before[1] or after[1]):
                self.writes += units  # its copy in the index of lists

    def _size(self, key: Mapping[str, Any]) -> tuple[int, bool]:
        """Return the size of an item as it is now, and whether it is listed."""
        item = self._peek.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item") or {}
        return item_bytes(item), "list" in item


def _written(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the keys of what a call writes, and whether it changes it or only checks it."""
    actions = [next(iter(one.items())) for one in params.get("TransactItems", ())]
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        actions = [(operation, params)]
    for kind, part in actions:
        found = part.get("Item") or part["Key"]
        yield {name: found[name] for name in ("pk", "sk")}, kind != "ConditionCheck"


# --- the scene --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def measure(step: str, *, delete_seconds: float = 5.0) -> Usage:
    """Close pull request #17 with one step in the configuration, and count until the run has ended.

    `delete_seconds` are of its own clock. Raises `AssertionError` when the run is no success.
    """
    clock = FakeClock(BEGIN)
    with (
        StackAws(delete_seconds=delete_seconds, clock=clock.now) as aws,
        FakeGitHub(full=True, now=clock.now) as github,
        tempfile.TemporaryDirectory() as folder,
        _environment({**aws.environment(), "AWS_REGION": "us-east-1"}),
    ):
        aws.reset()
        return _Scene(aws, github, Path(folder), step, clock).play()


def measure_queue() -> Used:
    """Return what a run uses in a day in the queue of its key. Its callbacks time out, because nobody completes them."""
    clock = FakeClock(BEGIN)
    with (
        StackAws(clock=clock.now) as aws,
        FakeGitHub(full=True, now=clock.now) as github,
        tempfile.TemporaryDirectory() as folder,
        _environment({**aws.environment(), "AWS_REGION": "us-east-1"}),
    ):
        aws.reset()
        return _Scene(aws, github, Path(folder), COMMENT, clock).wait_a_day()


class _Scene:
    def __init__(self, aws: StackAws, github: FakeGitHub, folder: Path, step: str, clock: FakeClock) -> None:
        self._clock = clock
        self._aws = aws
        self._github = github
        self._folder = folder
        (folder / "closeout.yaml").write_text(FILE.format(github=github.url, step=step), "utf-8")
        self._loaded = load(folder / "closeout.yaml", builtin())
        self._peek = self._client("dynamodb")
        create_ledger(self._peek, "ledger")
        deploy(self._peek, "ledger", self._loaded.automations)
        self._client("s3").create_bucket(Bucket="bodies")
        self._client("secretsmanager").create_secret(Name="hook", SecretString=SECRET)
        self._client("secretsmanager").create_secret(Name="token", SecretString=github.token)
        _make_preview(self._client("cloudformation"), self._client("s3"))

    def _client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self._aws.url, region_name="us-east-1")

    def play(self) -> Usage:
        asked = len(self._aws.requests())
        delivery = self._receive()
        meter = Meter(self._peek, "ledger")
        runtime = self._runtime(meter)
        execution = next(
            row["execution"]["S"] for row in self._rows() if "execution" in row and "state" in row
        )
        steps = list(self._visits(runtime, meter, execution))
        polls = [
            used for used, waits in steps if waits and used.writes == min(one.writes for one, _ in steps)
        ]
        poll = polls[len(polls) // 2] if polls else Used()
        run = Used()
        for used, _ in steps:
            run = run.plus(used)
        run = run.plus(poll, -len(polls))._replace(stored=self._stored() - delivery.stored)
        calls = Counter(
            f"{one['service']} {one['operation']}"
            for one in self._aws.requests()[asked:]
            if one["service"] != "dynamodb"
        )
        return Usage(delivery, run, poll, len(polls), dict(sorted(calls.items())))

    def wait_a_day(self) -> Used:
        """Let two runs of one pull request be accepted, and visit the second one only."""
        _, body = _close(self._github)
        again = json.loads(body)
        again["pull_request"]["closed_at"] = "2026-03-14T10:00:00Z"  # another closing
        for guid, text in ((GUID, body), (SECOND, json.dumps(again))):
            self._deliver(deliveries.signed_headers("pull_request", text.encode(), SECRET, guid), text)
            self._clock.advance(1.0)
        meter = Meter(self._peek, "ledger")
        runtime = self._runtime(meter)
        rows = [row for row in self._rows() if "execution" in row and "state" in row]
        execution = next(row["execution"]["S"] for row in rows if row["guid"]["S"] == SECOND)
        used, outcome = self._visit(runtime, meter, execution)
        until = outcome["queued"]["accepted_at"] + DAY
        used = used._replace(visits=0)  # the same invocation looks again, with its first callback
        for number in range(MOST_VISITS):
            one, outcome = self._visit(runtime, meter, execution, f"{CALLBACK}{number:03}")
            used = used.plus(one)
            assert "queued" in outcome, outcome
            wake = next_check(**outcome["queued"], now=self._clock.now())
            if wake >= until:
                return used
            self._clock.advance(wake - self._clock.now())
        raise AssertionError("the day does not end")

    def _rows(self) -> list[dict[str, Any]]:
        """Return what is there but for the settings, which a deployment writes and no delivery."""
        found: list[dict[str, Any]] = self._peek.scan(TableName="ledger")["Items"]
        return [row for row in found if row["pk"] != {"S": SETTINGS}]

    def _stored(self) -> int:
        """Bytes of all items, each in the index as well if it is listed."""
        return sum(item_bytes(row) * (2 if "list" in row else 1) for row in self._rows())

    def _receive(self) -> Used:
        """Let the receiver take the delivery of a pull request that closes."""
        lines = self._deliver(*_close(self._github))
        rows = self._rows()
        sizes = [(item_bytes(row), "list" in row) for row in rows]
        writes = sum(write_units(size) * (3 if listed else 2) for size, listed in sizes)
        marked = next(item_bytes(row) for row in rows if "state" in row)
        writes += 2 * write_units(marked)  # `started`, in the row and in the index
        return Used(writes=writes, stored=self._stored(), log=_log_bytes(lines), visits=1)

    def _deliver(self, headers: Mapping[str, str], body: str) -> list[str]:
        """Let the receiver take a delivery; return its log."""
        (self._folder / "rules.json").write_text(
            compile_rules(self._loaded.automations, status_contexts(self._loaded.automations)), "utf-8"
        )
        environment = {
            **os.environ,
            "LAMBDA_TASK_ROOT": str(self._folder),
            "CLOSEOUT_TABLE": "ledger",
            "CLOSEOUT_BUCKET": "bodies",
            "CLOSEOUT_WORKER": WORKER,
            "CLOSEOUT_WEBHOOK_SECRET": "hook",
            "CLOSEOUT_RETENTION_DAYS": "30",
        }
        lines: list[str] = []
        said = ReceiverApp(environment, now=self._clock.now, log=lines.append).answer(
            {"httpMethod": "POST", "headers": headers, "body": body, "isBase64Encoded": False}
        )
        # The emulator has no such function to invoke: the delivery is stored all the same.
        assert said["statusCode"] in (202, 503), said
        return lines

    def _runtime(self, meter: Meter) -> StackRuntime:
        def client(service: str) -> Any:
            made = self._client(service)
            return meter.watch(made) if service == "dynamodb" else made

        return StackRuntime(
            LedgerResources("ledger", "bodies", WORKER, "/closeout/worker"),
            lambda: self._loaded,
            directory=self._loaded.directory,
            api_url=self._loaded.settings.api_url,
            region="us-east-1",
            token="token",
            client=client,
            clock=self._clock,
            jitter=lambda: 0.0,
        )

    def _visits(self, runtime: StackRuntime, meter: Meter, execution: str) -> Iterator[tuple[Used, bool]]:
        """Visit as Lambda does; yield what each visit used, and whether it was followed by a wait for a poll."""
        for _ in range(MOST_VISITS):
            used, outcome = self._visit(runtime, meter, execution)
            wait = max(0.0, outcome.get("wake", 0.0) - self._clock.now())
            yield used, wait > LAST_POLL
            if "done" in outcome:
                verdict = next(row["verdict"]["S"] for row in self._rows() if "verdict" in row)
                assert verdict == "success", verdict
                return
            self._clock.advance(wait)
        raise AssertionError("the run does not end")

    @staticmethod
    def _visit(
        runtime: StackRuntime, meter: Meter, execution: str, callback: str | None = None
    ) -> tuple[Used, dict[str, Any]]:
        """Visit once; return what that used, and what came of it."""
        writes, reads = meter.writes, meter.reads
        with contextlib.redirect_stdout(io.StringIO()) as log:
            outcome = runtime.engine.advance(execution, lambda: INVOCATION, callback)
        said = _log_bytes(log.getvalue().splitlines())
        return Used(writes=meter.writes - writes, reads=meter.reads - reads, log=said, visits=1), outcome


def _make_preview(cloudformation: Any, s3: Any) -> None:
    template = {
        "Resources": {
            "Site": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "preview-17-site"}},
            "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "preview-17-jobs"}},
        }
    }
    cloudformation.create_stack(StackName="preview-17", TemplateBody=json.dumps(template))
    s3.put_object(Bucket="preview-17-site", Key="index.html", Body=b"hello")


def _close(github: FakeGitHub) -> tuple[dict[str, str], str]:
    """Open and close #17 on the fake GitHub; return the headers and the body of what it would send."""
    repository = github.world.add_repository("acme/shop")
    github.world.open_pull("acme/shop", number=17, base="develop")
    pull = github.world.change_pull("acme/shop", 17, "closed")
    body = deliveries.encode(github.world.pull_payload(repository, pull))
    return deliveries.signed_headers("pull_request", body, SECRET, GUID), body.decode()


def _log_bytes(lines: list[str]) -> int:
    """Bytes as CloudWatch Logs counts them: UTF-8 and 26 for each event. The milliseconds of a line have four digits.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
    """
    return sum(len(re.sub(r'"ms": ?[0-9.]+', '"ms":100.0', line).encode()) + 26 for line in lines)
