"""Compare the template with CloudFormation's registry schemas: what would stop an update or drift detection on AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from iam import ACCOUNT, Account, as_list, fits
from registry import has, listed, permissions, schema, strange
from support import Made

DEPLOYER = {
    "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-eu-central-1",
    "aws:SecureTransport": "true",
    "aws:SourceIp": "192.0.2.1",
}
"""Who deploys: CloudFormation with the role of the CDK's bootstrap, over TLS, from no address of GitHub's."""
KNOWN = {
    ("AWS::SecretsManager::Secret", "read", "secretsmanager:GetSecretValue"),
    ("AWS::SecretsManager::Secret", "update", "secretsmanager:GetSecretValue"),
}
"""Drift detection of a secret and an update of one read its value, which its policy denies to everybody but the roles.
The how-to says to lift the policy first. The deployer is not exempted, because it could then read every value."""
FIXED = {
    "AWS::ApiGateway::GatewayResponse": {"ResponseType"},
    "AWS::ApiGateway::Method": {"HttpMethod"},
    "AWS::ApiGateway::Resource": {"PathPart"},
    "AWS::ApiGateway::Stage": {"StageName"},
    "AWS::CloudWatch::Alarm": {"AlarmName"},
    "AWS::Lambda::Alias": {"Name"},
    "AWS::Lambda::Function": {"FunctionName"},
    "AWS::Lambda::Permission": {"Action", "Principal"},
    "AWS::SNS::Subscription": {"Endpoint", "Protocol"},
    "AWS::SecretsManager::Secret": {"Name"},
}
"""Create-only properties whose value is in the template. A change of one replaces the resource. If the name is among
them, a change of another property fails, because the name is taken."""


class Denied(NamedTuple):
    """An action of a handler that a policy in the template denies to the deployer."""

    kind: str
    handler: str
    action: str


def resource_denials(made: Made) -> Iterator[tuple[set[str], Mapping[str, Any]]]:
    """Yield each Deny of a policy on a resource, with the logical ids that it may be about.

    Policies of roles bind only the roles.
    """
    for name, resource in made.template["Resources"].items():
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            continue
        about = {name} | (set(_references(resource["Properties"])) & set(made.template["Resources"]))
        for statement in _statements(resource["Properties"]):
            if statement["Effect"] == "Deny":
                yield about, statement


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "Ref" in value:
            yield str(value["Ref"])
        if "Fn::GetAtt" in value:
            yield str(value["Fn::GetAtt"][0])
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def _statements(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "Effect" in value and ("Action" in value or "NotAction" in value):
            yield value
        for one in value.values():
            yield from _statements(one)
    elif isinstance(value, list):
        for one in value:
            yield from _statements(one)


def binds_the_deployer(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a Deny with these conditions applies to the deployer. An unknown condition counts as true."""
    outcomes = {
        "Bool": lambda value, wanted: value in wanted,
        "ArnNotLike": lambda value, wanted: not any(fits(one, value) for one in wanted),
        "StringNotEquals": lambda value, wanted: value not in wanted,
    }
    return all(
        outcomes.get(operator, lambda _value, _wanted: True)(DEPLOYER.get(key, ""), as_list(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def denied(made: Made) -> set[Denied]:
    """Return what the template's own policies would keep CloudFormation from."""
    account, found = Account(made), set()
    for about, statement in resource_denials(made):
        assert "Action" in statement, "the test reads no NotAction"
        if not binds_the_deployer(account.resolve(statement.get("Condition", {}))):
            continue
        for name in about:
            kind = made.template["Resources"][name]["Type"]
            if kind.startswith("Custom::"):
                continue
            for handler, action in permissions(kind):
                if any(fits(one.lower(), action.lower()) for one in as_list(statement["Action"])):
                    found.add(Denied(kind, handler, action))
    return found


def test_no_policy_keeps_cloudformation_from_what_its_handlers_do(deleting: Made) -> None:
    """Other than what the documentation says of the secrets."""
    assert denied(deleting) == KNOWN


def test_there_are_denials_to_look_at(deleting: Made) -> None:
    """Of the bucket and the secrets: a test that found none would pass."""
    resources = deleting.template["Resources"]
    kinds = {resources[name]["Type"] for about, _ in resource_denials(deleting) for name in about}
    assert {"AWS::S3::Bucket", "AWS::SecretsManager::Secret"} <= kinds


def own(made: Made) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the resources that CloudFormation makes: logical id, type, properties."""
    for name, resource in made.template["Resources"].items():
        if not resource["Type"].startswith("Custom::"):
            yield name, resource["Type"], resource.get("Properties", {})


def test_no_read_only_property_is_set(deleting: Made) -> None:
    """CloudFormation refuses a template with one."""
    assert [
        (name, path)
        for name, kind, properties in own(deleting)
        for path in listed(kind, "readOnlyProperties")
        if has(properties, path)
    ] == []


def test_what_cannot_change_later_is_known(deleting: Made) -> None:
    """Each create-only property whose value is in the template."""
    fixed: dict[str, set[str]] = {}
    for _, kind, properties in own(deleting):
        for path in listed(kind, "createOnlyProperties"):
            if "/" not in path and isinstance(properties.get(path), str):
                fixed.setdefault(kind, set()).add(path)
    assert {kind: paths for kind, paths in fixed.items() if not paths <= FIXED.get(kind, set())} == {}


def test_each_value_of_an_enum_is_one_of_its_values(deleting: Made) -> None:
    """And each property is one that the schema knows."""
    found = [problem for _, kind, properties in own(deleting) for problem in strange(kind, properties)]
    assert found == []
    unknown = [
        (name, one)
        for name, kind, properties in own(deleting)
        for one in properties
        if one not in schema(kind)["properties"]
    ]
    assert unknown == []
