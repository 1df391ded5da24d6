"""Secrets that steps refer to: by name they are the stack's region's and account's; their keys are for them alone."""

from __future__ import annotations

from typing import Any

import pytest

from closeout_cdk.accept import flat
from support import Made, Make

CONFIG = """\
version: 1
automations:
  told:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps:
      - uses: http/request
        timeout: 1m
        with:
          url: https://hooks.example/closed
          secret-headers: { Authorization: "aws-secretsmanager:hooks/token" }
"""


def test_a_secret_by_name_is_one_of_this_region_and_account(make: Make) -> None:
    """Any region and account is wider than what is read; `arn:aws` is another partition's in China."""
    made = make(config=CONFIG, region="cn-north-1")
    resources = [
        resource
        for one in made.statements("WorkerPolicy")
        for resource in (one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]])
        if "hooks/token" in str(resource)
    ]
    parts = [
        "arn:",
        {"Ref": "AWS::Partition"},
        ":secretsmanager:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
    ]
    assert resources == [{"Fn::Join": ["", [*parts, ":secret:hooks/token-??????"]]}]


def keys(made: Made) -> list[dict[str, Any]]:
    """Return the worker's statements about KMS."""
    return [one for one in made.statements("WorkerPolicy") if "kms:" in str(one.get("Action"))]


def only(statement: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the conditions of a statement that has those of one operator."""
    ((operator, conditions),) = statement["Condition"].items()
    assert operator == "StringLike"
    return dict(conditions)


@pytest.mark.parametrize("token", ["create", "team/github"])
def test_a_secret_under_its_owners_key_can_be_read_and_that_key_serves_for_nothing_else(
    make: Make, token: str
) -> None:
    """Without `workerPolicies`, and even with an existing token's key, whose statement stays separate."""
    made = make(config=CONFIG, githubTokenSecret=token)
    here = "<AWS::Region>:<AWS::AccountId>"
    (statement,) = [one for one in keys(made) if "hooks/token" in str(one)]
    assert statement["Action"] == "kms:Decrypt"
    assert flat(statement["Resource"]) == f"arn:<AWS::Partition>:kms:{here}:key/*"
    conditions = {key: [flat(value) for value in values] for key, values in only(statement).items()}
    assert conditions == {
        "kms:EncryptionContext:SecretARN": [
            f"arn:<AWS::Partition>:secretsmanager:{here}:secret:hooks/token-??????"
        ],
        "kms:ViaService": ["secretsmanager.<AWS::Region>.<AWS::URLSuffix>"],
    }
    assert len(keys(made)) == (1 if token == "create" else 2)


def test_a_secret_of_another_account_has_its_key_there(make: Make) -> None:
    """Its ARN says which account that is."""
    arn = "arn:aws:secretsmanager:us-east-1:210987654321:secret:hooks/token-AbCdEf"
    (statement,) = keys(make(config=CONFIG.replace("hooks/token", arn)))
    assert statement["Resource"] == "arn:aws:kms:us-east-1:210987654321:key/*"
    assert statement["Condition"]["StringLike"]["kms:ViaService"] == [
        "secretsmanager.us-east-1.amazonaws.com"
    ]
