"""What is deployed reaches the ledger's table: packed into the template, written by a chore, read by the worker."""

from __future__ import annotations

import base64
import json
import random
import time
import uuid
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from ledger_table import create_ledger

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.config.typed_deletes import further
from closeout.ledger.dynamodb.deployed import DynamoDeployed
from closeout.ledger.dynamodb.table import Table
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest, definition_lifetime, digest_of, pack, unpack
from closeout_cdk.config import LARGEST
from closeout_cdk.parameters import ParameterError
from support import DELETES, Made, Make, flat
from test_housekeeping import CloudFormation, ask, aws, cloudformation, handler

__all__ = ["aws", "cloudformation", "handler"]


def published(made: Made) -> dict[str, Any]:
    """The properties of the custom resource."""
    (found,) = (
        item["Properties"]
        for item in made.of("Custom::CloseoutChore").values()
        if item["Properties"]["Chore"] == "publish"
    )
    return dict(found)


# --- the template ---------------------------------------------------------------------------------------------


def test_the_template_holds_each_automation_as_a_run_stores_it(make: Make, tmp_path: Any) -> None:
    """With the protection, the limits and the mode of the file; and nothing of it in clear."""
    config = DELETES.replace("version: 1\n", "version: 1\nprotect: [prod-*]\n").replace(
        "    timeout: 5h", "    mode: dry-run\n    max-changes: 7\n    timeout: 5h"
    )
    properties = published(make(config=config))
    packed = base64.b64decode(properties["Config"])
    found = unpack(packed, 0)
    (tmp_path / "closeout.yaml").write_text(config)
    (automation,) = load(tmp_path / "closeout.yaml", builtin()).automations
    assert found.automations == {"preview-cleanup": automation}
    assert (automation.protect_names, automation.mode, automation.max_changes) == (("prod-*",), "dry-run", 7)
    assert properties["Digest"] == digest_of(packed) == found.digest


def test_it_is_written_into_the_stacks_own_table(deleting: Made) -> None:
    """By a reference: a table that is replaced gets it too."""
    (table,) = deleting.of("AWS::DynamoDB::Table")
    assert published(deleting)["Table"] == {"Ref": table}


def test_the_same_configuration_changes_nothing(make: Make) -> None:
    """CloudFormation writes again only what has changed."""
    one, same, other = (published(make(config=text)) for text in (DELETES, DELETES + "# a word\n", DELETES.replace("5h", "4h")))  # fmt: skip
    assert one["Config"] == same["Config"] != other["Config"]
    assert one["Digest"] != other["Digest"]


def test_githubs_address_is_what_the_worker_finds_in_its_environment(make: Make) -> None:
    """A command that shows a plan has no such variable."""
    config = DELETES.replace("version: 1\n", "version: 1\ngithub: { api-url: env:GITHUB_API }\n")
    made = make(config=config, environment={"GITHUB_API": "https://github.acme.example/api/v3"})
    assert (
        unpack(base64.b64decode(published(made)["Config"]), 0).api_url == "https://github.acme.example/api/v3"
    )
    assert unpack(base64.b64decode(published(make())["Config"]), 0).api_url == "https://api.github.com"


def test_a_configuration_that_no_request_can_hold_is_refused(make: Make) -> None:
    """CloudFormation would fail in the middle of the next update, and of going back from it."""
    noise = random.Random(1)
    step = "      - {{ uses: shell, destructive: false, with: {{ run: 'echo {0}' }} }}\n"
    text = [noise.randbytes(100).hex() for _ in range(850)]
    config = DELETES.partition("      - uses")[0] + "".join(step.format(one) for one in text)
    with pytest.raises(ParameterError, match=f"{LARGEST:,} can be deployed"):
        make(config=config)


def test_the_chore_may_write_the_settings_and_no_run(standard: Made) -> None:
    """It has the table's one partition where a pause stands too."""
    rights = [
        statement
        for statement in standard.statements("ChoresPolicy")
        if "dynamodb:" in flat(statement["Action"])
    ]
    statement, rows = rights
    assert (rows["Action"], rows["Condition"]["ForAllValues:StringLike"]) == (
        "dynamodb:GetItem",
        {"dynamodb:LeadingKeys": ["run#*"]},
    )
    names = ("DeleteItem", "GetItem", "PutItem", "Query")
    assert statement["Action"] == [f"dynamodb:{name}" for name in names]
    assert statement["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["settings"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    (table,) = standard.of("AWS::DynamoDB::Table")
    assert statement["Resource"] == {"Fn::GetAtt": [table, "Arn"]}


# --- the chore ------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(aws: str, standard: Made) -> dict[str, Any]:
    """The properties as CloudFormation sends them, for a ledger that is there."""
    name = f"ledger-{uuid.uuid4().hex[:8]}"
    create_ledger(boto3.client("dynamodb"), name)
    return of_the_chore(standard) | {"Table": name}


def of_the_chore(made: Made) -> dict[str, Any]:
    """The properties without those that CloudFormation keeps to itself."""
    return {key: value for key, value in published(made).items() if not key.startswith("Service")}


def read(wanted: dict[str, Any]) -> Any:
    """What the worker reads."""
    return DynamoDeployed(Table(boto3.client("dynamodb"), wanted["Table"])).read()


def other(wanted: dict[str, Any], digest: str = "another") -> dict[str, Any]:
    """The properties of another file."""
    packed = base64.b64encode(pack([], "https://api.github.com")).decode()
    return {**wanted, "Config": packed, "Digest": digest}


def test_what_is_written_is_what_the_worker_reads(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any]
) -> None:
    """The handler has none of closeout's modules; the item is theirs all the same."""
    assert ask(handler, cloudformation, "Create", **wanted)["Status"] == "SUCCESS"
    packed = base64.b64decode(wanted["Config"])
    found = read(wanted)
    assert found.automations == unpack(packed, 0).automations
    items = boto3.client("dynamodb").scan(TableName=wanted["Table"])["Items"]
    known = [
        layout.known_item(definition_digest(one.canonical()), one.name, definition_lifetime(one))
        for one in (*found.automations.values(), *further(found.automations.values(), builtin()))
    ]
    deployed = layout.deployed_item(packed, wanted["Digest"], found.since)
    assert sorted(items, key=str) == sorted([deployed, *known], key=str)


# --- what is known of definitions -----------------------------------------------------------------------------


def known(wanted: dict[str, Any]) -> dict[str, float | None]:
    """For how many seconds from now each definition is known, None for as long as it is deployed; by automation."""
    items = map(layout.from_item, boto3.client("dynamodb").scan(TableName=wanted["Table"])["Items"])
    return {
        item["automation"]: item["expires"] - time.time() if "expires" in item else None
        for item in items
        if item["sk"].startswith(layout.KNOWN)
    }


def test_a_definition_is_known_until_the_runs_that_use_it_must_have_ended(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any]
) -> None:
    """Its time begins when another takes its place, and no later deployment prolongs it; one that goes back ends it."""
    (automation,) = unpack(base64.b64decode(wanted["Config"]), 0).automations.values()
    ask(handler, cloudformation, "Create", **wanted)
    assert known(wanted) == {automation.name: None}
    ask(handler, cloudformation, "Update", **other(wanted))
    left = known(wanted)[automation.name]
    assert left == pytest.approx(definition_lifetime(automation), abs=60)
    client = boto3.client("dynamodb")
    key = layout.known_key(definition_digest(automation.canonical()))
    client.update_item(
        TableName=wanted["Table"],
        Key=key,
        UpdateExpression="SET expires = :soon",
        ExpressionAttributeValues={":soon": {"N": str(int(time.time()) + 100)}},
    )
    ask(handler, cloudformation, "Update", **other(wanted))
    assert known(wanted)[automation.name] == pytest.approx(100, abs=60)
    ask(handler, cloudformation, "Update", **wanted)
    assert known(wanted) == {automation.name: None}
    ask(handler, cloudformation, "Delete", **wanted)
    assert known(wanted)[automation.name] == pytest.approx(definition_lifetime(automation), abs=60)


def test_what_further_attempts_carry_out_is_known_too(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any], deleting: Made
) -> None:
    """Else the worker would not run what a recheck or `orphans --clean` starts; a deployment that replaces it ends it."""
    properties = of_the_chore(deleting) | {"Table": wanted["Table"]}
    ask(handler, cloudformation, "Create", **properties)
    (automation,) = unpack(base64.b64decode(properties["Config"]), 0).automations.values()
    forms = {form.canonical() for form in further([automation], builtin())}
    assert len(forms - {automation.canonical()}) == 2

    def found() -> list[dict[str, Any]]:
        keys = (layout.known_key(definition_digest(form)) for form in forms)
        client = boto3.client("dynamodb")
        return [client.get_item(TableName=wanted["Table"], Key=key)["Item"] for key in keys]

    assert not any("expires" in item for item in found())
    ask(handler, cloudformation, "Update", **other(properties))
    assert all("expires" in item for item in found())


def test_the_first_upgrade_knows_what_was_deployed_before(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any]
) -> None:
    """A release that kept no digests left the configuration alone; what it accepted must still run."""
    packed = base64.b64decode(wanted["Config"])
    (automation,) = unpack(packed, 0).automations.values()
    before = layout.deployed_item(packed, wanted["Digest"], time.time())
    boto3.client("dynamodb").put_item(TableName=wanted["Table"], Item=before)
    ask(handler, cloudformation, "Update", **other(wanted))
    assert known(wanted)[automation.name] == pytest.approx(definition_lifetime(automation), abs=60)


# --- ways of a deployment -------------------------------------------------------------------------------------


def test_an_update_that_fails_and_goes_back_writes_the_former_one(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any]
) -> None:
    """CloudFormation then asks for another update, to the properties from before."""
    ask(handler, cloudformation, "Create", **wanted)
    ask(handler, cloudformation, "Update", **other(wanted))
    assert read(wanted).automations == {}
    ask(handler, cloudformation, "Update", **wanted)
    assert read(wanted).digest == wanted["Digest"]


def test_what_goes_leaves_no_word_of_itself(
    handler: Any, cloudformation: CloudFormation, wanted: dict[str, Any]
) -> None:
    """The table may be kept when the stack goes; another stack's word in it is left alone."""
    ask(handler, cloudformation, "Create", **wanted)
    assert ask(handler, cloudformation, "Delete", **other(wanted))["Status"] == "SUCCESS"
    assert read(wanted) is not None
    for _ in range(2):
        assert ask(handler, cloudformation, "Delete", **wanted)["Status"] == "SUCCESS"
        assert read(wanted) is None
    boto3.client("dynamodb").delete_table(TableName=wanted["Table"])
    assert ask(handler, cloudformation, "Delete", **wanted)["Status"] == "SUCCESS", "gone with its table"


class Denying:
    """DynamoDB, to which a right becomes known after some tries; `refuses` with another word for good."""

    def __init__(self, tries: int, word: str = "AccessDeniedException") -> None:
        self.left, self.word, self.written = tries, word, 0
        self.exceptions = boto3.client("dynamodb", region_name="eu-central-1").exceptions

    def get_paginator(self, name: str) -> Any:
        """Return what reads page by page."""

        def paginate(**_: Any) -> list[Any]:
            self._allowed(name)
            return []

        return SimpleNamespace(paginate=paginate)

    def get_item(self, **_: Any) -> dict[str, Any]:
        """Find nothing."""
        return {}

    def put_item(self, **_: Any) -> None:
        """Count it."""
        self._allowed("PutItem")
        self.written += 1

    def _allowed(self, name: str) -> None:
        if self.left:
            self.left -= 1
            raise ClientError({"Error": {"Code": self.word, "Message": "no"}}, name)


@pytest.mark.parametrize(
    ("dynamodb", "status", "written", "waited"),
    [
        (lambda: Denying(2), "SUCCESS", 2, [5.0, 5.0]),
        (lambda: Denying(1_000), "FAILED", 0, [5.0] * 17),
        (lambda: Denying(1, "ValidationException"), "FAILED", 0, []),
    ],
    ids=["known late", "never known", "another error"],
)
def test_a_right_that_came_with_the_deployment_is_waited_for(
    handler: Any,
    cloudformation: CloudFormation,
    standard: Made,
    dynamodb: Any,
    status: str,
    written: int,
    waited: list[float],
) -> None:
    """An upgrade adds it to a role that is there; IAM tells the world within seconds, not at once."""
    client = dynamodb()
    slept: list[float] = []
    properties = of_the_chore(standard) | {"Table": "ledger"}
    answer = ask(handler, cloudformation, "Update", client, slept.append, **properties)
    assert (answer["Status"], client.written, slept) == (status, written, waited)
    assert len(json.dumps(answer)) < 4096, "CloudFormation takes no longer answer"
