"""Rechecks on AWS: what an execution of patrol's function checks, when, and what it starts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from closeout.config.typed_deletes import again
from closeout.core import runs
from closeout.core.automation import Automation
from closeout.core.errors import ServiceError
from closeout.ledger.dynamodb.starts import start_by_name
from closeout.ports import Operation, PullRequest, RunView
from closeout.run.recheck import BY, RETRY, TRIES
from closeout.stack.closings import closing_items
from closeout.stack.table import REMOVAL_KEY
from closeout.wiring.stack_ledger import LedgerResources, StackLedger
from closeout.wiring.stack_rechecker import StackRechecker
from closeout.wiring.stack_rechecks import START_WITHIN, RecheckStarts
from tests.contract.conftest import aws
from tests.contract.remote_harness import BUCKET, GROUP, WORKER, RemoteBench, client, run_name
from tests.stack_aws import StackAws
from tests.unit.run.world import AUTOMATION, Scene, pull_payload, step, unreachable

__all__ = ["aws"]
HOUR, DAY = 3_600.0, 86_400.0
RUN = run_name("cleanup")
PATROL = "arn:aws:lambda:us-east-1:123456789012:function:patrol:live"


class Lambda:
    """Lambda's client: keeps what was started, once by its name."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[str, Any]] = {}
        self.faults: list[Exception] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        if self.faults:
            raise self.faults.pop(0)
        name = call["DurableExecutionName"]
        if name in self.started:
            raise failed("DurableExecutionAlreadyStartedException")
        self.started[name] = call["FunctionName"], json.loads(call["Payload"])
        return {"DurableExecutionArn": f"{call['FunctionName']}/durable-execution/{name}/1"}

    @property
    def events(self) -> list[Any]:
        return [event for _, event in self.started.values()]


class Unsteady:
    """DynamoDB's client, which does not answer while it is `down`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.down = False

    def __getattr__(self, name: str) -> Any:
        if self.down:
            raise failed("InternalServerError", transient=True)
        return getattr(self._client, name)


def failed(reason: str, *, transient: bool = False) -> ServiceError:
    return ServiceError(reason, service="lambda", operation="Invoke", reason=reason, transient=transient)


@dataclass(slots=True)
class Bench:
    """A table with a teardown of #17 that has just succeeded, and the world that a recheck looks at."""

    remote: RemoteBench
    scene: Scene
    functions: Lambda = field(default_factory=Lambda)
    told: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    dynamo: Unsteady = field(init=False)
    ledger: StackLedger = field(init=False)
    rechecker: StackRechecker = field(init=False)

    def __post_init__(self) -> None:
        self.dynamo = Unsteady(self.remote.dynamo)
        own = {"lambda": self.functions, "dynamodb": self.dynamo}

        def service(name: str) -> Any:
            return own.get(name) or client(self.remote.aws, name)

        resources = LedgerResources(self.remote.name, BUCKET, WORKER, GROUP)
        self.ledger = StackLedger(resources, service, self.scene.clock)
        self.rechecker = StackRechecker(
            self.ledger, self.scene.deps(), self.told.append, self.given_up.append
        )
        self.deploys(self.scene.automation)

    def deploys(self, automation: Automation) -> None:
        """Have this form deployed, with what further attempts carry out."""
        self.scene.automation = automation
        self.rechecker = StackRechecker(
            self.ledger, self.scene.deps(), self.told.append, self.given_up.append
        )
        for one in (automation, again(automation, self.scene.actions)):
            self.remote.know(one.canonical(), automation.name)

    def accepts(self, name: str = "cleanup", *, action: str = "closed", number: int = 17) -> str:
        """A delivery of a closing, or of another event, and its run."""
        canonical = replace(self.scene.automation, name="cleanup").canonical()
        execution = self.remote.accept(
            name, body=json.dumps(pull_payload()).encode(), definition=canonical, at=self.scene.clock.now()
        )
        about = {"event": "pull_request", "repository": "acme/shop", "received_at": self.scene.clock.now()}
        about |= {"action": action, "number": number}
        for item in closing_items(about, name, [run_name(name)], None):
            self.remote.dynamo.put_item(TableName=self.remote.name, Item=item)
        changes = {"automation": "cleanup", "action": action, "number": number}
        for key, value in changes.items():
            self.remote.dynamo.update_item(
                TableName=self.remote.name,
                Key={"pk": {"S": f"run#{run_name(name)}"}, "sk": {"S": "attempt#000001"}},
                UpdateExpression="SET #name = :value",
                ExpressionAttributeNames={"#name": key},
                ExpressionAttributeValues={":value": {"N": str(value)} if key == "number" else {"S": value}},
            )
        delivery = {
            "event": "pull_request",
            "action": action,
            "repository": "acme/shop",
            "number": number,
            "received_at": self.scene.clock.now(),
        }
        for item in closing_items(delivery, name, [run_name(name)], None):
            self.remote.dynamo.put_item(TableName=self.remote.name, Item=item)
        return execution

    def ends(self, execution: str, verdict: str = "success", *operations: Operation) -> None:
        """The end of an execution."""
        store, now = self.remote.store, self.scene.clock.now()
        found = store.read(execution)
        assert found is not None
        taken = found._replace(run=runs.advance(found.run, runs.Taken("own", now)), fencing_token="x")
        assert store.take(found, taken, hold=False, leave=False)
        for operation in operations:
            assert store.save(taken, taken.run, (operation,), "seal")
        after = runs.advance(taken.run, runs.Ended(verdict, "deleted", now))
        assert store.finish(taken, after)

    def later(self, *operations: Operation) -> None:
        """The end of the latest attempt."""
        self.ends(self.run().execution, "success", *operations)

    def run(self) -> RunView:
        found = self.ledger.views.run(RUN)
        assert found is not None
        return found

    def follow(self, asked: dict[str, Any], until: float = 3 * DAY) -> list[float]:
        """Carry an execution on to its end, or for some time; return after which seconds it went on."""
        begin, at = self.scene.clock.now(), list[float]()
        state: dict[str, Any] = {}
        for _ in range(60):
            state = json.loads(json.dumps(self.rechecker.advance(asked, state)))
            if "wake" not in state or state["wake"] > begin + until:
                break
            self.scene.clock.advance(state["wake"] - self.scene.clock.now())
            at.append(self.scene.clock.now() - begin)
        else:
            raise AssertionError(f"it goes on and on: {at}")
        return at

    def rechecks(self, attempt: int = 1, until: float = 3 * DAY) -> list[float]:
        """Carry the rechecks of an attempt on."""
        return self.follow({"run_id": RUN, "attempt": attempt}, until)


@pytest.fixture
def bench(aws: StackAws) -> Bench:
    """A teardown of #17 that has just succeeded; nothing is there any more."""
    aws.reset()
    scene = Scene(automation=replace(AUTOMATION, name="cleanup"))
    scene.world.resources.clear()
    made = Bench(RemoteBench(aws, clock=scene.clock), scene)
    made.ends(made.accepts())
    return made


def planned(*, dry_run: bool = False) -> Operation:
    """The plan of the step, which names the preview."""
    plan = {"changes": [{"verb": "delete", "resource": "preview-17"}], "dry_run": dry_run}
    return Operation("delete-1/plan", 1, "record", "ok", json.dumps(plan), 1, None, 0.0, 0.0)


DELETED = Operation("delete-1/delete", 2, "wait", "ok", "{}", 1, None, 0.0, 0.0)


def test_a_recheck_that_finds_nothing_leaves_no_trace(bench: Bench) -> None:
    """It checks at the three times, and only then."""
    assert bench.rechecks() == [900.0, HOUR, DAY]
    assert bench.scene.world.log.count("plan") == 3
    assert (bench.run().attempt, bench.functions.started, bench.told) == (1, {}, [])
    assert not [entry for entry in bench.scene.world.log if entry.startswith("delete")]


def test_a_later_deployment_is_deleted_by_a_further_attempt(bench: Bench) -> None:
    """It starts on the worker by its name, with a deployed definition; its own rechecks follow."""
    bench.scene.world.resources.add("preview-17")
    assert bench.rechecks() == [900.0]
    run = bench.run()
    assert (run.attempt, run.state, run.requested_by) == (2, "queued", BY)
    assert [resources for resources, _ in bench.functions.started.values()] == [WORKER]
    assert bench.functions.events == [{"execution": f"{RUN}-2"}]
    assert bench.told[0].startswith("acme/shop#17 was deployed after it was closed (preview-17)")
    definition, _ = bench.remote.store.recorded(RUN, 2)
    assert Automation.from_canonical(str(definition)).late
    bench.later(planned(), DELETED)
    assert bench.rechecks(2, until=900.0) == [900.0]


def test_a_further_attempt_that_deleted_nothing_keeps_the_times_of_the_first(bench: Bench) -> None:
    """Otherwise a find that no attempt may delete would start attempts forever."""
    bench.scene.world.resources.add("preview-17")
    for attempt, seconds in enumerate([900.0, HOUR - 900.0, DAY - HOUR], start=1):
        assert bench.rechecks(attempt) == [seconds]
        bench.later(planned())
    assert bench.run().attempt == 4
    assert bench.rechecks(4) == []


def test_a_reopened_pull_request_voids_the_rechecks(bench: Bench) -> None:
    """Its preview is in use."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.pull = PullRequest(1700, 17, "open", 1)
    bench.rechecks()
    assert ("plan" in bench.scene.world.log, bench.run().attempt) == (False, 1)


def test_the_run_of_a_later_closing_has_its_own_rechecks(bench: Bench) -> None:
    """A skipped one has none, nor has a run of another event or pull request."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.clock.advance(60)
    bench.accepts("labeled", action="labeled")
    bench.accepts("other", number=18)
    bench.accepts("later")
    assert bench.rechecks(until=850.0) == [840.0]
    assert bench.run().attempt == 1
    bench.ends(f"{run_name('later')}-1", "skipped")
    bench.rechecks(until=HOUR)
    assert bench.run().attempt == 2


@pytest.mark.parametrize("change", [{"inputs": {"name": "preview-17"}}, {"region": "eu-west-1"}])
def test_a_changed_name_is_not_searched(bench: Bench, change: dict[str, Any]) -> None:
    """A closing from another time must not delete by today's deployment; the log says so once."""
    bench.scene.world.resources.add("preview-17")
    before = bench.scene.automation
    bench.deploys(replace(before, steps=tuple(replace(one, **change) for one in before.steps)))
    assert bench.rechecks() == [900.0]
    assert "plan" not in bench.scene.world.log
    assert bench.told == [f"run {RUN} is not rechecked: the deletes of cleanup have changed since it ran"]


@pytest.mark.parametrize("change", [{"recheck": ()}, {"mode": "dry-run"}, {"steps": (step(uses="shell"),)}])
def test_without_typed_deletes_there_is_no_recheck(bench: Bench, change: dict[str, Any]) -> None:
    """Nor in a dry run, nor if the deployed file says `off`."""
    bench.deploys(replace(bench.scene.automation, **change))
    assert bench.rechecks() == []


def test_steps_with_a_role_of_their_own_are_left_out(bench: Bench) -> None:
    """Patrol's function may assume none: each could delete."""
    role = "arn:aws:iam::123456789012:role/other"
    bench.scene.world.resources.add("preview-17")
    steps = tuple(replace(one, assume_role=role) for one in bench.scene.automation.steps)
    bench.deploys(replace(bench.scene.automation, steps=steps))
    bench.ends(bench.accepts("assumes"))
    bench.follow({"run_id": run_name("assumes"), "attempt": 1})
    assert "plan" not in bench.scene.world.log


def test_a_dry_run_has_no_rechecks(bench: Bench) -> None:
    """What it only planned must not be deleted later."""
    bench.scene.world.resources.add("preview-17")
    bench.ends(bench.accepts("dry"), "success", planned(dry_run=True))
    assert bench.follow({"run_id": run_name("dry"), "attempt": 1}) == []


def test_a_recheck_without_an_answer_is_repeated(bench: Bench) -> None:
    """Unknown is neither gone nor there; after ten attempts the log says so, and the next time applies."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.faults["read pull request"] = [unreachable()]
    bench.scene.world.faults["plan"] = [unreachable("aws")]
    assert bench.rechecks() == [900.0, 900.0 + RETRY, 900.0 + 3 * RETRY]
    assert bench.run().attempt == 2
    bench.later(planned(), DELETED)
    bench.scene.world.faults["plan"] = [unreachable("aws")] * TRIES
    assert len(bench.rechecks(2)) == TRIES + 1
    assert bench.given_up == [f"the recheck of run {RUN} is given up: no answer"]
    assert bench.run().attempt == 3


def test_an_outage_of_the_ledger_is_waited_for(bench: Bench) -> None:
    """A bug ends these rechecks, with a message."""
    asked = {"run_id": RUN, "attempt": 1}
    bench.dynamo.down = True
    state = bench.rechecker.advance(asked, {})
    assert state == {"tries": 1, "wake": bench.scene.clock.now() + RETRY}
    assert "wake" not in bench.rechecker.advance(asked, {"tries": TRIES - 1})
    assert "is given up: the ledger did not answer" in bench.given_up.pop()
    bench.dynamo.down = False
    assert "times" in bench.rechecker.advance(asked, state)
    assert "wake" not in bench.rechecker.advance({"run_id": 7}, {})
    assert "failed: KeyError" in bench.given_up.pop()


def test_an_attempt_that_failed_to_start_is_started_by_the_next_recheck(bench: Bench) -> None:
    """Otherwise the run would wait forever, and its key with it."""
    bench.scene.world.resources.add("preview-17")
    bench.functions.faults = [failed("TooManyRequestsException", transient=True)]
    assert bench.rechecks() == [900.0, 900.0 + RETRY]
    assert (bench.run().attempt, bench.functions.events) == (2, [{"execution": f"{RUN}-2"}])


def test_a_definition_that_was_not_deployed_starts_no_attempt(bench: Bench) -> None:
    """The worker would not run it; a deployment within a day repairs that."""
    bench.scene.world.resources.add("preview-17")
    before = bench.scene.automation
    bench.scene.automation = replace(before, max_changes=7)
    bench.rechecker = StackRechecker(
        bench.ledger, bench.scene.deps(), bench.told.append, bench.given_up.append
    )
    bench.rechecks(until=901.0)
    assert (bench.run().attempt, bench.functions.started) == (1, {})
    bench.deploys(bench.scene.automation)
    bench.rechecks(until=HOUR)
    assert bench.run().attempt == 2


# --- what starts them -----------------------------------------------------------------------------------------


def starts(bench: Bench) -> RecheckStarts:
    now = bench.scene.clock.now
    return RecheckStarts(partial(start_by_name, bench.functions, now), PATROL, now, bench.told.append)


def ended(bench: Bench, name: str = "cleanup") -> None:
    record = bench.remote.store.read(f"{run_name(name)}-1")
    assert record is not None
    starts(bench).ended(record)


def test_a_teardown_starts_its_rechecks_once(bench: Bench) -> None:
    """Named by the run and its attempt, so that a repeated invocation starts no second ones."""
    ended(bench)
    ended(bench)
    ((name, started),) = bench.functions.started.items()
    assert started == (PATROL, {"recheck": {"attempt": 1, "run_id": RUN}})
    assert name.endswith(f"-recheck-{RUN}-1")
    assert len(name) <= 64


@pytest.mark.parametrize(
    ("verdict", "action"), [("failure", "closed"), ("skipped", "closed"), ("success", "labeled")]
)
def test_other_runs_start_no_rechecks(bench: Bench, verdict: str, action: str) -> None:
    """Nor do those of an automation without rechecks."""
    bench.ends(bench.accepts("other", action=action), verdict)
    ended(bench, "other")
    bench.scene.automation = replace(bench.scene.automation, recheck=())
    bench.ends(bench.accepts("without"))
    ended(bench, "without")
    assert bench.functions.started == {}


def test_a_start_that_lambda_throttles_is_repeated(bench: Bench) -> None:
    """For ten minutes. Without patrol's function or permission the run ends normally, and the log says so."""
    busy = failed("TooManyRequestsException", transient=True)
    bench.functions.faults = [
        busy,
        busy,
        failed("AccessDeniedException"),
        failed("ResourceNotFoundException"),
    ]
    with pytest.raises(ServiceError):
        ended(bench)
    assert bench.told == []
    bench.scene.clock.advance(START_WITHIN + 1)
    for told in (
        "cannot be started: TooMany",
        "cannot be started: Access",
        "does not exist; deploy the stack again",
    ):
        ended(bench)
        assert told in bench.told.pop()
    assert bench.functions.started == {}


def test_a_late_deploy_brings_a_recheck_forward(bench: Bench) -> None:
    """At once for every teardown of the pull request, but once a minute at most."""
    bench.scene.world.resources.add("preview-17")
    for repository, number in (("acme/shop", 17), ("Acme/Shop", 17), ("acme/shop", 18)):
        starts(bench).recheck_now(repository, number)
    asked = [event["recheck"] for event in bench.functions.events]
    assert asked == [{"repository": "acme/shop", "number": 17}, {"repository": "acme/shop", "number": 18}]
    assert bench.follow(asked[1]) == []
    assert bench.run().attempt == 1
    assert bench.follow({"repository": "Acme/Shop", "number": 17}) == []
    assert bench.run().attempt == 2
    bench.scene.clock.advance(60)
    starts(bench).recheck_now("acme/shop", 17)
    assert bench.follow(asked[0]) == []  # the attempt that deletes it is under way
    assert bench.run().attempt == 2
    assert len(bench.functions.started) == 4


def test_a_recheck_brought_forward_is_repeated_too(bench: Bench) -> None:
    """Like any other."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.faults["plan"] = [unreachable("aws")]
    assert bench.follow({"repository": "acme/shop", "number": 17}) == [RETRY]
    assert bench.run().attempt == 2


def test_a_deleted_stack_has_no_rechecks(bench: Bench) -> None:
    """Lambda deletes a function only once its executions have ended, and these would wait for days."""
    bench.remote.dynamo.put_item(TableName=bench.remote.name, Item=REMOVAL_KEY)
    bench.scene.world.resources.add("preview-17")
    assert bench.rechecks() == []
    assert bench.run().attempt == 1
