"""An emulated account with the stack in it, a fake GitHub that delivers to it, and the ledger as people read it.

What a test or the demo sees of closeout is what its user sees: HTTP answers, commit statuses, runs, log lines, and
the account. Nothing here reaches into a function.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from closeout.adapters.clock import SystemClock
from closeout.core.errors import Unavailable
from closeout.ledger.dynamodb.views import Views
from closeout.stack.table import durable_name
from closeout.testing import deliveries
from closeout.testing.github.server import FakeGitHub
from closeout.wiring.stack_ledger import LedgerResources, StackLedger
from tests.aws.deployment import ROOT, Cdk
from tests.emulator.launcher import Ministack

EMULATOR = ROOT / ".venv-emulator/bin/python"
REPOSITORY = "acme/shop"
TOKEN = "token-of-the-closeout-bot"
PATIENCE = 60.0

Tell = Callable[[str, str], None]
"""Who, and what happened: how the demo hears of each stage."""


class Answer(NamedTuple):
    """What an HTTP request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class World:
    """Starts everything, and deploys the stack with `config`, in which `env:GITHUB_API` is the fake GitHub's address.

    Everything is below `folder`; leaving the context ends all that it started. `context` are parameters of the stack,
    `variables` more of the worker's environment. `source` is the repository whose stack is deployed; `beside` another world
    it is a second stack in that one's account, with a GitHub of its own if `apart`.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        code: Path | None = None,
        context: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        source: Path = ROOT,
        beside: World | None = None,
        apart: bool = False,
        tell: Tell = lambda _who, _text: None,
    ) -> None:
        if not EMULATOR.exists():
            raise Unavailable("The emulator is not installed: run `make setup-aws`.")
        self.folder = folder
        self._stack = ExitStack()
        self._config = config
        self._code = code
        self._source = source
        self._context = dict(context or {})
        self._variables = dict(variables or {})
        self._tell = tell
        self._before: dict[str, str | None] = {}
        self._beside = beside
        self._apart = apart
        self.github: FakeGitHub = (
            FakeGitHub(token=TOKEN, full=True) if beside is None or apart else beside.github
        )
        self.cloud: Ministack = Ministack(EMULATOR, folder) if beside is None else beside.cloud
        self.outputs: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the account and GitHub, deploy, store the token. Raises `Unavailable` with what went wrong."""
        if self._beside is not None:
            self._stack.callback(self._restore)
            if self._apart:
                self._stack.callback(self.github.stop)
                self.github.start()
            self.deploy()
            return self
        self._stack.callback(self.end)
        try:
            self.github.start()
            self._tell("github", f"our fake GitHub at {self.github.url}")
            self._stack.enter_context(self.cloud)
            self._tell(
                "aws", f"emulated account {self.cloud.account}, pid {self.cloud.pid}, {self.cloud.url}"
            )
            self._adopt(self.cloud.environment())
            self.deploy()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def end(self) -> None:
        """Stop GitHub, and return this process its environment back."""
        self.github.stop()
        self._restore()

    def _restore(self) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        self._before.clear()

    # --- the stack ------------------------------------------------------------------------------------

    def deploy(self) -> None:
        """Bootstrap the account and deploy the stack, and do what its user does then: a token, and a webhook."""
        path = self.folder / "closeout.yaml"
        path.write_text(self._config, "utf-8")
        variables = {"GITHUB_API": self.github.url, **self._variables}
        self._adopt(variables)
        self._context["environment"] = json.dumps(variables)
        if self._code is not None:
            self._context["codePath"] = str(self._code)
        self.cdk = Cdk(
            self.cloud, self.folder, {"configFile": str(path), **self._context}, source=self._source
        )
        if self._beside is None:
            said = self.cdk.bootstrap()
            self._tell("cdk", f"bootstrap: the account is ready ({said.seconds:.0f} s)")
        self._tell("cdk", "deploys closed-pr-event-stack; the first time, its bundles are made as well")
        began = time.monotonic()
        self.outputs = self.cdk.deploy()
        self._tell("cdk", f"deploy: closed-pr-event-stack is there ({time.monotonic() - began:.0f} s)")
        secrets = self.cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=self.outputs["GitHubTokenSecretName"], SecretString=TOKEN)
        value = secrets.get_secret_value(SecretId=self.outputs["WebhookSecretName"])
        self.secret = str(value["SecretString"])
        self.webhook = self.cloud.webhook(self.outputs["ApiId"])
        resources = LedgerResources(
            self.outputs["TableName"],
            self.outputs["BucketName"],
            self.outputs["WorkerAlias"],
            self.outputs["LogGroupName"],
        )
        self.ledger = StackLedger(resources, self.cloud.client, SystemClock())

    def deploy_again(self, config: str) -> None:
        """Deploy another configuration over the one that is there."""
        (self.folder / "closeout.yaml").write_text(config, "utf-8")
        self.outputs = self.cdk.deploy()

    @property
    def views(self) -> Views:
        """The ledger as people read it."""
        return self.ledger.views

    def _adopt(self, environment: Mapping[str, str]) -> None:
        """Return this process these variables: GitHub's deliveries must trust the account's certificate."""
        for name, value in environment.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    # --- deliveries -----------------------------------------------------------------------------------

    def add_repository(self, name: str = REPOSITORY, *, events: tuple[str, ...] = ("pull_request",)) -> None:
        """Add a repository to GitHub whose hook delivers to the stack."""
        self.github.world.add_repository(name)
        self.github.add_hook(name, url=self.webhook, secret=self.secret, events=events)

    def open(self, number: int, *, repository: str = REPOSITORY, **options: Any) -> str:
        """Open a pull request; return the commit that its statuses belong to."""
        return str(self.github.world.open_pull(repository, number=number, **options).sha)

    def close(self, number: int, *, repository: str = REPOSITORY) -> dict[str, Any]:
        """Close a pull request; return its delivery, answered."""
        self.github.world.change_pull(repository, number, "closed")
        self.github.sender.settle()
        return next(
            one
            for one in self.github.world.repository(repository).deliveries
            if one["action"] == "closed" and one["request"]["payload"]["number"] == number
        )

    def deliver(
        self,
        payload: Any,
        *,
        event: str = "pull_request",
        guid: str | None = None,
        secret: str | None = None,
        source: str = "127.0.0.1",
        **changes: str | None,
    ) -> Answer:
        """Send a signed delivery of one's own; `changes` replace headers (`_` for `-`), None takes one away."""
        body = payload if isinstance(payload, bytes) else deliveries.encode(payload)
        signed = deliveries.signed_headers(event, body, secret or self.secret, guid or str(uuid.uuid4()))
        headers: dict[str, str | None] = {**signed}
        for name, value in changes.items():
            headers[name.replace("_", "-")] = value
        return self.post(
            body, {name: value for name, value in headers.items() if value is not None}, source=source
        )

    def post(self, body: bytes, headers: Mapping[str, str], *, source: str = "127.0.0.1") -> Answer:
        """Send any request to the webhook."""
        return Answer(*self.cloud.request("POST", self.webhook, body, headers, source=source))

    # --- runs -----------------------------------------------------------------------------------------

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as `closeout runs show --json` does."""
        found = self.views.run(run_id)
        return found.to_json() if found is not None else {"state": "absent", "verdict": None, "steps": []}

    def ended(self, run_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a run has finished; return it. Raises `AssertionError` when patience ends."""
        ended: dict[str, Any] = self.until(
            lambda: self.run(run_id), lambda run: bool(run["state"] == "finished"), patience
        )
        return ended

    def until(
        self, look: Callable[[], Any], enough: Callable[[Any], bool], patience: float = PATIENCE
    ) -> Any:
        """Look until it is enough; return what was seen. Raises `AssertionError` with it when patience ends."""
        deadline = time.monotonic() + patience
        while True:
            seen = look()
            if enough(seen):
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {patience:g} s: {seen}\n{self.cloud.last_output(40)}")
            time.sleep(0.1)

    def statuses(
        self, sha: str, *, repository: str = REPOSITORY, context: str | None = None
    ) -> list[dict[str, Any]]:
        """Return a commit's statuses, the oldest first."""
        return self.github.statuses(repository, sha, context)

    def lines(self, run_id: str) -> list[str]:
        """Return the text of a run's log lines."""
        return [line.text for line in self.views.logs(run_id)]

    def notes(self, number: int, repository: str = "acme/notes") -> list[dict[str, Any]]:
        """Return what the user's functions noted about a pull request, in order."""
        path = self.folder / "notes"
        every = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        return [note for note in every if (note["repository"], note["number"]) == (repository, number)]

    # --- the account ----------------------------------------------------------------------------------

    def make_stack(self, name: str) -> None:
        """Make a stack that a run can delete."""
        template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
        self.cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))

    def has_stack(self, name: str) -> bool:
        """Whether there is a stack of this name."""
        stacks = self.cloud.client("cloudformation").describe_stacks()["Stacks"]
        return any(one["StackName"] == name and one["StackStatus"] != "DELETE_COMPLETE" for one in stacks)

    def function(self, part: str) -> str:
        """Return the name of the stack's function that the template calls `Functions/PART` or `PART/Function`, or names `STACK-PART`."""
        stack, functions = self.cdk.stack, self.cloud.client("lambda").list_functions()["Functions"]
        begins = (f"{stack}-Functions{part}", f"{stack}-{part}Function")
        names = [str(one["FunctionName"]) for one in functions]
        (name,) = [name for name in names if name.startswith(begins) or name == f"{stack}-{part}"]
        return name

    def execution(self, name: str) -> dict[str, Any]:
        """Return a durable execution of the worker, as Lambda lists it."""
        function, _, alias = self.outputs["WorkerAlias"].rpartition(":")
        (found,) = self.cloud.client("lambda").list_durable_executions_by_function(
            FunctionName=function,
            Qualifier=alias,
            DurableExecutionName=durable_name(self.outputs["WorkerAlias"], name),
        )["DurableExecutions"]
        return dict(found)

    def history(self, name: str) -> list[str]:
        """Return what happened in a durable execution of the worker: the types of its events."""
        arn = self.execution(name)["DurableExecutionArn"]
        answer = self.cloud.client("lambda").get_durable_execution_history(DurableExecutionArn=arn)
        return [event["EventType"] for event in answer["Events"]]

    def role_of(self, part: str) -> str:
        """Return the name of a function's role."""
        config = self.cloud.client("lambda").get_function_configuration(FunctionName=self.function(part))
        return str(config["Role"]).rpartition("/")[2]

    def credentials_of(self, part: str) -> dict[str, str]:
        """Return a session of a function's role, as whoever got hold of its credentials has it.

        The role trusts Lambda alone, and for this account: for the moment of asking it trusts the account too.
        """
        iam, role = self.cloud.client("iam"), self.role_of(part)
        found = iam.get_role(RoleName=role)["Role"]
        kept = found["AssumeRolePolicyDocument"]
        owner = {"AWS": f"arn:aws:iam::{self.cloud.account}:root"}
        opened = [*kept["Statement"], {"Effect": "Allow", "Principal": owner, "Action": "sts:AssumeRole"}]
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps({**kept, "Statement": opened}))
        try:
            given = self.cloud.client("sts").assume_role(RoleArn=found["Arn"], RoleSessionName="test")
        finally:
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(kept))
        keys = given["Credentials"]
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
        }
