"""`GET /guard` of the deployed stack, through API Gateway: only status 200 means that a deploy may begin."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from closeout.core.ids import short_digest
from closeout.stack.table import durable_name
from tests.aws.test_stack_commands import closeout
from tests.aws.world import World
from tests.unit.adapters.workflow import OTHER, OURS, public_key, token

REPOSITORY = "acme/patient"
FIRST = 500


@pytest.fixture(autouse=True)
def issuer(world: World) -> str:
    """Return who issues tokens, once its key can be read."""
    if not world.github.workflow_keys:
        world.github.workflow_keys.append(public_key("ours", OURS))
        world.open(FIRST, repository=REPOSITORY)
    return f"{world.github.url}/_services/token"


def proof(world: World, *, repository: str = REPOSITORY, **changed: Any) -> str:
    """Return a token of a workflow in this repository."""
    claims = {
        "aud": world.outputs["PublicUrl"],
        "repository": repository,
        "repository_id": str(world.github.world.repository(REPOSITORY).id),
        "exp": int(time.time()) + 30 * 86_400,  # the account's clock may be ahead
        **changed,
    }
    return token(f"{world.github.url}/_services/token", **claims)


def ask(
    world: World,
    given: str | None,
    query: str = f"?pull-request={FIRST}",
    *,
    method: str = "GET",
    source: str = "127.0.0.1",
) -> tuple[int, str]:
    """Return the status, and the verdict or the code of the error."""
    headers = {} if given is None else {"Authorization": f"Bearer {given}"}
    url = world.webhook.replace("/webhook", "/guard") + query
    status, answered, body = world.cloud.request(method, url, headers=headers, source=source)
    assert answered["content-type"] == "application/json"
    found = json.loads(body)
    assert given is None or given not in body.decode()
    return status, found.get("verdict") or found["error"]


def test_an_open_pull_request_may_be_deployed_until_a_teardown_is_on_its_way(world: World) -> None:
    """By HTTP and by the command. A run that waits for its grace stays one although the pull request was opened again."""
    command = ("guard", "--pull-request", f"{REPOSITORY}#501")
    world.make_stack("preview-501")
    world.open(501, repository=REPOSITORY)
    asked = "?pull-request=501"
    assert ask(world, proof(world), asked) == (200, "open")
    assert closeout(world, *command) == f"{REPOSITORY}#501 is open, and no teardown of it is on its way\n"
    answer = json.loads(world.close(501, repository=REPOSITORY)["response"]["payload"])
    assert ask(world, proof(world), asked) == (409, "closed")
    function, _, alias = world.outputs["PatrolAlias"].rpartition(":")
    named = durable_name(world.outputs["PatrolAlias"], f"hurry-{short_digest(f'{REPOSITORY}#501')}")
    listed = world.cloud.client("lambda").list_durable_executions_by_function(
        FunctionName=function, Qualifier=alias
    )["DurableExecutions"]
    brought = [one for one in listed if one["DurableExecutionName"].startswith(named)]
    assert brought, "a deploy that is too late brings a recheck forward"
    world.until(lambda: world.run(answer["runs"][0])["state"], lambda state: state == "waiting")
    world.github.world.change_pull(REPOSITORY, 501, "reopened")
    assert ask(world, proof(world), asked) == (409, "closed")
    assert answer["runs"][0] in closeout(world, *command, code=3)
    assert ask(world, proof(world)) == (200, "open"), "another pull request"
    assert "cannot tell" in closeout(world, "guard", "--pull-request", f"{REPOSITORY}#9999", code=4)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example.com"},
        {"iss": "https://token.actions.githubusercontent.com"},
        {"exp": int(time.time()) - 3600},
        {"repository": "stranger/shop"},
        {"repository_id": None},
        {"key": OTHER},
        {"kid": "made-up"},
    ],
)
def test_a_token_that_proves_nothing_is_refused(world: World, changed: dict[str, Any]) -> None:
    """Wrong audience, issuer, time, repository, key."""
    assert ask(world, proof(world, **changed)) == (401, "token-refused")


def test_what_is_no_question_is_refused(world: World) -> None:
    """No token, one of 20 KB that API Gateway or the guard refuses, no number, another method, another address."""
    assert ask(world, None) == (401, "token-refused")
    assert ask(world, "a" * 8_000) == (401, "token-refused")
    assert ask(world, proof(world), "") == (400, "usage")
    assert ask(world, proof(world), "?pull-request=1&pull-request=2") == (400, "usage")
    assert ask(world, proof(world), method="POST") == (404, "not-found")
    assert ask(world, proof(world), source="127.0.0.2") == (403, "forbidden")


def test_another_repository_of_that_name_cannot_be_told(world: World) -> None:
    """Its id is another."""
    assert ask(world, proof(world, repository_id="1")) == (503, "unknown")


def test_without_github_nobody_can_tell(world: World) -> None:
    """Neither about the pull request nor about keys that are not known yet."""
    world.github.faults.add("status", status=502, times=0)
    try:
        assert ask(world, proof(world)) == (503, "unknown")
    finally:
        world.github.faults.clear()


def test_its_credentials_read_what_the_guard_reads_and_change_nothing(world: World) -> None:
    """As whoever got hold of them: no write, no payload, no operation, no listing, no secret of the webhook."""
    keys = world.credentials_of("Guard")
    table = world.outputs["TableName"]
    dynamo, secrets = (world.cloud.client(name, **keys) for name in ("dynamodb", "secretsmanager"))

    def query(partition: str, **more: Any) -> dict[str, Any]:
        values = {":pk": {"S": partition}}
        return {
            "TableName": table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": values,
            **more,
        }

    def item(partition: str) -> dict[str, Any]:
        return {"pk": {"S": partition}, "sk": {"S": "x"}}

    dynamo.query(**query("run#x"))
    dynamo.get_item(TableName=table, Key=item("settings"))
    assert secrets.get_secret_value(SecretId=world.outputs["GitHubTokenSecretName"])["SecretString"]
    listing = {"KeyConditionExpression": "#l = :pk", "ExpressionAttributeNames": {"#l": "list"}}
    denied: list[tuple[Any, str, dict[str, Any]]] = [
        (dynamo, "query", query("delivery#x")),
        (dynamo, "query", query("record#x")),
        (dynamo, "query", query("runs", IndexName="listing", **listing)),
        (dynamo, "scan", {"TableName": table}),
        (dynamo, "get_item", {"TableName": table, "Key": item("delivery#x")}),
        (dynamo, "put_item", {"TableName": table, "Item": item("run#x")}),
        (dynamo, "put_item", {"TableName": table, "Item": item("settings")}),
        (dynamo, "delete_item", {"TableName": table, "Key": item("run#x")}),
        (secrets, "get_secret_value", {"SecretId": world.outputs["WebhookSecretName"]}),
        (world.cloud.client("lambda", **keys), "invoke", {"FunctionName": world.outputs["WorkerAlias"]}),
        (world.cloud.client("cloudformation", **keys), "delete_stack", {"StackName": "preview-501"}),
    ]
    for client, operation, arguments in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, operation)(**arguments)
