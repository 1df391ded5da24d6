"""The receiver on AWS over an emulated account: what it answers, what it stores, what it starts."""

from __future__ import annotations

import json
import time
import zlib
from base64 import b64encode
from typing import Any

import pytest

from closeout.core.closing import Closing
from closeout.core.records import Accepted
from closeout.intake import answers
from closeout.lambdas.receiver_app import ReceiverApp
from closeout.ledger.dynamodb.table import Table
from closeout.ledger.dynamodb.teardowns import runs_of_closings
from closeout.stack import table
from closeout.testing import deliveries
from tests.unit.lambdas.conftest import AUTOMATIONS, SECRET, WORKER, Stack, event

GUID = "00000000-0000-4000-8000-000000000001"
CLOSED_AT = "2026-03-14T09:26:53Z"
CLEANUP, TOLD = (Closing(501_001, 1_700_017, CLOSED_AT).run_id(name) for name in ("cleanup", "told"))


def ask(stack: Stack, request: dict[str, Any]) -> tuple[int, Any]:
    """Send one request to a fresh environment; return status and decoded body."""
    answer = stack.app().answer(request)
    return answer["statusCode"], json.loads(answer["body"])


def stored(stack: Stack, key: table.Item) -> dict[str, Any] | None:
    """Return an item's plain values."""
    item = stack.client("dynamodb").get_item(TableName="ledger", Key=key).get("Item")
    return None if item is None else table.from_item(item)


def closed(**more: Any) -> dict[str, Any]:
    """Return the event of a pull request that was closed."""
    closed_at = None if "guid" in more else CLOSED_AT
    return event("pull_request", deliveries.pull_request(closed_at=closed_at), **more)


def test_a_delivery_is_stored_with_its_runs_and_they_are_started(stack: Stack) -> None:
    """One transaction, a ticket for each key, a start by name with ids only, and a mark."""
    request = closed()
    status, said = ask(stack, request)
    delivery = table.delivery_id("400001", GUID)
    assert (status, said) == (202, {"delivery": delivery, "runs": [CLEANUP, TOLD]})
    kept = stored(stack, table.delivery_key(delivery))
    assert kept is not None
    assert (kept["event"], kept["repository"], kept["number"], kept["runs"]) == ("pull_request", "acme/shop", 17, [CLEANUP, TOLD])  # fmt: skip
    body = stored(stack, table.body_key(delivery))
    assert body is not None
    assert zlib.decompress(body["data"]) == request["body"].encode()
    for run_id, automation in zip((CLEANUP, TOLD), AUTOMATIONS, strict=False):
        run = stored(stack, table.attempt_key(run_id, 1))
        assert run is not None
        assert (run["state"], run["started"]) == ("queued", True)
        assert f"/durable-execution/{table.durable_name(WORKER, run['execution'])}/" in run["arn"]
        definition = stored(stack, table.definition_key(run_id, 1))
        assert definition is not None
        assert definition["definition"] == automation.canonical()
        assert definition["expires"] == int(2 * kept["expires"] - run["accepted_at"])
        ticket = stored(stack, table.ticket_key(run["key"], run["accepted_at"], f"{run_id}-1"))
        assert ticket is not None
        assert ticket["execution"] == f"{run_id}-1"
    ledger = Table(stack.client("dynamodb"), "ledger")
    assert runs_of_closings(ledger, "acme/shop", 17) == [CLEANUP, TOLD], "whoever deploys asks for them"
    started = stack.aws.executions()
    assert [(entry["function"], entry["name"], entry["payload"]) for entry in started] == [
        (WORKER, table.durable_name(WORKER, f"{run}-1"), f'{{"execution":"{run}-1"}}')
        for run in (CLEANUP, TOLD)
    ]


def test_a_delivery_that_starts_nothing_is_stored_and_no_duplicate(stack: Stack) -> None:
    """An operator may replay it."""
    status, said = ask(stack, event("pull_request", deliveries.pull_request(action="opened")))
    assert (status, said) == (202, {"delivery": table.delivery_id("400001", GUID), "runs": []})
    assert stack.aws.executions() == []


def test_a_bug_is_500_and_logged_as_an_error(stack: Stack) -> None:
    """GitHub may send the delivery again; the sender learns no detail."""
    status, said = ask(stack, {**closed(), "body": 5})
    line = json.loads(stack.logged[-1])
    assert (status, said["error"], line["level"]) == (500, "internal-error", "error")
    assert line["reason"].startswith("AttributeError: ")
    assert "AttributeError" not in str(said)


def test_the_same_delivery_again_is_a_duplicate(stack: Stack) -> None:
    """Nothing is stored or started a second time."""
    assert ask(stack, closed())[0] == 202
    before = stack.items()
    status, said = ask(stack, closed())
    assert (status, said["duplicate"], said["runs"]) == (200, True, [CLEANUP, TOLD])
    assert stack.items() == before
    assert [entry["starts"] for entry in stack.aws.executions()] == [1, 1]


def test_the_same_event_through_a_second_hook_starts_nothing_new(stack: Stack) -> None:
    """The delivery is stored and shows the existing runs."""
    assert ask(stack, closed())[0] == 202
    status, said = ask(stack, closed(hook_id=7))
    assert (status, said["runs"]) == (200, [CLEANUP, TOLD])
    assert [entry["starts"] for entry in stack.aws.executions()] == [1, 1]


def test_the_same_closing_under_another_guid_starts_nothing_new(stack: Stack) -> None:
    """It is stored, and answered with the existing runs; a run that failed to start is started."""
    stack.aws.fault(service="lambda", operation="Invoke", code="AccessDeniedException", status=403, times=1)
    assert ask(stack, closed())[0] == 503
    again = event("pull_request", deliveries.pull_request(closed_at=CLOSED_AT), guid="g-2")
    status, said = ask(stack, again)
    assert (status, said["duplicate"], said["runs"]) == (200, True, [CLEANUP, TOLD])
    assert said["delivery"] == table.delivery_id("400001", "g-2")
    kept = stored(stack, table.delivery_key(said["delivery"]))
    assert kept is not None
    assert (kept["closing"], kept["runs"]) == (f"501001/1700017/{CLOSED_AT}", [CLEANUP, TOLD])
    assert [entry["starts"] for entry in stack.aws.executions()] == [1, 1]


@pytest.mark.parametrize("service_down", ["Invoke"])
def test_a_failed_start_is_repeated_by_the_next_delivery(stack: Stack, service_down: str) -> None:
    """A crash between the transaction and the start loses nothing: sending the delivery again starts the run."""
    stack.aws.fault(service="lambda", operation=service_down, code="ServiceException", status=500, times=8)
    status, said = ask(stack, closed())
    assert (status, said["error"]) == (503, "store-unavailable")
    assert stack.aws.executions() == []
    stack.aws.clear_faults()
    status, said = ask(stack, closed())
    assert (status, said["duplicate"]) == (200, True)
    assert sorted(entry["name"].partition("-")[2] for entry in stack.aws.executions()) == sorted(
        [f"{CLEANUP}-1", f"{TOLD}-1"]
    )


def test_a_failed_start_is_repeated_by_another_hook(stack: Stack) -> None:
    """Nobody looks at the first hook's failure when the second one's delivery is green."""
    stack.aws.fault(service="lambda", operation="Invoke", code="ServiceException", status=500, times=4)
    assert ask(stack, closed())[0] == 503
    stack.aws.clear_faults()
    assert ask(stack, closed(hook_id=7))[0] == 200
    assert sorted(entry["name"].partition("-")[2] for entry in stack.aws.executions()) == sorted(
        [f"{CLEANUP}-1", f"{TOLD}-1"]
    )


def test_an_execution_that_already_exists_counts_as_started(stack: Stack) -> None:
    """Whatever Lambda compares of two starts with one name: refusing the second means that there was a first."""
    stack.aws.fault(
        service="lambda",
        operation="Invoke",
        code="DurableExecutionAlreadyStartedException",
        status=409,
        times=2,
    )
    assert ask(stack, closed())[0] == 202
    row = stored(stack, table.attempt_key(CLEANUP, 1))
    assert row is not None
    assert row["started"] is True


@pytest.mark.parametrize("code", ["ResourceConflictException", "PreconditionFailedException", ""])
def test_another_conflict_is_not_a_start(stack: Stack, code: str) -> None:
    """A function that is being updated also answers 409: only the durable service's code counts."""
    stack.aws.fault(service="lambda", operation="Invoke", code=code, status=409, times=2)
    assert ask(stack, closed())[0] == 503
    row = stored(stack, table.attempt_key(CLEANUP, 1))
    assert row is not None
    assert not row.get("started")


def test_leftovers_of_an_expired_delivery_do_not_block_it(stack: Stack) -> None:
    """DynamoDB deletes expired items one by one, so the body may outlive its delivery for hours."""
    name = table.delivery_id("1", GUID)
    old = table.body_key(name) | table.to_item({"data": b"old", "expires": 1})
    stack.client("dynamodb").put_item(TableName="ledger", Item=old)
    assert ask(stack, closed(hook_id=1))[0] == 202
    body = stored(stack, table.body_key(name))
    assert body is not None
    assert body["data"] != b"old"


def test_a_lost_answer_of_the_transaction_loses_nothing(stack: Stack) -> None:
    """Whether the store recognizes its token (AWS) or a repetition (moto), the runs start once."""
    stack.aws.fault(service="dynamodb", operation="TransactWriteItems", kind="drop", after=True, times=1)
    status, said = ask(stack, closed())
    assert status in {200, 202}
    assert said["runs"] == [CLEANUP, TOLD]
    assert len(stack.aws.executions()) == 2


@pytest.mark.parametrize(
    ("operation", "code"),
    [("TransactWriteItems", "InternalServerError"), ("TransactWriteItems", "AccessDeniedException")],
)
def test_a_delivery_that_cannot_be_stored_is_not_acknowledged(
    stack: Stack, operation: str, code: str
) -> None:
    """503 with a fixed message, nothing stored, nothing started."""
    stack.aws.fault(service="dynamodb", operation=operation, code=code, status=500 if "Internal" in code else 400, times=9)  # fmt: skip
    status, said = ask(stack, closed())
    assert (status, said["error"]) == (503, "store-unavailable")
    assert "was not acknowledged" in said["message"]
    assert stack.items() == []
    assert stack.aws.executions() == []


def test_a_failed_start_does_not_prevent_the_other_runs(stack: Stack) -> None:
    """503, so that the delivery is sent again; then the rest is started."""
    stack.aws.fault(service="lambda", operation="Invoke", code="AccessDeniedException", status=403, times=1)
    status, said = ask(stack, closed())
    assert (status, said["error"]) == (503, "store-unavailable")
    assert [entry["name"].partition("-")[2] for entry in stack.aws.executions()] == [f"{TOLD}-1"]
    status, said = ask(stack, closed())
    assert status == 200
    assert {entry["name"].partition("-")[2] for entry in stack.aws.executions()} == {
        f"{TOLD}-1",
        f"{CLEANUP}-1",
    }


def test_a_large_body_goes_into_the_bucket_first(stack: Stack) -> None:
    """The table has its location."""
    import random

    noise = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=900_000))
    request = event("push", {**deliveries.push(), "noise": noise})
    status, said = ask(stack, request)
    assert status == 202
    body = stored(stack, table.body_key(said["delivery"]))
    assert body is not None
    assert "data" not in body
    kept = stack.client("s3").get_object(Bucket="bodies", Key=body["object"])["Body"].read()
    assert zlib.decompress(kept) == request["body"].encode()


def changed(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a request with other headers (None: without) or parts."""
    headers = dict(request["headers"])
    for name, value in changes.pop("headers", {}).items():
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    several = {name: [value] for name, value in headers.items()}
    return {**request, "headers": headers, "multiValueHeaders": several, **changes}


@pytest.mark.parametrize(
    "request_",
    [
        changed(closed(), headers={"X-Hub-Signature-256": None}),
        changed(closed(), headers={"X-Hub-Signature-256": "sha256=00"}),
        changed(closed(), headers={"X-Hub-Signature-256": "sha256=é" + "0" * 63}),
        changed(closed(), body='{"another": "body"}'),
        closed(secret="another"),
        {**closed(), "multiValueHeaders": {**closed()["multiValueHeaders"], "X-Hub-Signature-256": ["sha256=" + "0" * 64, closed()["headers"]["X-Hub-Signature-256"]]}},
    ],
    ids=["missing", "short", "not ASCII", "other body", "other secret", "sent twice"],
)  # fmt: skip
def test_every_unsigned_request_gets_the_same_answer(stack: Stack, request_: dict[str, Any]) -> None:
    """401 `Unauthorized request`, nothing stored, and nothing of the request in the log."""
    status, said = ask(stack, request_)
    assert (status, said) == (401, {"error": "unauthorized", "message": "Unauthorized request"})
    assert stack.items() == []
    assert GUID not in "".join(stack.logged)


def test_other_methods_and_pings(stack: Stack) -> None:
    """405 with `Allow`, and a pong."""
    answer = stack.app().answer({**closed(), "httpMethod": "GET"})
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "POST")
    assert ask(stack, event("ping", deliveries.ping())) == (200, {"pong": True})
    assert stack.items() == []


@pytest.mark.parametrize("form", [False, True])
def test_a_base64_body_is_verified_over_its_bytes(stack: Stack, form: bool) -> None:
    """API Gateway may encode a body; GitHub signed the bytes inside."""
    request = closed(form=form)
    coded = {**request, "body": b64encode(request["body"].encode()).decode(), "isBase64Encoded": True}
    assert ask(stack, coded)[0] == 202
    assert ask(stack, {**coded, "body": "***"}) == (
        400,
        {"error": "bad-delivery", "message": "the body is not base64"},
    )


def test_a_rotated_secret_is_used_and_the_old_one_stays_for_a_day(stack: Stack) -> None:
    """Within one environment, a mismatch causes another read, at most once a second."""
    app = stack.app()
    assert app.answer(closed())["statusCode"] == 202
    stack.client("secretsmanager").put_secret_value(SecretId="hook", SecretString="the-new-one")
    app._kept._read_at -= 2.0  # type: ignore[union-attr]  # a second has passed
    assert app.answer(closed(secret="the-new-one", guid="g-2"))["statusCode"] == 202
    assert app.answer(closed(guid="g-3"))["statusCode"] == 202


def test_time_advances_while_an_environment_is_frozen(stack: Stack) -> None:
    """A counter of seconds may stop meanwhile: a new secret would be refused as if the old one had just been read."""
    clock = [time.time()]
    app = ReceiverApp(stack.environment, now=lambda: clock[0], log=stack.logged.append, pause=lambda _: None)
    assert app.answer(closed())["statusCode"] == 202
    stack.client("secretsmanager").put_secret_value(SecretId="hook", SecretString="the-new-one")
    assert app.answer(closed(secret="the-new-one", guid="g-2"))["statusCode"] == 401
    clock[0] += 3600.0
    assert app.answer(closed(secret="the-new-one", guid="g-2"))["statusCode"] == 202


@pytest.mark.parametrize(("since", "first"), [(301.0, "TransactWriteItems"), (601.0, "GetSecretValue")])
def test_a_known_secret_is_refreshed_after_the_delivery_is_stored(
    stack: Stack, since: float, first: str
) -> None:
    """So a hanging store of secrets costs no delivery's time; only a very old value is refreshed before."""
    clock = [time.time()]
    app = ReceiverApp(stack.environment, now=lambda: clock[0], log=stack.logged.append, pause=lambda _: None)
    assert app.answer(closed())["statusCode"] == 202
    clock[0] += since
    seen = len(stack.aws.requests())
    assert app.answer(closed(guid="g-2"))["statusCode"] == 202
    asked = [entry["operation"] for entry in stack.aws.requests()][seen:]
    order = [operation for operation in asked if operation in {"TransactWriteItems", "GetSecretValue"}]
    assert order[0] == first
    assert set(order) == {"TransactWriteItems", "GetSecretValue"}


def test_a_mismatch_refreshes_the_secret_at_once(stack: Stack) -> None:
    """The secret was rotated: the delivery that shows it is not refused."""
    clock = [time.time()]
    app = ReceiverApp(stack.environment, now=lambda: clock[0], log=stack.logged.append, pause=lambda _: None)
    assert app.answer(closed())["statusCode"] == 202
    stack.client("secretsmanager").put_secret_value(SecretId="hook", SecretString="the-new-one")
    clock[0] += 301.0
    assert app.answer(closed(secret="the-new-one", guid="g-2"))["statusCode"] == 202
    assert app.answer(closed(secret="wrong", guid="g-3"))["statusCode"] == 401


def test_a_flood_of_bad_signatures_costs_one_read_a_second(stack: Stack) -> None:
    """A hundred at once: the secret is read once more at most."""
    app = stack.app()
    assert app.answer(closed())["statusCode"] == 202
    before = [entry for entry in stack.aws.requests() if entry["operation"] == "GetSecretValue"]
    assert {app.answer(closed(secret="wrong", guid=f"g-{n}"))["statusCode"] for n in range(100)} == {401}
    after = [entry for entry in stack.aws.requests() if entry["operation"] == "GetSecretValue"]
    assert len(after) - len(before) <= 2 * 2


def test_without_a_readable_secret_every_delivery_is_refused(stack: Stack) -> None:
    """503, and the log names the secret and the reason, never a value."""
    stack.aws.fault(service="secretsmanager", operation="*", code="AccessDeniedException", times=99)
    status, said = ask(stack, closed())
    assert (status, said["error"]) == (503, "store-unavailable")
    assert "AccessDeniedException" in "".join(stack.logged)
    assert SECRET not in "".join(stack.logged)


def test_every_answer_has_the_protective_headers(stack: Stack) -> None:
    """As on one machine."""
    answer = stack.app().answer(closed())
    assert answer["headers"] == dict(answers.HEADERS)
    assert answers.accepted(Accepted("d", (), False, ())).body == b'{"delivery": "d", "runs": []}'
