"""Deny the worker changes to closeout itself, even if the configuration or a user's own policy allows them.

Names that CloudFormation generates begin with the stack's. The worker's policy uses references wherever it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from closeout.core.protect import BUILT_IN, TAG
from closeout.stack import table as layout
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import STACK
from closeout_cdk.permissions import Grant, named_by_cloudformation

_TABLE = """dynamodb:BatchWriteItem dynamodb:DeleteResourcePolicy dynamodb:DeleteTable dynamodb:DeleteTableReplica
dynamodb:*KinesisStreamingDestination dynamodb:PartiQL* dynamodb:PutResourcePolicy dynamodb:UpdateContinuousBackups
dynamodb:UpdateTable dynamodb:UpdateTimeToLive"""
_ITEMS = "dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem"
_SECRETS = """secretsmanager:Cancel* secretsmanager:Delete* secretsmanager:Put* secretsmanager:Remove*
secretsmanager:Replicate* secretsmanager:Restore* secretsmanager:Rotate* secretsmanager:Stop* secretsmanager:Update*"""
_FUNCTION = """lambda:Add* lambda:Create* lambda:Delete* lambda:Publish* lambda:Put* lambda:Remove*
lambda:StopDurableExecution lambda:Update*"""
_QUEUES = (
    "sqs:*MessageMoveTask sqs:*Permission sqs:ChangeMessage* sqs:Delete* sqs:Purge* sqs:Receive* sqs:Set*"
)
_LOGS = """logs:AssociateKmsKey logs:Delete* logs:PutDataProtectionPolicy logs:PutMetricFilter logs:PutRetentionPolicy
logs:PutSubscriptionFilter logs:PutTransformer"""


class Own(NamedTuple):
    """Resources of the stack that the worker's policy can refer to, and functions that it must not invoke."""

    ledger: Ledger
    webhook_secret: str
    queues: Sequence[sqs.IQueue]
    logs: Sequence[logs.ILogGroup]
    api: apigateway.RestApi
    functions: Sequence[lambda_.Function]


def protect(scope: Construct, own: Own) -> list[Grant]:
    """Deny everything that a step could do to closeout's own resources.

    The other functions trust their callers: one empties the bucket if an event says that the stack is deleted.
    """
    stack = Stack.of(scope)

    def arn(service: str, resource: str, **parts: str) -> str:
        # The resource in AWS's form. With `resource_name`, a name without a type before it would get a slash after it.
        form = ArnFormat.NO_RESOURCE_NAME
        return stack.format_arn(service=service, resource=resource, arn_format=form, **parts)

    name = stack.stack_name
    functions = arn("lambda", f"function:{name}-*")
    api = arn("apigateway", f"/restapis/{own.api.rest_api_id}", account="")
    bucket = own.ledger.bucket
    return [
        _deny("cloudformation:*", *(arn("cloudformation", f"stack/{one}/*") for one in sorted({name, f"{STACK}*", "CDKToolkit"}))),
        _deny("iam:*", arn("iam", f"role/{name}-*", region="")),
        _deny(_TABLE, own.ledger.table.table_arn),
        # The deployed configuration and the pause: a step must not lift its own guards. The worker itself only reads them.
        _deny(_ITEMS, own.ledger.table.table_arn, only={"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": [layout.SETTINGS]}}),
        _deny("s3:Delete* s3:Put*", bucket.bucket_arn, bucket.arn_for_objects("*")),
        # S3 evaluates the tags of a bucket only if its owner enabled that, so names protect the buckets of other stacks.
        _deny("s3:Delete* s3:Put*", *(f"arn:{Aws.PARTITION}:s3:::{one}" for one in BUILT_IN if "ledgerbodies" in one)),
        _deny(_SECRETS, arn("secretsmanager", f"secret:{name}/*"), own.webhook_secret),
        _deny(_FUNCTION, functions),
        _deny("lambda:Invoke*", *map(named_by_cloudformation, own.functions)),
        # Creation has no resource in IAM, and a mapping's id is unknown, so the mapping's function is the limit.
        _deny("lambda:*EventSourceMapping", "*", only={"ArnLike": {"lambda:FunctionArn": functions}}),
        _deny(_QUEUES, *(queue.queue_arn for queue in own.queues)),
        _deny("events:Delete* events:Disable* events:Put* events:Remove*", arn("events", f"rule/{name}-*")),
        _deny(_LOGS, *(group.log_group_arn for group in own.logs)),
        _deny("cloudwatch:Delete* cloudwatch:Disable* cloudwatch:Put* cloudwatch:Set*", arn("cloudwatch", f"alarm:{name}-*")),
        _deny("sns:*Permission sns:Delete* sns:Put* sns:Set*", arn("sns", f"{name}-*")),
        _deny("apigateway:*", api, f"{api}/*"),
        _others(name),
    ]  # fmt: skip


def _others(name: str) -> Grant:
    """Deny everything on resources of the account's other closeout stacks. Their names are unknown; all have the tag.

    Reading a stack stays allowed, so that a guard can say why it refuses.
    """
    tag = f"aws:ResourceTag/{TAG}"
    statement = iam.PolicyStatement(
        effect=iam.Effect.DENY,
        not_actions=[f"cloudformation:{reads}*" for reads in ("Describe", "Get", "List")],
        resources=["*"],
        conditions={"Null": {tag: "false"}, "StringNotEquals": {tag: name}},
    )
    return Grant(statement)


def _deny(actions: str, *resources: str, only: Mapping[str, Mapping[str, object]] | None = None) -> Grant:
    statement = iam.PolicyStatement(
        effect=iam.Effect.DENY, actions=actions.split(), resources=list(resources), conditions=only
    )
    return Grant(statement)
