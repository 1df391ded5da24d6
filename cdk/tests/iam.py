"""Evaluate a template's policies as IAM does, for the ARNs that CloudFormation will generate from the template.

A small evaluator (an explicit Deny before any Allow, `*` and `?`, `ArnLike`), because whether a Deny works depends on the
ARNs in real requests, and not on the text of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from support import Made

ACCOUNT, REGION = "123456789012", "eu-central-1"
HERE = f"{REGION}:{ACCOUNT}"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
FORMS = {
    "AWS::ApiGateway::RestApi": f"arn:aws:apigateway:{REGION}::/restapis/{{name}}",
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{HERE}:alarm:{{name}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{HERE}:table/{{name}}",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/{{name}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}",
    "AWS::Lambda::EventSourceMapping": f"arn:aws:lambda:{HERE}:event-source-mapping:4d9f8c1e-0a7b-4a53-9b0e-6f3f1c2d5e7a",
    "AWS::Lambda::Function": f"arn:aws:lambda:{HERE}:function:{{name}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:{{name}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:{{name}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:{{name}}",
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{HERE}:secret:{{name}}-a1B2c3",
}
"""ARNs as https://docs.aws.amazon.com/service-authorization/latest/reference has them, service by service."""
NAMED = {"AWS::CloudWatch::Alarm": "AlarmName", "AWS::SecretsManager::Secret": "Name"}
"""Resources that the template names; all others are named by CloudFormation."""


class Account:
    """An account with a stack in it: its resources by logical id, with the names that they would get."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._resources: dict[str, dict[str, Any]] = made.template["Resources"]

    def name(self, logical_id: str) -> str:
        """Return a resource's physical name."""
        made = self._resources[logical_id]
        kind = made["Type"]
        if kind == "AWS::ApiGateway::RestApi":
            return "a1b2c3d4e5"
        if kind in NAMED:
            return str(self.resolve(made["Properties"][NAMED[kind]]))
        if kind == "AWS::Lambda::Function" and "FunctionName" in made["Properties"]:
            return str(made["Properties"]["FunctionName"])
        name = f"{self._made.stack}-{logical_id}-1A2B3C4D5E6F"
        return name.lower() if kind == "AWS::S3::Bucket" else name

    def arn(self, logical_id: str) -> str:
        """Return a resource's ARN, as IAM sees it in a request that is about it."""
        return FORMS[self._resources[logical_id]["Type"]].format(name=self.name(logical_id))

    def resolve(self, value: Any) -> Any:
        """Return a property with CloudFormation's functions carried out."""
        if isinstance(value, list):
            return [self.resolve(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        match next(iter(value.items())):
            case ("Ref", "AWS::StackId"):
                return f"arn:aws:cloudformation:{HERE}:stack/{self._made.stack}/51af3dc0-da77-11e4-872e-1234567db123"
            case ("Ref", str(name)):
                return PSEUDO.get(name) or self._reference(name)
            case ("Fn::GetAtt", [str(name), "Arn"]):
                return self.arn(name)
            case ("Fn::Join", [str(between), parts]):
                return between.join(self.resolve(part) for part in parts)
            case ("Fn::Select", [number, parts]):
                return self.resolve(parts)[int(number)]
            case ("Fn::Split", [str(between), text]):
                return str(self.resolve(text)).split(between)
        return {key: self.resolve(one) for key, one in value.items()}

    def _reference(self, logical_id: str) -> str:
        kind = self._resources[logical_id]["Type"]
        if kind == "AWS::Lambda::Alias":
            return self.arn(self._resources[logical_id]["Properties"]["FunctionName"]["Ref"]) + ":live"
        return (
            self.arn(logical_id)
            if kind in ("AWS::SecretsManager::Secret", "AWS::SNS::Topic")
            else self.name(logical_id)
        )

    def statements(self, policy: str) -> list[dict[str, Any]]:
        """Return the statements of the only policy whose logical id holds `policy`."""
        return [dict(self.resolve(one)) for one in self._made.statements(policy)]


Context = Mapping[str, str | Iterable[str]]
"""The keys of a request's context, each with one value or several."""


def decision(
    statements: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Context | None = None,
) -> str:
    """Say `Deny` (explicit), `Allow`, or `neither`, which AWS denies too."""
    effects = {
        one["Effect"]
        for one in statements
        if any(
            fits(pattern.lower(), action.lower())
            for pattern in as_list(one.get("Action") or one["NotAction"])
        )
        is not ("NotAction" in one)
        and any(fits(pattern, resource) for pattern in as_list(one["Resource"]))
        and _holds(one.get("Condition", {}), context or {})
    }
    return next((effect for effect in ("Deny", "Allow") if effect in effects), "neither")


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every condition holds; the values of our policies to `StringEquals` hold no `*`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    """
    return all(
        _fulfilled(operator, [*as_list(context.get(key, ()))], as_list(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _fulfilled(operator: str, values: list[str], wanted: list[str]) -> bool:
    fitting = [any(fits(pattern, value) for pattern in wanted) for value in values]
    match operator:
        case "Null":
            return wanted == ["false" if values else "true"]
        case "ForAllValues:StringEquals" | "ForAllValues:StringLike":
            return all(fitting)
        case "ForAnyValue:StringEquals" | "ArnLike":
            return any(fitting)
        case "StringNotEquals":
            return not any(fitting)
    raise NotImplementedError(operator)


def as_list(value: Any) -> list[str]:
    """Return the values of an element of a policy, which may be one."""
    return [value] if isinstance(value, str) else list(value)


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with `*` and `?`."""
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None
