"""Each role's one policy: what closeout itself needs, and for the worker what the configuration's actions need.

Policies are resources of their own, beside the functions: they name the functions, which must not wait for them. The
Deny stands over everything a configuration can ask for, so that no automation can take away what it runs on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from closeout.config.permissions import Statement
from closeout.core import table as layout
from closeout_cdk import accept
from closeout_cdk.ledger import BODIES, Ledger
from closeout_cdk.parameters import STACK

_WRITES = ("dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
_WORKS = (
    *_WRITES,
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:Query",
)


class Grant(NamedTuple):
    """A statement, and why a `*` in its resources has to be: the name that stands there is not known before."""

    statement: iam.PolicyStatement
    wildcard: str | None = None


def role(scope: Construct, name: str) -> iam.Role:
    """Give a role for a function, without a managed policy: those allow every log group there is."""
    return iam.Role(scope, name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def attach(scope: Construct, name: str, to: iam.IRole, grants: Sequence[Grant]) -> iam.Policy:
    """Give `to` its one policy. Raises `ValueError` for a `*` without a reason."""
    policy = iam.Policy(scope, name, roles=[to], statements=[grant.statement for grant in grants])
    reasons: dict[str, str] = {}
    for statement, reason in grants:
        made = Stack.of(scope).resolve(statement.to_statement_json())
        if made["Effect"] != "Allow":
            continue
        resources = made["Resource"] if isinstance(made["Resource"], list) else [made["Resource"]]
        for text in map(accept.flat, resources):
            if "*" in text and reason is None:
                raise ValueError(f"{name}: `{text}` has no reason")
            if "*" in text:
                reasons[f"IAM5[Resource::{text}]"] = str(reason)
    if reasons:
        accept.accept(policy, reasons)
    return policy


def allow(actions: Iterable[str], *resources: str, wildcard: str | None = None) -> Grant:
    """Allow actions on these resources."""
    return Grant(iam.PolicyStatement(actions=sorted(set(actions)), resources=list(resources)), wildcard)


def write_log(group: logs.ILogGroup) -> Grant:
    """Write into a log group that is there. Not create one: after `cdk destroy` it would come back."""
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), group.log_group_arn)


def accept_deliveries(ledger: Ledger) -> list[Grant]:
    """Allow what the receiver does with the ledger."""
    return [
        allow(_WRITES, ledger.table.table_arn),
        allow(
            ("s3:PutObject",), ledger.bucket.arn_for_objects(f"{BODIES}*"), wildcard="each body is an object"
        ),
    ]


def keep_runs(ledger: Ledger) -> list[Grant]:
    """Allow what the worker and the handler of failed executions do with the ledger."""
    return [
        allow(_WORKS, ledger.table.table_arn),
        allow(("dynamodb:Query",), f"{ledger.table.table_arn}/index/{layout.LISTING}"),
        allow(
            ("s3:GetObject",), ledger.bucket.arn_for_objects(f"{BODIES}*"), wildcard="each body is an object"
        ),
    ]


def run_executions(function_arn: str) -> list[Grant]:
    """Allow what the durable SDK does, and what a run that waits asks about those before it, or starts.

    Executions belong to versions, whose numbers grow with each deployment; an ARN without a qualifier matches none:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    """
    why = "executions belong to versions of this one function, and their numbers are not known before"
    return [
        allow(
            (
                "lambda:CheckpointDurableExecution",
                "lambda:GetDurableExecution",
                "lambda:GetDurableExecutionState",
                "lambda:InvokeFunction",
                "lambda:ListDurableExecutionsByFunction",
            ),
            f"{function_arn}:*",
            wildcard=why,
        ),
    ]


def of_actions(found: Iterable[Statement]) -> list[Grant]:
    """Allow what the configuration's actions need of closeout's own role."""
    return [
        allow(one.actions, *one.resources, wildcard=f"{', '.join(one.steps)}: {'; '.join(one.reasons)}"[:500])
        for one in found
        if one.system == "aws" and one.role is None
    ]


def protect_own(scope: Construct, ledger: Ledger) -> list[Grant]:
    """Deny whatever an action could do to closeout's own resources, whatever the configuration allows.

    Reads of other things than secrets are left to what is allowed: a Deny on them would hide errors behind others.
    """
    stack = Stack.of(scope)

    def arn(service: str, resource: str, name: str, form: ArnFormat = ArnFormat.SLASH_RESOURCE_NAME) -> str:
        return stack.format_arn(service=service, resource=resource, resource_name=name, arn_format=form)

    mine = [
        arn("cloudformation", "stack", f"{STACK}/*"),
        arn("cloudformation", "stack", "CDKToolkit/*"),
    ]
    functions = [arn("lambda", "function", f"{STACK}-*", ArnFormat.COLON_RESOURCE_NAME)]
    groups = [arn("logs", "log-group", f"{STACK}-*", ArnFormat.COLON_RESOURCE_NAME)]
    secrets = [arn("secretsmanager", "secret", f"{STACK}/*", ArnFormat.COLON_RESOURCE_NAME)]
    roles = [f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{STACK}-*"]
    return [
        _deny(("cloudformation:*",), mine),
        _deny(
            (
                "dynamodb:Delete*Table*",
                "dynamodb:DeleteResourcePolicy",
                "dynamodb:UpdateTable*",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:UpdateTimeToLive",
                "dynamodb:RestoreTable*",
            ),
            [ledger.table.table_arn],
        ),
        _deny(
            ("s3:Delete*", "s3:PutBucket*", "s3:PutLifecycleConfiguration", "s3:PutEncryptionConfiguration"),
            [ledger.bucket.bucket_arn, ledger.bucket.arn_for_objects("*")],
        ),
        _deny(
            (
                "secretsmanager:Delete*",
                "secretsmanager:Put*",
                "secretsmanager:Update*",
                "secretsmanager:Restore*",
                "secretsmanager:Rotate*",
                "secretsmanager:Cancel*",
                "secretsmanager:Remove*",
                "secretsmanager:Replicate*",
                "secretsmanager:Stop*",
            ),
            secrets,
        ),
        _deny(
            (
                "lambda:Add*",
                "lambda:Create*",
                "lambda:Delete*",
                "lambda:Publish*",
                "lambda:Put*",
                "lambda:Remove*",
                "lambda:StopDurableExecution",
                "lambda:Update*",
            ),
            functions,
        ),
        _deny(("logs:Delete*", "logs:PutRetentionPolicy", "logs:PutSubscriptionFilter"), groups),
        _deny(("iam:*",), roles),
    ]


def _deny(actions: Sequence[str], resources: Sequence[str]) -> Grant:
    return Grant(
        iam.PolicyStatement(effect=iam.Effect.DENY, actions=list(actions), resources=list(resources))
    )
