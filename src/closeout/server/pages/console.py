"""Addresses in the AWS console for what a failed step left, so that a person can go there directly.

Only for types whose page is known. The address contains names from the plan, percent-encoded. Its form is that
of the console in November 2026, which AWS may change without notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from closeout.ports import StepView

_HOSTS = {"aws": "console.aws.amazon.com", "aws-us-gov": "console.amazonaws-us-gov.com", "aws-cn": "console.amazonaws.cn"}  # fmt: skip
_STACK = "AWS::CloudFormation::Stack"
_PAGES = {
    "AWS::S3::Bucket": "s3/buckets/{}?region={region}",
    "AWS::Lambda::Function": "lambda/home?region={region}#/functions/{}",
    "AWS::DynamoDB::Table": "dynamodbv2/home?region={region}#table?name={}",
    "AWS::IAM::Role": "iam/home?region={region}#/roles/details/{}",
    "AWS::EC2::SecurityGroup": "ec2/home?region={region}#SecurityGroup:groupId={}",
    "AWS::EC2::NetworkInterface": "ec2/home?region={region}#NetworkInterface:networkInterfaceId={}",
    "AWS::EC2::VPC": "vpcconsole/home?region={region}#VpcDetails:VpcId={}",
    "AWS::ECR::Repository": "ecr/repositories/private/{account}/{}?region={region}",
    "AWS::ECS::Cluster": "ecs/v2/clusters/{}/services?region={region}",
    "AWS::RDS::DBInstance": "rds/home?region={region}#database:id={}",
    "AWS::SQS::Queue": "sqs/v3/home?region={region}#/queues/{}",
    "AWS::SNS::Topic": "sns/v3/home?region={region}#/topic/{}",
    "AWS::SecretsManager::Secret": "secretsmanager/secret?name={}&region={region}",
    _STACK: "cloudformation/home?region={region}#/stacks/stackinfo?stackId={}",
}


def links(step: StepView) -> Mapping[str, str]:
    """Return the console's address of each planned resource of a step, by resource, for known types only."""
    changes = step.changes or ()
    region = _region(changes)
    found = {str(change.get("resource")): _link(change, region) for change in changes}
    return {resource: address for resource, address in found.items() if address}


def _region(changes: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return (partition, region) of a plan, which all of its changes share; None if no ARN contains them."""
    for change in changes:
        parts = str(_identity(change).get("stack_id", "")).split(":")
        if len(parts) >= 6 and parts[1] in _HOSTS and re.fullmatch(r"[a-z0-9-]+", parts[3]):
            return parts[1], parts[3]
    return None


def _link(change: Mapping[str, Any], where: tuple[str, str] | None) -> str | None:
    identity = _identity(change)
    if identity.get("bucket"):
        prefix = quote(str(identity.get("prefix", "")), safe="")
        bucket = quote(str(identity["bucket"]), safe="")
        return f"https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={prefix}"
    type_, name = identity.get("type"), identity.get("physical_id")
    if type_ is None and identity.get("stack_id"):
        type_, name = _STACK, identity["stack_id"]
    page = _PAGES.get(str(type_))
    if page is None or where is None or not name:
        return None
    partition, region = where
    account = quote(str(identity.get("account", "")), safe="")
    filled = page.format(quote(str(name), safe=""), region=quote(region, safe=""), account=account)
    return f"https://{region}.{_HOSTS[partition]}/{filled}"


def _identity(change: Mapping[str, Any]) -> Mapping[str, Any]:
    value = change.get("identity")
    return value if isinstance(value, dict) else {}
