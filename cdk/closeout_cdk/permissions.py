"""Each role's only policy: the rights that closeout itself needs and, for the worker, those that the configuration's actions need.

`protect.py` has what the worker is always denied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aws_cdk import ArnFormat, Aws, CfnElement, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from closeout.config.permissions import Statement
from closeout.stack import table as layout
from closeout.stack.patrol import PATROL
from closeout.stack.problems import PROBLEMS
from closeout_cdk import accept
from closeout_cdk.ledger import BODIES, Ledger
from closeout_cdk.parameters import ParameterError
from closeout_cdk.secrets import Secrets

MOST_OF_A_NAME = 50
"""Characters of a function's name that CloudFormation leaves for the stack's name and the logical id, of Lambda's 64."""
MOST_OF_A_POLICY = 10_240
"""Characters of a role's inline policies, without spaces (IAM and STS quotas)."""
_VERSIONS = "executions belong to versions of this one function, and their numbers are not known before"
_KEYS = "dynamodb:LeadingKeys"
_READS = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
_WRITES = (
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)


class Grant(NamedTuple):
    """A statement, and the reason why its resources need a `*`."""

    statement: iam.PolicyStatement
    wildcard: str | None = None


def role(scope: Construct, name: str, policies: Sequence[str] = ()) -> iam.Role:
    """Return a role for a function, without AWS's managed policies, which allow every log group.

    `policies` are ARNs of the user's own policies, because closeout cannot know what their scripts and functions do.
    """
    attached = [
        iam.ManagedPolicy.from_managed_policy_arn(scope, f"{name}Policy{number}", arn)
        for number, arn in enumerate(policies, 1)
    ]
    return iam.Role(
        scope,
        name,
        assumed_by=service("lambda"),
        managed_policies=attached or None,
    )


def service(name: str) -> iam.ServicePrincipal:
    """Return an AWS service as a principal that acts only for this account.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    only = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    return iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=only)


def attach(scope: Construct, name: str, to: iam.IRole, grants: Sequence[Grant]) -> iam.Policy:
    """Attach the only policy of `to`. Raises `ValueError` for a `*` without a reason."""
    policy = iam.Policy(scope, name, roles=[to], statements=[grant.statement for grant in grants])
    reasons: dict[str, str] = {}
    size = 0
    for statement, reason in grants:
        made = Stack.of(scope).resolve(statement.to_statement_json())
        size += len(json.dumps(made, separators=(",", ":")))
        if made["Effect"] != "Allow":
            continue
        resources = made["Resource"] if isinstance(made["Resource"], list) else [made["Resource"]]
        for text in map(accept.flat, resources):
            if "*" in text and reason is None:
                raise ValueError(f"{name}: `{text}` has no reason")
            if "*" in text:
                reasons[f"IAM5[Resource::{text}]"] = str(reason)
    if size > MOST_OF_A_POLICY:
        raise ParameterError(
            f"{name} is about {size:,} characters, and IAM takes {MOST_OF_A_POLICY:,} for one role: give some steps of"
            " the configuration an `assume-role`, whose permissions do not count here"
        )
    if reasons:
        accept.accept(policy, reasons)
    return policy


def allow(
    actions: Iterable[str],
    *resources: str,
    wildcard: str | None = None,
    only: Mapping[str, Mapping[str, object]] | None = None,
) -> Grant:
    """Allow actions on these resources, `only` under these conditions."""
    statement = iam.PolicyStatement(
        actions=sorted(set(actions)), resources=list(resources), conditions=only or None
    )
    return Grant(statement, wildcard)


def write_log(group: logs.ILogGroup) -> Grant:
    """Allow writes to an existing log group, but not its creation: it would come back after `cdk destroy`."""
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), group.log_group_arn)


def accept_deliveries(ledger: Ledger) -> list[Grant]:
    """Allow the receiver's use of the ledger: it faces the internet, so each action has its own partitions.

    None of them contains anything that decides what a run does: docs/adr/0018.
    """
    bodies = ledger.bucket.arn_for_objects(f"{BODIES}*")
    table = ledger.table.table_arn
    return [
        allow(("dynamodb:PutItem",), table, only=partitions(layout.DELIVERY, layout.RUN, layout.KEY)),
        allow(("dynamodb:GetItem",), table, only=partitions(layout.DELIVERY, layout.RUN)),
        allow(("dynamodb:UpdateItem",), table, only=partitions(layout.RUN)),
        allow(("s3:PutObject",), bodies, wildcard="each body is an object of its own"),
    ]


def keep_runs(ledger: Ledger) -> list[Grant]:
    """Allow the worker and the handler of failed executions to write runs and to read the whole ledger."""
    bodies = ledger.bucket.arn_for_objects(f"{BODIES}*")
    table = ledger.table.table_arn
    return [
        allow(_READS, table),
        allow(_WRITES, table, only=partitions(layout.RUN, layout.KEY, layout.RECORD, PROBLEMS)),
        allow(("s3:GetObject",), bodies, wildcard="each body is an object of its own"),
        # Without it S3 answers "denied" instead of "no such key" for an expired body.
        allow(("s3:ListBucket",), ledger.bucket.bucket_arn),
    ]


def find_runs(ledger: Ledger) -> list[Grant]:
    """Allow patrol to read the whole ledger, and to write what the receiver writes, its own marks, and problems.

    Like the receiver, it writes nothing that decides what a run does: docs/adr/0018.
    """
    bodies = ledger.bucket.arn_for_objects(f"{BODIES}*")
    table = ledger.table.table_arn
    put = partitions(layout.DELIVERY, layout.RUN, layout.KEY, PATROL)
    updated = partitions(layout.DELIVERY, layout.RUN, PATROL, PROBLEMS)
    return [
        allow(_READS, table),
        allow(("dynamodb:Query",), f"{table}/index/{layout.LISTING}"),
        allow(("dynamodb:PutItem",), table, only=put),
        allow(("dynamodb:UpdateItem",), table, only=updated),
        allow(("dynamodb:ConditionCheckItem",), table, only=partitions(PATROL)),
        allow(("s3:GetObject", "s3:PutObject"), bodies, wildcard="each body is an object of its own"),
        allow(("s3:ListBucket",), ledger.bucket.bucket_arn),
    ]


def partitions(*beginnings: str) -> Mapping[str, Mapping[str, object]]:
    """Return the condition that every item of a request is in a partition with one of these names or prefixes.

    `Null`, because a request without keys would also match `ForAllValues`. In a transaction each item is a separate
    request: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    names = [f"{one}*" if one.endswith("#") else one for one in beginnings]
    return {
        "ForAllValues:StringLike": {_KEYS: names},
        "Null": {_KEYS: "false"},
    }


def read_token(secrets: Secrets) -> list[Grant]:
    """Allow reading the token for GitHub's API and, for an existing one, using the key that encrypts it.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    """
    grants = [allow(("secretsmanager:GetSecretValue",), secrets.token_pattern)]
    if secrets.token is None:
        stack = Stack.of(secrets)
        keys = stack.format_arn(service="kms", resource="key", resource_name="*")
        only = {
            "StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.{stack.url_suffix}"},
            "StringLike": {"kms:EncryptionContext:SecretARN": secrets.token_pattern},
        }
        why = "the key is not known here, and it decrypts this one secret alone"
        grants.append(allow(("kms:Decrypt",), keys, wildcard=why, only=only))
    return grants


def run_executions(function: str) -> Grant:
    """Allow the durable SDK's calls about its own execution; `function` is the function's ARN or a pattern of it.

    Executions belong to versions, so an ARN without a qualifier matches none:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    """
    actions = ("lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState")
    return allow(actions, f"{function}:*", wildcard=_VERSIONS)


def ask_about_executions(function: str) -> Grant:
    """Allow a run to ask about the run before it, to start one that never began, and to wake the next one.

    Lambda authorizes all but Invoke against the execution's ARN, which begins with the function's version:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    """
    actions = (
        "lambda:GetDurableExecution",
        "lambda:InvokeFunction",
        "lambda:SendDurableExecutionCallbackSuccess",
    )
    return allow(actions, f"{function}:*", wildcard=_VERSIONS)


_SOMEWHERE = {
    "arn:aws:secretsmanager:*:*:": f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:",
    "arn:aws:kms:*:*:key/": f"arn:{Aws.PARTITION}:kms:{Aws.REGION}:{Aws.ACCOUNT_ID}:key/",
    "secretsmanager.*.amazonaws.com": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}",
}
"""Where the worker looks for a secret that a step names, and for its key."""


def _here(text: str) -> str:
    for anywhere, place in _SOMEWHERE.items():
        text = text.replace(anywhere, place)
    return text


def of_actions(found: Iterable[Statement]) -> list[Grant]:
    """Allow what the configuration's actions need from closeout's own role."""
    return [
        allow(
            one.actions,
            *map(_here, one.resources),
            wildcard=f"{', '.join(one.steps)}: {'; '.join(one.reasons)}"[:500],
            only={
                operator: {key: [_here(value) for value in values] for key, values in keys.items()}
                for operator, keys in one.condition.items()
            },
        )
        for one in found
        if one.system == "aws" and one.role is None
    ]


def named_by_cloudformation(function: lambda_.Function) -> str:
    """Return a function's ARN before the function exists: CloudFormation names an unnamed one by stack, logical id and letters.

    So a role's policy can exist before the function: Lambda tests it when it creates the function (the dead-letter
    queue), and no invocation ever finds a role without it.
    """
    stack, resource = Stack.of(function), function.node.default_child
    assert isinstance(resource, lambda_.CfnFunction)
    name = resource.function_name
    if name is None or Token.is_unresolved(name):
        made = f"{stack.stack_name}-{stack.get_logical_id(resource)}"
        if len(made) > MOST_OF_A_NAME:
            raise ValueError(f"CloudFormation would cut {made} short")
        name = f"{made}-*"
    return stack.format_arn(
        service="lambda",
        resource="function",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def wait_for(function: lambda_.Function, *others: IConstruct) -> None:
    """Create a function after its role's policy and other resources, and delete it before them. Call this once for each function.

    This replaces CDK's dependency on the role, which the function's own reference already implies (cfn-lint W3005).
    """
    resource, stack = function.node.default_child, Stack.of(function)
    assert isinstance(resource, lambda_.CfnFunction)
    ids = []
    for other in others:
        made = other.node.default_child
        assert isinstance(made, CfnElement)
        ids.append(stack.get_logical_id(made))
    resource.add_override("DependsOn", ids)
