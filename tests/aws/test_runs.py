"""Runs on the deployed worker: in order, through kills and waits, after lost starts and failed executions."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from typing import Any

from closeout.ports import RunFilter
from closeout.testing.deliveries import pull_request
from closeout.testing.payloads import WHEN
from tests.aws.world import World


def close(world: World, repository: str, number: int) -> str:
    """Close a pull request that is open; return its run."""
    answer = json.loads(world.close(number, repository=repository)["response"]["payload"])
    assert len(answer["runs"]) == 1, answer
    return str(answer["runs"][0])


def test_two_runs_on_one_pull_request_go_one_after_the_other(world: World) -> None:
    """The second waits for the first, in the order of acceptance, and neither is dropped."""
    closings = [pull_request(number=1, repository="acme/ordered") for _ in range(2)]
    first, second = (world.deliver(payload, guid=str(uuid.uuid4())).json["runs"][0] for payload in closings)
    assert [world.ended(run)["verdict"] for run in (first, second)] == ["success", "success"]
    order = [(note["what"], note["run"]) for note in world.notes(1, "acme/ordered")]
    assert order == [("begin", first), ("end", first), ("begin", second), ("end", second)]
    assert "CallbackStarted" in world.history(f"{second}-1"), "it did not poll"


def test_a_worker_killed_in_the_middle_is_started_again(world: World) -> None:
    """`kill -9` of the function's process while a step runs: Lambda invokes it again, and the run ends well."""
    sha = world.open(1, repository="acme/killed")
    run = close(world, "acme/killed", 1)
    begun = world.until(lambda: world.notes(1, "acme/killed"), bool)
    os.kill(begun[0]["pid"], signal.SIGKILL)
    ended = world.ended(run)
    assert ended["verdict"] == "success", ended
    notes = world.notes(1, "acme/killed")
    assert [note["what"] for note in notes] == ["begin", "begin", "end"]
    assert notes[0]["pid"] != notes[1]["pid"]
    states = [status["state"] for status in world.statuses(sha, repository="acme/killed")]
    assert states[0] == "pending"
    assert states[-1] == "success"


def test_a_wait_of_twenty_minutes_costs_no_time_of_a_function(world: World) -> None:
    """Nothing is deleted before its time; then the run goes on by itself."""
    began = time.monotonic()
    world.make_stack("preview-2")
    world.open(2, repository="acme/patient")
    run = close(world, "acme/patient", 2)
    world.until(lambda: world.run(run), lambda seen: seen["state"] == "waiting")
    world.cloud.skip(19 * 60)
    time.sleep(3)
    assert world.run(run)["state"] == "waiting"
    assert world.has_stack("preview-2")
    world.cloud.skip(2 * 60)
    ended = world.ended(run)
    assert ended["verdict"] == "success", ended
    assert not world.has_stack("preview-2")
    assert ended["finished_at"] - ended["started_at"] >= 20 * 60
    assert time.monotonic() - began < 90


def lose_the_start(world: World, number: int) -> tuple[str, dict[str, Any], str]:
    """Deliver while the receiver may not invoke the worker; return the GUID, the payload and the run that is queued."""
    role = world.role_of("Receiver")
    iam = world.cloud.client("iam")
    deny = {"Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    guid = str(uuid.uuid4())
    payload = pull_request(number=number, repository="acme/notes")
    iam.put_role_policy(RoleName=role, PolicyName="lost", PolicyDocument=policy)
    try:
        lost = world.deliver(payload, guid=guid)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="lost")
    assert (lost.status, lost.json["error"]) == (503, "store-unavailable")
    (queued,) = world.views.runs(wanted=RunFilter(repository="acme/notes", number=number))
    assert queued.state == "queued"
    return guid, payload, queued.id


def test_a_start_that_was_lost_is_made_up_for_by_a_redelivery(world: World) -> None:
    """The receiver stores, cannot start, and says so; the same delivery again starts the run, once."""
    guid, payload, run = lose_the_start(world, 11)
    again = world.deliver(payload, guid=guid)
    assert (again.status, again.json["duplicate"], again.json["runs"]) == (200, True, [run])
    assert world.ended(run)["verdict"] == "success"
    assert [note["what"] for note in world.notes(11)] == ["begin", "end"]


def test_a_start_that_came_to_the_dead_letters_is_made_again(world: World) -> None:
    """What Lambda could not deliver to the worker lies in its dead-letter queue as it was; the run is started from there."""
    _, _, run = lose_the_start(world, 12)
    sqs = world.cloud.client("sqs")
    (queue,) = [
        url for url in sqs.list_queues()["QueueUrls"] if f"{world.cdk.stack}-" in url and "DeadLetters" in url
    ]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"execution": f"{run}-1"}))
    assert world.ended(run)["verdict"] == "success"
    assert [note["what"] for note in world.notes(12)] == ["begin", "end"]


def waiting_pair(world: World, number: int) -> tuple[str, str, str]:
    """Have one run wait in its grace and another wait for its key; return both, and the commit."""
    world.make_stack(f"preview-{number}")
    sha = world.open(number, repository="acme/patient")
    first = close(world, "acme/patient", number)
    world.until(lambda: world.run(first), lambda seen: seen["state"] == "waiting")
    payload = world.github.world.pull_payload(
        world.github.world.repository("acme/patient"),
        world.github.world.repository("acme/patient").pulls[number],
    )
    payload["pull_request"]["closed_at"] = WHEN  # as if it had been closed before, too
    second = str(world.deliver(payload).json["runs"][0])
    assert world.run(second)["state"] == "queued"
    return first, second, sha


def is_over(world: World, first: str, second: str, sha: str) -> dict[str, Any]:
    """Hold a pair to what a failed execution must leave: an ended run, a final status, a key that is free."""
    ended = world.ended(first)
    assert ended["verdict"] == "failure", ended
    statuses = [
        status
        for status in world.statuses(sha, repository="acme/patient", context="closeout/patient")
        if first in str(status["target_url"])
    ]
    assert statuses[-1]["state"] in ("failure", "error"), statuses
    world.until(lambda: world.run(second), lambda seen: seen["state"] == "waiting")
    return ended


def looks_itself_after(world: World, run: str) -> float:
    """Return how long after its acceptance a queued run looks for itself next; 0 if it is not suspended yet."""
    wake_up = world.ledger.store.wake_up(f"{run}-1")
    return wake_up.until - world.run(run)["accepted_at"] if wake_up else 0.0


def test_a_queued_run_that_is_cancelled_is_woken_for_it(world: World) -> None:
    """By the command: after a quarter of an hour in the queue it would look for itself minutes later."""
    first, second, _ = waiting_pair(world, 23)
    world.until(lambda: looks_itself_after(world, second), lambda seconds: seconds > 0)
    world.cloud.skip(15 * 60)
    world.until(lambda: looks_itself_after(world, second), lambda seconds: seconds > 18 * 60)
    requests = world.ledger.requests(None)
    assert requests.outcome(requests.add_request("cancel", second, "ada", None)) == "done"
    ended = world.ended(second)
    assert ended["verdict"] == "cancelled", ended
    events = world.history(f"{second}-1")
    assert "CallbackSucceeded" in events, events
    assert world.run(first)["state"] == "waiting"
    world.ledger.requests(None).add_request("cancel", first, "ada", None)
    world.cloud.skip(5 * 60)  # it waits for its step, and notices a cancel when it polls
    assert world.ended(first)["verdict"] == "cancelled"


def test_a_hand_made_event_of_a_failed_execution_ends_its_run(world: World) -> None:
    """The handler behind EventBridge ends the run, posts a final status, and lets go of the key; twice is once."""
    first, second, sha = waiting_pair(world, 21)
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Durable Execution Status Change",
        "source": "aws.lambda",
        "account": world.cloud.account,
        "region": world.cloud.region,
        "time": "2026-11-25T12:00:00Z",
        "resources": [],
        "detail": {
            "durableExecutionArn": world.execution(f"{first}-1")["DurableExecutionArn"],
            "durableExecutionName": f"{first}-1",
            "functionArn": world.outputs["WorkerAlias"],
            "status": "TIMED_OUT",
            "startTimestamp": "2026-11-25T11:00:00.000Z",
            "endTimestamp": "2026-11-25T12:00:00.000Z",
        },
    }
    for _ in range(2):
        answer = world.cloud.client("lambda").invoke(
            FunctionName=world.function("Ended"), Payload=json.dumps(event).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
    before = is_over(world, first, second, sha)
    assert world.run(first)["finished_at"] == before["finished_at"]


def test_an_execution_that_somebody_stopped_ends_its_run(world: World) -> None:
    """`StopDurableExecution` runs no code of ours; the event that Lambda publishes does what is left to do."""
    first, second, sha = waiting_pair(world, 22)
    arn = world.execution(f"{first}-1")["DurableExecutionArn"]
    world.cloud.client("lambda").stop_durable_execution(DurableExecutionArn=arn)
    is_over(world, first, second, sha)
