"""A table of the commit before, with runs in every state: it shows what that commit showed, and its runs go on.

`table_of_the_commit_before.json` has the table's items, what they were shown as, and what that commit's own code left in
the table when it brought these runs to their end. The last commit whose code had the
table's layout in `core` wrote them: workers that were killed in the middle of an invocation, a queue, a pause, a cancel
that no run has heard of yet, and a definition that was never deployed.
"""

from __future__ import annotations

import base64
import json
import sys
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.engine.lambda_ import DONE
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.stack_ledger import LedgerResources
from closeout.wiring.stack_runtime import StackRuntime
from tests.contract.remote_harness import WORKER, client
from tests.ledger_table import create_ledger
from tests.stack_aws import StackAws
from tests.upgrade import CONFIG, FUNCTIONS, REPOSITORY, facts, known, same, told_again

KEPT: dict[str, Any] = json.loads(
    Path(__file__).with_name("table_of_the_commit_before.json").read_text("utf-8")
)
INVOCATION = 900.0
"""Seconds that an invocation of the worker has."""


class Upgraded:
    """The previous commit's table under today's code, in an account of its own; pull requests go by their number."""

    def __init__(self, aws: StackAws, github: FakeGitHub, folder: Path) -> None:
        self.github = github
        self.folder = folder
        self.clock = FakeClock(KEPT["now"])
        self.dynamo = client(aws, "dynamodb")
        self.name = f"ledger-{uuid.uuid4().hex[:8]}"
        create_ledger(self.dynamo, self.name)
        for item in KEPT["items"]:
            self.dynamo.put_item(TableName=self.name, Item=_decoded(item))
        client(aws, "secretsmanager").create_secret(Name=self.name, SecretString=github.token)
        for number, identity in KEPT["pulls"].items():
            github.world.open_pull(REPOSITORY, number=int(number), id=identity)
            github.world.change_pull(REPOSITORY, int(number), "closed")
        (folder / "closeout.yaml").write_text(CONFIG, "utf-8")
        (folder / "kept.py").write_text(FUNCTIONS, "utf-8")
        (folder / "go").touch()
        self.runtime = StackRuntime(
            LedgerResources(self.name, "bodies", WORKER, "/closeout/worker"),
            partial(load, folder / "closeout.yaml", builtin()),
            directory=folder,
            api_url=github.url,
            region="us-east-1",
            token=self.name,
            client=lambda service: client(aws, service),
            clock=self.clock,
            jitter=lambda: 0.0,
        )
        self.ledger = self.runtime.ledger
        self.runs = {(run["number"], run["attempt"]): run["execution"] for run in KEPT["runs"]}

    def advance(self, number: int, attempt: int = 1) -> dict[str, Any]:
        """Invoke the worker once."""
        return self.runtime.engine.advance(self.runs[number, attempt], lambda: INVOCATION)

    def drive(self, number: int, attempt: int = 1) -> tuple[str, str]:
        """Invoke the worker whenever it asks for it, until the run has ended; return its verdict and summary."""
        for _ in range(50):
            outcome = self.advance(number, attempt)
            if outcome == DONE:
                return self.ending(number, attempt)
            self.clock.advance(max(0.0, outcome["wake"] - self.clock.now()))
        raise AssertionError(f"{number} did not end: {outcome}")

    def ending(self, number: int, attempt: int = 1) -> tuple[str, str]:
        """A run's verdict and summary, as the views show them."""
        run = self.ledger.views.run(self.runs[number, attempt])
        assert run is not None
        return str(run.verdict), str(run.summary)

    def items(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All items by their key."""
        found = self.dynamo.scan(TableName=self.name)["Items"]
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}

    def lines(self, name: str) -> list[str]:
        """The lines of a file that runs write to."""
        path = self.folder / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def last_status(self, number: int) -> tuple[str, str]:
        """The last commit status of a pull request."""
        status = self.github.statuses(REPOSITORY, f"{number:040x}")[-1]
        return status["state"], status["description"]


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: _decoded(part) for name, part in value.items()}
    return [_decoded(part) for part in value] if isinstance(value, list) else value


def _outline(item: dict[str, Any]) -> str:
    """Return the names of an item's attributes, and the values of those that have words or counts of ours."""
    valued = ("kind", "position", "state", "tries", "turn", "verdict")
    return " ".join(
        f"{name}={next(iter(value.values()))}" if name in valued else name
        for name, value in sorted(item.items())
        if name not in {"pk", "sk"}
    )


@pytest.fixture
def upgraded(aws: StackAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upgraded]:
    """The table of the commit before."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "kept", raising=False)
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        for name, value in {
            "NOTES": str(tmp_path / "notes"),
            "GITHUB_API": github.url,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():
            monkeypatch.setenv(name, value)
        yield Upgraded(aws, github, tmp_path)
    sys.modules.pop("kept", None)


def test_every_run_is_shown_as_the_previous_commit_showed_it(upgraded: Upgraded) -> None:
    """The list, each attempt with its steps and plans, the deliveries, and who paused."""
    views = upgraded.ledger.views
    listed = [same(run.to_json()) for run in views.runs()]
    assert [facts(run) for run in listed] == [facts(run) for run in KEPT["list"]]
    states = {(run["state"], run["verdict"]) for run in KEPT["runs"]}
    assert states == {
        ("queued", None), ("running", None), ("waiting", None), ("finished", "success"),
        ("finished", "failure"), ("finished", "cancelled"), ("finished", "skipped"),
    }  # fmt: skip
    for shown in KEPT["runs"]:
        run = views.run(shown["id"], shown["attempt"])
        assert run is not None
        assert facts(same(run.to_json())) == facts(shown)
    assert [known(same(delivery.to_json())) for delivery in views.deliveries()] == KEPT["deliveries"]
    assert upgraded.ledger.switch.paused() == KEPT["paused"]


def test_a_closing_of_the_previous_commit_starts_no_second_run(upgraded: Upgraded, aws: StackAws) -> None:
    """Redelivered through its hook or another one, it finds the run that is named after its GUID."""
    views = upgraded.ledger.views
    automations = load(upgraded.folder / "closeout.yaml", builtin()).automations
    account = AwsClient({**aws.environment(), "AWS_REGION": "us-east-1"}, pause=lambda _: None)
    writer = DeliveryWriter(account, Destination(upgraded.name, "bodies", WORKER, 30), lambda _: None)
    before = {run.execution for run in views.runs()}
    for delivery in KEPT["deliveries"]:
        for hook in (delivery["hook"], "499999"):
            decision = told_again(automations, delivery, views.body(delivery["id"]), hook)
            assert decision.delivery is not None
            assert decision.delivery.closing is not None
            accepted = writer.accept(decision.delivery, decision.runs)
            assert (list(accepted.runs), accepted.duplicate) == (delivery["runs"], True), delivery
    assert {run.execution for run in views.runs()} == before


def test_every_run_of_the_previous_commit_continues_and_repeats_nothing(upgraded: Upgraded) -> None:
    """Each run ends as it would have; its record stays; queues and locks are empty at the end."""
    recorded = {
        key: item
        for key, item in upgraded.items().items()
        if "#operation#" in key[1] and item["state"] != {"S": "waiting"}
    }
    assert upgraded.advance(44)["wake"] > upgraded.clock.now(), "the pause of the commit before still holds"
    assert upgraded.last_status(44) == ("pending", f"paused: {KEPT['paused']}")
    upgraded.ledger.switch.clear_paused()
    assert upgraded.advance(41)["wake"] > upgraded.clock.now(), "40 still has the lock"
    script = ("success", "shell-1: exit code 0")
    assert upgraded.drive(31, 2) == script
    assert upgraded.drive(35)[0] == "cancelled"
    assert upgraded.drive(37) == ("success", "last after first, ready")
    assert upgraded.drive(38) == ("success", "after")
    assert upgraded.drive(39)[0] == "cancelled"
    assert [upgraded.drive(number) for number in (40, 41, 42, 43, 44)] == [script] * 5
    assert upgraded.drive(34) == script
    waited = upgraded.clock.now() - KEPT["now"]
    assert 3_500.0 < waited < 3_600.0, "it waited the rest of its grace"
    items = upgraded.items()
    assert {key: items[key] for key in recorded} == recorded
    notes = upgraded.lines("notes")
    assert notes == ["37 ready", "37 last after first, ready", "38 slow", "38 after"]
    assert sorted(upgraded.lines("tries")) == ["1", "1", "2", "2"], "both scripts that were cut off know it"
    queues = {pk for pk, _ in items if pk.startswith(layout.KEY)}
    assert queues == {"key#done|502000|46"}, "only the run of an unknown definition waits in a queue"
    for number in (31, 34, 40, 41, 42, 43, 44):
        assert upgraded.last_status(number) == script, number
    assert upgraded.last_status(35)[1].startswith("cancelled by ada: left open")
    for number in (32, 33, 36, 45):
        assert upgraded.advance(number) == DONE
        assert upgraded.github.statuses(REPOSITORY, f"{number:040x}") == [], "it has finished"
    # The previous commit did not count runs that found nothing.
    left = {f"{pk} {sk}": _outline(item) for (pk, sk), item in items.items() if pk != "record#empty-runs"}
    assert left == KEPT["left"]


def test_a_definition_that_was_never_deployed_is_still_not_trusted(upgraded: Upgraded) -> None:
    """Its run waits as it did under the previous commit, and continues once that definition is deployed."""
    upgraded.ledger.switch.clear_paused()
    assert "wake" in upgraded.advance(46)
    assert upgraded.github.statuses(REPOSITORY, f"{46:040x}") == []
    run_id = upgraded.runs[46, 1].removesuffix("-1")
    definition = upgraded.items()[f"run#{run_id}", "record#000001#definition"]["definition"]["S"]
    known = layout.known_item(definition_digest(definition), "done", 3600.0)
    upgraded.dynamo.put_item(TableName=upgraded.name, Item=known)
    assert upgraded.drive(46) == ("success", "shell-1: exit code 0")
