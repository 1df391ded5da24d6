"""A small world for tests of the run: resources to delete, a pull request that can be reopened, statuses, faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from closeout.actions.spec import Action, Input, Inputs, Limit, Permission, Work
from closeout.core.automation import Automation, Current, Step
from closeout.core.errors import ServiceError
from closeout.core.plan import Change, Leftover
from closeout.core.redact import Redactor
from closeout.core.retry import Backoff
from closeout.ports import AwsTarget, Clients, Ending, Execution, Http, Json, PullRequest, Secrets
from closeout.run.deps import RunDeps
from closeout.run.workflow import make_run_function
from closeout.testing.durable import FakeClock, play
from tests.mortal import MortalDurable

ACCOUNT = "123456789012"
CLOSED_AT = "2026-03-14T09:26:53Z"


def pull_payload(**pull: Any) -> dict[str, Any]:
    """A closed pull request #17 into develop of acme/shop."""
    repository = {"id": 1, "full_name": "acme/shop", "name": "shop", "private": True}
    return {
        "action": "closed",
        "number": 17,
        "pull_request": {
            "id": 1700,
            "number": 17,
            "merged": True,
            "closed_at": CLOSED_AT,
            "title": "A change",
            "labels": [],
            "base": {"ref": "develop", "repo": repository},
            "head": {"ref": "feature", "sha": "a" * 40, "repo": repository},
            **pull,
        },
        "repository": repository,
        "sender": {"login": "dev"},
    }


@dataclass(slots=True)
class World:
    """Everything outside: `resources` exist until deleted; `log` keeps the order of all that happened."""

    resources: set[str] = field(default_factory=lambda: {"preview-17", "preview-17/bucket"})
    undeletable: set[str] = field(default_factory=set)
    pull: PullRequest = field(
        default_factory=lambda: PullRequest(
            1700, 17, "closed", 1, "acme/shop", head_ref="feature", closed_at=CLOSED_AT
        )
    )
    account_id: str = ACCOUNT
    ref_there: bool = False
    refs: set[str] = field(default_factory=set)
    """Refs that are there, as `heads/x`."""
    of_branch: tuple[int, ...] = ()
    """Open pull requests of the head branch."""
    log: list[str] = field(default_factory=list)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    places: list[tuple[str, str, str]] = field(default_factory=list)
    """Repository, commit and context of each status."""
    lines: list[str] = field(default_factory=list)
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    """Errors to raise, first in first out, by the name of the call."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What GitHub answers by path, where it is not the repository."""
    owners: dict[str, str] = field(default_factory=dict)
    """The runs that have a closing, by the run id that the closing gives."""
    before: Callable[[str], None] = lambda _call: None
    """Called before each outside call, with its name: a test changes the world or dies here."""

    def call(self, name: str) -> None:
        self.before(name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)
        self.log.append(name)


def unreachable(service: str = "github") -> ServiceError:
    return ServiceError("no answer", service=service, operation="x", reason="ConnectTimeout", transient=True)


@dataclass(slots=True)
class WorldGitHub:
    """`ports.GitHub` over the world."""

    world: World

    def create_status(
        self, repository: str, sha: str, *, state: str, context: str, description: str, target_url: str | None
    ) -> None:
        self.world.call(f"status {state}")
        assert len(description) <= 140
        self.world.statuses.append((state, description))
        self.world.places.append((repository, sha, context))

    def pull_request(self, repository: str, number: int) -> PullRequest:
        self.world.call("read pull request")
        return self.world.pull

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        self.world.call("read files")
        return ("src/app.py",)

    def open_pull_requests(self, repository: str, branch: str) -> tuple[int, ...]:
        self.world.call(f"list pull requests of {branch} in {repository}")
        return self.world.of_branch

    def ref_exists(self, repository: str, ref: str) -> bool:
        self.world.call("read ref")
        return self.world.ref_there or ref in self.world.refs

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        self.world.call(f"{method} {path}")
        return self.world.answers.get(path, {"id": 1, "owner": {"id": 9}})


@dataclass(slots=True)
class WorldClients:
    """`ports.Clients` and `ports.ClientFactory` over the world."""

    world: World

    def for_step(self, target: AwsTarget | None) -> Clients:
        return self

    def aws(self, service: str) -> Any:
        return self.world

    def account(self) -> str:
        self.world.call("account")
        return self.world.account_id

    @property
    def github(self) -> WorldGitHub:
        return WorldGitHub(self.world)

    @property
    def http(self) -> Http:
        raise NotImplementedError

    @property
    def secrets(self) -> Secrets:
        raise NotImplementedError


def _plan(inputs: Inputs, clients: Clients) -> Sequence[Change]:
    world: World = clients.aws("x")
    world.call("plan")
    name = str(inputs["name"])
    found = sorted(r for r in world.resources if r == name or r.startswith(name + "/"))
    return [
        Change(
            verb="delete",
            resource=r,
            reason="test",
            identity={"name": r},
            part_of=None if r == name else name,
        )
        for r in found
    ]


def _apply(change: Change, inputs: Inputs, work: Work) -> Json:
    world: World = work.clients.aws("x")
    name = str(change.identity["name"])

    def delete() -> Json:
        world.call(f"delete {name}")
        if name not in world.undeletable:
            world.resources -= {r for r in world.resources if r == name or r.startswith(name + "/")}
        return {}

    work.change("delete", delete)

    def gone() -> Json | None:
        world.call("poll")
        return {"gone": True} if name not in world.resources or name in world.undeletable else None

    work.wait_until("gone", gone, Backoff(first=5))
    return {"summary": f"deleted {name}"}


def _verify(changes: Sequence[Change], clients: Clients) -> Sequence[Leftover]:
    world: World = clients.aws("x")
    world.call("verify")
    return [
        Leftover(resource=c.resource, reason="still there") for c in changes if c.resource in world.resources
    ]


def _permissions(inputs: Inputs) -> tuple[Permission, ...]:
    return ()


DELETE = Action(
    uses="test/delete",
    summary="Delete a thing of the world",
    description="",
    inputs={"name": Input(type="string", description="", required=True, names=True)},
    destructive="always",
    permissions=_permissions,
    plan=_plan,
    apply=_apply,
    verify=_verify,
    absent=lambda inputs: f"thing {inputs['name']}",
)


def step(name: str = "preview-${{ event.pull_request.number }}", **more: Any) -> Step:
    return Step(
        **{
            "id": "delete-1",
            "name": "",
            "uses": "test/delete",
            "inputs": {"name": name},
            "timeout": 600.0,
            "retry_attempts": 3,
            "retry_backoff": 1.0,
            "destructive": True,
            "account": ACCOUNT,
            "region": "eu-central-1",
            **more,
        }
    )


AUTOMATION = Automation(
    name="preview-cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    repositories=("acme/shop",),
    steps=(step(),),
    status_context="closeout/preview-cleanup",
)


@dataclass(slots=True)
class Scene:
    """One execution in one world: change what you like, then `play`."""

    world: World = field(default_factory=World)
    automation: Automation = AUTOMATION
    current: Automation | None = None
    gone: Callable[[], bool] = lambda: False
    """Whether today's file has lost the automation."""
    file_protects: tuple[str, ...] = ()
    """The file-level `protect` of today."""
    reads_current: Callable[[], None] = lambda: None
    """Called each time that today's form is asked for; may raise."""
    payload: dict[str, Any] = field(default_factory=pull_payload)
    event: str = "pull_request"
    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    queue_expired: bool = False
    unreadable: str | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    paused: Callable[[], str | None] = lambda: None
    has_token: bool = True
    longest_call: Limit | None = None
    attempt: int = 1
    deleted_before: Callable[[str, int, bool], bool] = lambda _run_id, _attempt, _closings: False
    actions: dict[str, Action] = field(default_factory=lambda: {"test/delete": DELETE})
    durable: MortalDurable = field(init=False)

    def __post_init__(self) -> None:
        self.durable = MortalDurable(self.clock)

    def deps(self) -> RunDeps:
        world = self.world
        paused = self.paused

        def current(_name: str) -> Current:
            self.reads_current()
            found = None if self.gone() else self.current or self.automation
            return Current(found, self.file_protects)

        class Lines:
            def write(self, execution: str, step: str | None, text: str) -> None:
                world.lines.append(text)

        class Pause:
            def paused(self) -> str | None:
                return paused()

        clients = WorldClients(world)
        return RunDeps(
            actions=self.actions,
            clients=clients,
            github=clients.github,
            journal=Lines(),
            clock=self.clock,
            switch=Pause(),
            redact=Redactor(["hunter2hunter2"]),
            current=current,
            functions=self.functions,
            details=lambda execution: f"http://localhost/runs/{execution.run_id}",
            directory=Path(),
            has_token=self.has_token,
            claim_closing=lambda _closing, run_id, owner: world.owners.setdefault(run_id, owner),
            longest_call=self.longest_call,
            deleted_before=self.deleted_before,
        )

    def execution(self) -> Execution:
        return Execution(
            id="r" * 26 + f"-{self.attempt}",
            run_id="r" * 26,
            attempt=self.attempt,
            automation=self.automation.name,
            definition=self.automation.canonical(),
            event_name=self.event,
            delivery=1,
            guid="g",
            hook="1",
            body=b"" if self.unreadable else json.dumps(self.payload).encode(),
            accepted_at=self.clock.now(),
            queue_expired=self.queue_expired,
            unreadable=self.unreadable,
        )

    def play(self) -> Ending:
        return play(make_run_function(self.deps()), self.durable, self.execution())

    def with_automation(self, **changes: Any) -> Scene:
        self.automation = replace(self.automation, **changes)
        return self
