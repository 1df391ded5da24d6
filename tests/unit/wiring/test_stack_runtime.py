"""The worker's composition on AWS: the entire workflow through invocations, and the runs that Lambda gave up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from closeout.core.errors import Unavailable
from closeout.lambdas import failed_executions
from closeout.ledger.dynamodb.table import put
from closeout.ports import AwsTarget, Ending
from closeout.stack.console import run_log_url
from closeout.stack.table import REMOVAL_KEY, named_execution, without_stack
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.clients import SharedClients
from tests.direct import no_sockets
from tests.stack_aws import StackAws
from tests.unit.actions.aws import previews
from tests.unit.wiring.stack_world import REGION, StackWorld

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    """The time of the worker and of AWS, which moves when a run waits."""
    return FakeClock(time.time())


@pytest.fixture(scope="module")
def emulator(clock: FakeClock) -> Iterator[StackAws]:
    """An emulator in this process."""
    with StackAws(delete_seconds=0.1, clock=clock.now) as server, no_sockets(server):
        yield server


@pytest.fixture
def aws(emulator: StackAws, monkeypatch: pytest.MonkeyPatch) -> StackAws:
    """An empty account, and the environment in which any client talks to it."""
    emulator.reset()
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A GitHub that knows the token."""
    with FakeGitHub(token=TOKEN) as github:
        yield github


@pytest.fixture
def world(aws: StackAws, github: FakeGitHub, tmp_path: Path, clock: FakeClock) -> StackWorld:
    """The stack."""
    return StackWorld(aws, github, tmp_path, token=TOKEN, clock=clock)


def preview(world: StackWorld) -> Any:
    """Deploy the preview of pull request 17; return clients of its account."""
    clients = world.runtime.deps.clients.for_step(AwsTarget("123456789012", "us-east-1", None))
    previews.create(clients)
    previews.fill(clients)
    return clients


class Sequentially:
    """Calls one function after the other."""

    def __init__(self, *calls: Callable[[str], None]) -> None:
        self._calls = calls

    def __call__(self, value: str) -> None:
        for call in self._calls:
            call(value)


def changed(execution: str, status: str) -> dict[str, Any]:
    """EventBridge's event, as AWS's documentation shows it."""
    version = f"arn:aws:lambda:{REGION}:123456789012:function:worker:1"
    return {
        "source": "aws.lambda",
        "detail-type": "Durable Execution Status Change",
        "detail": {
            "durableExecutionArn": f"{version}/durable-execution/{execution}/00000000",
            "durableExecutionName": execution,
            "functionArn": version,
            "status": status,
            "startTimestamp": "2025-11-20T13:08:22.345Z",
            "endTimestamp": "2025-11-20T14:08:22.345Z",
        },
    }


def dead_letter(*messages: Any) -> dict[str, Any]:
    """A batch of the dead-letter queue."""
    return {
        "Records": [
            {"body": message if isinstance(message, str) else json.dumps(message)} for message in messages
        ]
    }


def handle(world: StackWorld, event: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """Call the handler of failed executions in an environment of its own."""
    until = world.clock.now() + seconds
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: (until - world.clock.now()) * 1000)
    runtime = world.environment(modules=False, drain=failed_executions.DRAIN)
    runtime.engine.pause = world.clock.advance
    return failed_executions.handle(event, context, runtime)


# --- runs ---------------------------------------------------------------------------------------------------


def test_a_closed_pull_request_tears_its_preview_down(
    world: StackWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """pending, then success with a link to the run's lines; the preview is gone, and the token in no line."""
    clients = preview(world)
    execution, sha = world.closes()
    ending = world.drive(execution)
    assert ending.verdict == "success"
    assert ending.summary.startswith("deleted stack preview-17")
    assert previews.bucket_names(clients) == {"bodies"}
    statuses = world.statuses(sha)
    assert statuses[0][0] == "pending"
    assert statuses[-1] == ("success", ending.summary)
    run_id = execution.rpartition("-")[0]
    row = world.runtime.ledger.store.look(execution)
    assert row is not None
    url = world.github.statuses("acme/shop", sha)[-1]["target_url"]
    assert url == run_log_url(REGION, "/closeout/worker", run_id, row.accepted_at)
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    assert {line["run"] for line in lines} == {run_id}
    assert any("verified in the account" in line["text"] for line in lines)
    assert [line["verdict"] for line in lines if "verdict" in line] == ["success"]
    assert TOKEN not in printed
    assert all(entry["token"] for entry in world.github.requests())


def test_the_secrets_of_steps_are_known_before_the_first_step(
    world: StackWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script may print what a later step is to read; `pending` does not wait for Secrets Manager."""
    world.client("secretsmanager").create_secret(Name="preview/key", SecretString="the-key-of-a-later-step")
    world.adds(
        "{ uses: shell, destructive: false, with: { run: 'echo the-key-of-a-later-step; false' } }",
        "{ uses: http/request, with: { method: DELETE, url: 'http://127.0.0.1:9/', secret-headers:"
        " { X-Key: 'aws-secretsmanager:preview/key' } }, if: 'false' }",
    )
    world.runtime = world.environment()
    order: list[str] = []
    world.runtime._clients.secrets.on_value = Sequentially(order.append, world.runtime.redactor.add)
    execution, sha = world.closes()
    world.drive(execution)
    assert order[:2] == [TOKEN, "the-key-of-a-later-step"]
    assert world.statuses(sha)[0][0] == "pending"
    printed = capsys.readouterr().out
    assert "the-key-of-a-later-step" not in printed
    assert "*** (exit code 1)" in printed


def test_secrets_by_name_are_in_the_stacks_region(world: StackWorld) -> None:
    """The file's `region` says where the resources are: a token that was there before has a name and no ARN here."""
    world.runtime = world.environment(secret="stack/github-token")
    execution, sha = world.closes()
    assert world.drive(execution).verdict == "success"
    assert world.statuses(sha)[0][0] == "pending"


def test_a_run_continues_in_another_environment(world: StackWorld) -> None:
    """Every invocation may be a cold start: nothing of a run is kept in memory."""
    preview(world)
    world.aws.stack_status("preview-17", "UPDATE_IN_PROGRESS", seconds=600, then="UPDATE_COMPLETE")
    execution, _ = world.closes()
    assert world.advance(execution) is not None
    world.aws.stack_status("preview-17", "UPDATE_IN_PROGRESS", seconds=0, then="UPDATE_COMPLETE")
    world.runtime = world.environment()
    assert world.drive(execution).verdict == "success"


def test_a_secret_without_a_value_fails_the_run_by_name(
    aws: StackAws, github: FakeGitHub, tmp_path: Path, clock: FakeClock
) -> None:
    """A stack that was deployed and never given a token deletes nothing, and its log says which secret is empty."""
    world = StackWorld(aws, github, tmp_path, token=None, clock=clock)
    clients = preview(world)
    execution, _ = world.closes()
    ending = world.drive(execution)
    assert ending.verdict == "failure"
    assert "stack/github-token" in ending.summary
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_a_module_that_cannot_be_imported_fails_the_run_after_pending(world: StackWorld) -> None:
    """`pending` does not wait for the user's modules, and no step begins without them."""
    clients = preview(world)
    execution, sha = world.closes()
    world.add_broken_module()
    world.runtime = world.environment()
    ending = world.drive(execution)
    assert ending.verdict == "failure"
    assert "broken_hooks" in ending.summary
    assert [state for state, _ in world.statuses(sha)] == ["pending", "failure"]
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_a_module_that_cannot_be_imported_does_not_prevent_the_end_of_its_runs(world: StackWorld) -> None:
    """A run stores its own automation, which is enough to report how it ended."""
    execution, sha = world.closes()
    world.add_broken_module()
    assert handle(world, changed(execution, "FAILED")) == {"executions": [execution]}
    assert world.statuses(sha)[-1][0] == "failure"


# --- what was deployed meanwhile ----------------------------------------------------------------------------


def waits_for_its_stack(world: StackWorld) -> str:
    """Have a run wait before its delete, planned on this worker's version; return its execution."""
    world.switch(paused=True)
    execution, _ = world.closes()
    assert world.advance(execution) is not None
    world.switch(paused=False)
    return execution


@pytest.mark.parametrize(
    ("stricter", "said"),
    [
        ({"mode": "dry-run"}, "the automation is in dry-run mode now; nothing more was done"),
        ({"protect_names": ("preview-*",)}, "is protected"),
        ({"max_changes": 0}, "max-changes allows 0"),
        ({"max_objects": 0}, "max-objects allows 0"),
    ],
    ids=["mode", "protect", "max-changes", "max-objects"],
)
def test_a_waiting_run_follows_the_latest_deployment(
    world: StackWorld, stricter: dict[str, Any], said: str
) -> None:
    """Its own version's bundle says otherwise; nothing is deleted, and the commit's status says why."""
    clients = preview(world)
    execution = waits_for_its_stack(world)
    world.deploys(**stricter)
    ending = world.drive(execution)
    assert ending.verdict == "failure"
    assert said in ending.summary
    assert "preview-17-assets" in previews.bucket_names(clients)


@pytest.mark.parametrize("change", [{}, {"max_changes": 1000}])
def test_a_deployment_without_a_stricter_rule_holds_no_run(world: StackWorld, change: dict[str, Any]) -> None:
    """A waiting run continues."""
    clients = preview(world)
    execution = waits_for_its_stack(world)
    world.deploys(**change)
    assert world.drive(execution).verdict == "success"
    assert previews.bucket_names(clients) == {"bodies"}


def test_a_run_whose_automation_is_no_longer_deployed_ends_in_an_error(world: StackWorld) -> None:
    """It deletes nothing while it waits, and its time ends it; the commit's status says which automation is gone."""
    clients = preview(world)
    world.deploys(without=True)
    execution, sha = world.closes()
    gone = "automation preview-cleanup is gone from the configuration; nothing more is changed unless it comes back"
    invocations = 0
    while (wake := world.advance(execution)) is not None:
        assert world.statuses(sha)[-1] == ("pending", gone)
        world.wait_until(wake + 1_200)
        invocations += 1
    assert invocations > 2
    ending = world.ending(execution)
    assert (ending.verdict, ending.summary) == (
        "cancelled",
        "automation preview-cleanup is gone; nothing was deleted",
    )
    assert world.statuses(sha)[-1] == ("error", ending.summary)
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_a_run_whose_automation_is_deployed_again_continues(world: StackWorld) -> None:
    """A deployment that was reverted costs its runs only time."""
    clients = preview(world)
    world.deploys(without=True)
    execution, _ = world.closes()
    assert world.advance(execution) is not None
    world.deploys()
    assert world.drive(execution).verdict == "success"
    assert previews.bucket_names(clients) == {"bodies"}


def test_the_protection_of_a_deployment_without_the_automation_holds(world: StackWorld) -> None:
    """`protect` is the file's: what is deployed carries it beside the automations."""
    clients = preview(world)
    execution = waits_for_its_stack(world)
    world.deploys(without=True, protect=("preview-*",))
    assert "is protected" in world.drive(execution).summary
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_a_laxer_deployment_lifts_no_restriction(world: StackWorld) -> None:
    """The stricter of the two applies: the run was accepted as a dry run."""
    clients = preview(world)
    world.say("mode: dry-run")
    execution, _ = world.closes()
    world.deploys(mode="apply")
    assert world.drive(execution).summary.startswith("dry run: would delete")
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_without_a_deployed_configuration_the_bundle_counts(world: StackWorld) -> None:
    """A stack that an earlier closeout deployed has no such item."""
    clients = preview(world)
    execution, _ = world.closes()
    world.say("mode: dry-run")
    world.runtime = world.environment()
    assert world.drive(execution).summary.startswith("dry run: would delete")
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_an_unreadable_deployed_configuration_is_waited_for(world: StackWorld) -> None:
    """Damaged is not absent: the run waits, deletes nothing, and follows the rule once it can be read."""
    clients = preview(world)
    execution = waits_for_its_stack(world)
    world.damage_what_is_deployed()
    for _ in range(2):
        wake = world.advance(execution)
        assert wake is not None
        world.wait_until(wake)
    shown = world.runtime.ledger.views.run(execution)
    assert shown is not None
    assert "what is deployed cannot be read" in str(shown.reason)
    world.deploys(protect_names=("preview-*",))
    ending = world.drive(execution)
    assert (ending.verdict, "is protected" in ending.summary) == ("failure", True)
    assert "preview-17-assets" in previews.bucket_names(clients)


# --- what Lambda gave up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word"), [("FAILED", "error"), ("TIMED_OUT", "longer"), ("STOPPED", "somebody stopped")]
)
def test_a_failed_execution_ends_its_run_and_says_what_happened(
    world: StackWorld, status: str, word: str
) -> None:
    """Final status, verdict, key: at once; the same event again changes nothing."""
    execution, sha = world.closes()
    for _ in range(2):
        assert handle(world, changed(execution, status)) == {"executions": [execution]}
    ending = world.ending(execution)
    assert ending.verdict == "failure"
    assert word in ending.summary
    ((state, description),) = world.statuses(sha)
    assert state == "failure"
    assert word in description
    row = world.runtime.ledger.store.look(execution)
    assert row is not None
    assert row.key is not None
    assert world.runtime.ledger.store.first(row.key) is None


def test_a_run_stopped_because_its_stack_is_deleted_says_so(
    world: StackWorld,
) -> None:
    """The deployment writes the item before it stops anything. Otherwise a person stopped the execution."""
    execution, sha = world.closes()
    world.runtime.ledger.table.change(put({**REMOVAL_KEY, "since": {"N": "1.5"}}))
    handle(world, changed(execution, "STOPPED"))
    ending = world.ending(execution)
    assert (ending.verdict, ending.summary.partition(";")[0]) == ("cancelled", "the stack was removed")
    ((state, description),) = world.statuses(sha)
    assert (state, description.partition(";")[0]) == ("error", "the stack was removed")


def test_a_finished_run_is_left_alone(world: StackWorld) -> None:
    """The event may come late, or again."""
    preview(world)
    execution, sha = world.closes()
    ending = world.drive(execution)
    before = world.statuses(sha)
    assert handle(world, changed(execution, "TIMED_OUT")) == {"executions": [execution]}
    assert (world.ending(execution), world.statuses(sha)) == (ending, before)


def test_a_run_whose_condition_is_false_stays_without_a_status(world: StackWorld) -> None:
    """It died before it could say so: its condition is evaluated now."""
    execution, sha = world.closes(labels=("keep",))
    handle(world, changed(execution, "FAILED"))
    assert world.ending(execution) == Ending("skipped", "its `if` is false")
    assert world.statuses(sha) == []


POSTED = {
    "sent": True,
    "state": "pending",
    "context": "ci/build",
    "repository": "acme/other",
    "sha": "a" * 40,
}


@pytest.mark.parametrize("how", ["its execution failed", "an invocation"])
def test_a_run_that_the_release_before_began_is_ended_where_its_payload_says(
    world: StackWorld, how: str
) -> None:
    """What stands beside its definition may be forged: a plan is not carried out, a status not posted elsewhere."""
    clients = preview(world)
    world.github.world.add_repository("acme/other", id=2)
    execution, sha = world.closes()
    world.begun_before(execution, begin={"at": 1.0}, match={"run": True, "reason": "x"}, pending=POSTED)
    if how == "an invocation":
        assert world.drive(execution).verdict == "failure"
    else:
        handle(world, changed(execution, "FAILED"))
    ending = world.ending(execution)
    assert ending.verdict == "failure"
    assert ("an earlier release" in ending.summary) is (how == "an invocation")
    assert [state for state, _ in world.statuses(sha)] == ["failure"]
    assert world.github.statuses("acme/other", "a" * 40) == []
    assert "preview-17-assets" in previews.bucket_names(clients)


def test_a_run_of_a_definition_that_was_never_deployed_is_not_ended_yet(world: StackWorld) -> None:
    """Where its status would go is the definition's word: no status, and the event comes again."""
    execution, sha = world.closes(known=False)
    with pytest.raises(Unavailable, match=execution):
        handle(world, changed(execution, "FAILED"), seconds=13)
    assert world.statuses(sha) == []


class Unfinished:
    """A store whose runs another invocation always has when a run is to be finished."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def finish(self, *_: Any) -> bool:
        """Refuse."""
        return False


def test_a_status_that_was_posted_is_not_contradicted(world: StackWorld) -> None:
    """The run had said success and died before it could write so down."""
    execution, sha = world.closes()
    world.runtime.engine.store = Unfinished(world.runtime.ledger.store)
    assert world.advance(execution) is not None
    before = world.statuses(sha)
    assert before[-1][0] == "success"
    handle(world, changed(execution, "FAILED"))
    assert world.ending(execution).verdict == "success"
    assert world.statuses(sha) == before


def test_a_status_that_github_refuses_now_is_posted_later(world: StackWorld) -> None:
    """The handler waits as long as it may, then raises, so that the event comes again."""
    execution, sha = world.closes()
    world.github.faults.add("status", path=r".*/statuses/.*", status=502, times=0)
    with pytest.raises(Unavailable, match=execution):
        handle(world, changed(execution, "FAILED"), seconds=13)
    world.github.faults.clear()
    handle(world, changed(execution, "FAILED"))
    assert world.ending(execution).verdict == "failure"
    assert world.statuses(sha)[-1][0] == "failure"


def test_a_lost_start_is_repeated(world: StackWorld) -> None:
    """Lambda knows no such execution: it is started by name, and the run is left to it."""
    execution, sha = world.closes()
    assert handle(world, dead_letter({"execution": execution})) == {"executions": [execution]}
    (entry,) = [entry for entry in world.aws.executions() if named_execution(entry["name"]) == execution]
    assert (entry["function"], entry["starts"]) == ("worker:live", 1)
    assert world.statuses(sha) == []
    row = world.runtime.ledger.store.look(execution)
    assert row is not None
    assert (row.run.state, row.started) == ("queued", True)


def test_a_dead_letter_of_an_execution_that_is_over_ends_its_run(world: StackWorld) -> None:
    """And so does an event that EventBridge could not deliver; what is no message of ours is passed over."""
    execution, _ = world.closes()
    other, _ = world.closes(18)
    world.runtime.ledger.starts.start(execution)
    world.aws.execution_status(execution, "FAILED")
    batch = dead_letter({"execution": execution}, changed(other, "STOPPED"), "not JSON", ["a list"], {})
    assert handle(world, batch) == {"executions": [execution, other]}
    assert {world.ending(name).verdict for name in (execution, other)} == {"failure"}


def test_an_event_about_an_execution_that_another_one_continues_ends_nothing(world: StackWorld) -> None:
    """It is late: the run lives in its successor, whose own end still counts."""
    execution, sha = world.closes()
    starts = world.runtime.ledger.starts
    starts.start(execution)
    starts.hand_over(execution, 0)
    assert handle(world, changed(execution, "FAILED")) == {"executions": [execution]}
    row = world.runtime.ledger.store.look(execution)
    assert row is not None
    assert row.run.state == "queued"
    assert world.statuses(sha) == []
    second = f"{execution}_1"
    world.aws.execution_status(second, "TIMED_OUT")
    handle(world, changed(second, "TIMED_OUT"))
    assert world.ending(execution).verdict == "failure"


def test_an_event_about_an_execution_without_a_run_is_dropped(world: StackWorld) -> None:
    """Somebody invoked the worker by hand, and Lambda named the execution. The event must not repeat forever."""
    name = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    assert handle(world, changed(name, "FAILED"))["executions"]


def test_a_late_event_starts_a_successor_whose_start_was_lost(world: StackWorld) -> None:
    """The predecessor died between counting and starting, and Lambda gave it up: its run must not be left to nobody."""
    execution, _ = world.closes()
    ledger = world.runtime.ledger
    ledger.starts.start(execution)
    assert ledger.attempts.continue_after(execution, 0) == 1
    handle(world, changed(execution, "FAILED"))
    started = [without_stack(entry["name"]) for entry in world.aws.executions()]
    assert f"{execution}_1" in started
    row = ledger.store.look(execution)
    assert row is not None
    assert row.run.state == "queued"


def test_other_status_changes_end_no_run() -> None:
    """A rule may also let RUNNING and SUCCEEDED through."""
    assert list(failed_executions.about(changed("x-1", "RUNNING"))) == []
    assert list(failed_executions.about(changed("x-1", "SUCCEEDED"))) == []


def test_no_call_outlasts_the_invocation(world: StackWorld) -> None:
    """14 minutes, whatever a step's timeout says; and none is begun where that, and what is around it, may not fit in."""
    assert world.runtime.deps.longest_call == (840.0, "Lambda ends a call after 15 minutes")
    preview(world)
    execution, _ = world.closes()
    store = world.runtime.ledger.store
    begun = []
    for left in (869.0, 871.0):
        world.runtime.engine.advance(execution, lambda left=left: left)  # type: ignore[misc]
        record = store.read(execution)
        assert record is not None
        begun.append(len(store.load(record).operations))
    assert begun[0] == 2  # `begin` is stored with the first
    assert begun[1] > 2


def test_the_stacks_secret_replaces_the_files(world: StackWorld) -> None:
    """The file names variables that no Lambda function has; they are never read."""
    clients = world.runtime._clients
    assert isinstance(clients, SharedClients)
    assert clients.token is not None
    assert clients.token.newest() == TOKEN
