"""Who may do what in the account: the worker, and somebody who administrates everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.world import World

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


def test_the_worker_is_denied_what_the_configuration_does_not_use(world: World) -> None:
    """Nothing allows it: its own table's deletion, its own secrets and stack, and services that no step names."""
    world.open(1, repository="acme/overreach")
    answer = json.loads(world.close(1, repository="acme/overreach")["response"]["payload"])
    run = world.ended(answer["runs"][0])
    assert run["verdict"] == "success", run
    told = world.until(lambda: [line for line in world.lines(run["id"]) if line.startswith("{")], bool)
    found = json.loads(told[0])
    assert len(found) == 10
    refused = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
    assert {name: code for name, code in found.items() if code not in refused} == {}
    tables = world.cloud.client("dynamodb").list_tables()["TableNames"]
    assert world.outputs["TableName"] in tables


def test_a_worker_with_every_right_is_denied_what_closeout_runs_on(world: World) -> None:
    """A policy of the user's own (`workerPolicies`) may allow everything: the Deny stands over it."""
    iam, sqs = world.cloud.client("iam"), world.cloud.client("sqs")
    role = world.role_of("Worker")
    sqs.create_queue(QueueName="somebody-elses")
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=EVERYTHING)
    try:
        world.open(1, repository="acme/seize")
        answer = json.loads(world.close(1, repository="acme/seize")["response"]["payload"])
        run = world.ended(answer["runs"][0])
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="all")
    assert run["verdict"] == "success", run
    told = world.until(lambda: [line for line in world.lines(run["id"]) if line.startswith("{")], bool)
    found = json.loads(told[0])
    assert found.pop("delete somebody else's queue") == "done", "so the policy was in force"
    assert len(found) >= 16, found
    assert {what: said for what, said in found.items() if "with an explicit deny" not in said} == {}


@pytest.mark.parametrize(
    ("part", "closed"),
    [
        ("Receiver", ("record#x", "settings", "x")),
        ("Ended", ("settings", "delivery#x", "x")),
        ("Worker", ("settings", "x")),
    ],
)
def test_a_functions_credentials_write_its_own_partitions_alone(
    world: World, part: str, closed: tuple[str, ...]
) -> None:
    """By itself, in a transaction with what is allowed, and by an update: no operation, no definition, no pause."""
    table, owner = world.outputs["TableName"], world.cloud.client("dynamodb")
    thief = world.cloud.client("dynamodb", **world.credentials_of(part))
    mine = {"pk": {"S": "run#x"}, "sk": {"S": "x"}}
    thief.put_item(TableName=table, Item=mine)
    owner.delete_item(TableName=table, Key=mine)
    for partition in closed:
        theirs = {"pk": {"S": partition}, "sk": {"S": "x"}}
        both = [{"Put": {"TableName": table, "Item": item}} for item in (mine, theirs)]
        writes: dict[str, dict[str, Any]] = {
            "put_item": {"TableName": table, "Item": theirs},
            "update_item": {"TableName": table, "Key": theirs},
            "transact_write_items": {"TransactItems": both},
            "batch_write_item": {"RequestItems": {table: [{"PutRequest": {"Item": theirs}}]}},
        }
        for name, arguments in writes.items():
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(thief, name)(**arguments)
        assert "Item" not in owner.get_item(TableName=table, Key=mine)
        assert "Item" not in owner.get_item(TableName=table, Key=theirs)


@pytest.mark.parametrize("part", ["Receiver", "Worker", "Ended"])
def test_nobody_but_lambda_becomes_a_function(world: World, part: str) -> None:
    """Its role trusts one service, and that only for this account: not even the account's own root."""
    role = f"arn:aws:iam::{world.cloud.account}:role/{world.role_of(part)}"
    with pytest.raises(ClientError, match="AccessDenied"):
        world.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="thief")


def test_an_administrator_cannot_read_the_secrets_values(world: World) -> None:
    """A user who may do everything sees that the secrets are there, and not what they are."""
    iam = world.cloud.client("iam")
    iam.create_user(UserName="admin")
    iam.put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=EVERYTHING)
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    mine = world.cloud.client(
        "secretsmanager", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
    )
    for output in ("WebhookSecretName", "GitHubTokenSecretName"):
        name = world.outputs[output]
        assert mine.describe_secret(SecretId=name)["Name"] == name
        with pytest.raises(ClientError, match="AccessDenied"):
            mine.get_secret_value(SecretId=name)
