"""A stack that patrol watches: its function over emulated AWS and a fake GitHub, with a clock that tests move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import ServiceError
from closeout.core.units import HOUR
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.patrol.report import Report
from closeout.ports import RunView
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.stack_patrols import RoundResult, StackPatrols, open_stack_patrols
from tests.direct import no_sockets
from tests.stack_aws import StackAws
from tests.unit.wiring.stack_world import REGION, REPOSITORY, StackWorld

TOKEN = "a-token-that-nobody-may-see"
WORKER = "arn:aws:lambda:eu-central-1:123456789012:function:worker:live"


class Starts:
    """Stands in for Lambda's Invoke, which moto does not have for durable functions; it refuses while `down`."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.down = False

    def start(self, name: str) -> str:
        """Note a start."""
        if self.down:
            raise ServiceError(
                "Rate exceeded", service="lambda", operation="Invoke", reason="TooManyRequestsException"
            )
        self.started.append(name)
        return f"{WORKER[:-5]}:1/durable-execution/{name}/id"

    def invoke(self, **given: Any) -> dict[str, str]:
        """Answer as boto3's client."""
        return {"DurableExecutionArn": self.start(given["DurableExecutionName"])}


class Receiving(AwsClient):
    """The receiver's client, whose starts are noted."""

    def __init__(self, starts: Starts) -> None:
        super().__init__(pause=lambda _seconds: None)
        self._starts = starts

    def invoke(self, function: str, payload: bytes, execution: str) -> str | None:
        """Note a start."""
        return self._starts.start(execution)


class Scene:
    """The stack, and patrols over it."""

    def __init__(self, world: StackWorld, clock: FakeClock) -> None:
        self.world = world
        self.clock = clock
        self._client = cache(world.client)
        self.starts = Starts()
        self.pause: Callable[[float], None] = lambda _seconds: None
        self.settings = '{"deliveries": 300.0, "limit": 10, "state": 3600.0}'
        self.webhook = "https://stack.example/webhook"
        world.deploys()
        self.patrols = self.function()

    def function(self) -> StackPatrols:
        """Return what another environment of the function composes."""
        variables = {
            **self.world.variables(),
            "CLOSEOUT_WORKER": WORKER,
            "CLOSEOUT_STACK": "stack",
            "CLOSEOUT_WEBHOOK_URL": self.webhook,
            "CLOSEOUT_PATROL": self.settings,
        }
        writer = DeliveryWriter(
            Receiving(self.starts), Destination("ledger", "bodies", WORKER, 30), lambda _: None
        )

        def client(service: str) -> Any:
            return self.starts if service == "lambda" else self._client(service)

        return open_stack_patrols(writer.accept, variables, client=client, clock=self.clock, pause=self.pause)

    def patrol(self, execution: str = "one", *, everything: bool = False, left: float = 900.0) -> Report:
        """Make a round an hour later, with another environment."""
        return self.round(lambda: left, execution, everything=everything).report

    def round(
        self, left: Callable[[], float] = lambda: 900.0, execution: str = "one", *, everything: bool = False
    ) -> RoundResult:
        """Make a round an hour later, with another environment; return all that comes of it."""
        self.clock.advance(HOUR)
        made = self.function().patrol(execution, left, everything=everything)
        assert made is not None
        return made

    def closes(self, number: int) -> None:
        """Close a pull request that nobody tells of, some time after whatever happened before."""
        self.clock.advance(5)
        github = self.world.github.world
        github.open_pull(REPOSITORY, number=number)
        github.change_pull(REPOSITORY, number, "closed")

    def runs(self) -> list[RunView]:
        """Return all runs."""
        return self.patrols.ledger.views.runs()


@pytest.fixture(scope="module")
def emulator() -> Iterator[StackAws]:
    """An emulator in this process."""
    with StackAws(delete_seconds=0.1) as server, no_sockets(server):
        yield server


@pytest.fixture
def scene(emulator: StackAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A stack that patrol has begun to watch."""
    emulator.reset()
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    clock = FakeClock(float(int(time.time())))
    with FakeGitHub(token=TOKEN, now=clock.now) as github:
        made = Scene(StackWorld(emulator, github, tmp_path, token=TOKEN), clock)
        assert made.patrol().errors == []
        yield made
