"""Each role's one policy: what closeout itself needs, and for the worker what the configuration's actions need.

What the worker is denied, whatever a configuration asks for, stands in `protect.py`.
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
"""Characters of a function's name, of Lambda's 64, that CloudFormation leaves to the stack's name and the logical id."""
MOST_OF_A_POLICY = 10_240
"""Characters of a role's inline policies, spaces not counted (IAM and STS quotas)."""
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
    """A statement, and why its resources need a `*`."""

    statement: iam.PolicyStatement
    wildcard: str | None = None


def role(scope: Construct, name: str, policies: Sequence[str] = ()) -> iam.Role:
    """Return a role for a function, without AWS's managed policies, which allow every log group.

    `policies` are ARNs of the user's own: closeout cannot know what their scripts and functions do.
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
    """Return a service of AWS that acts for this account only.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    only = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    return iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=only)


def attach(scope: Construct, name: str, to: iam.IRole, grants: Sequence[Grant]) -> iam.Policy:
    """Attach the one policy of `to`. Raises `ValueError` for a `*` without a reason."""
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
    """Allow actions on these resources; `only` under these conditions."""
    statement = iam.PolicyStatement(
        actions=sorted(set(actions)), resources=list(resources), conditions=only or None
    )
    return Grant(statement, wildcard)


def write_log(group: logs.ILogGroup) -> Grant:
    """Allow to write into an existing log group, not to create it: it would come back after `cdk destroy`."""
    return allow(("logs:CreateLogStream", "logs:PutLogEvents"), group.log_group_arn)


def accept_deliveries(ledger: Ledger) -> list[Grant]:
    """Allow what the receiver does with the ledger: it faces the internet, so each action has its own partitions.

    What decides what a run does is in none of them: docs/adr/0018.
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
    """Allow what the worker and the handler of failed executions do with the ledger: they write runs, and read all of it."""
    bodies = ledger.bucket.arn_for_objects(f"{BODIES}*")
    table = ledger.table.table_arn
    return [
        allow(_READS, table),
        allow(_WRITES, table, only=partitions(layout.RUN, layout.KEY, layout.RECORD, PROBLEMS)),
        allow(("s3:GetObject",), bodies, wildcard="each body is an object of its own"),
        # Without it S3 answers "denied" instead of "no such key" for a body that has expired.
        allow(("s3:ListBucket",), ledger.bucket.bucket_arn),
    ]


def find_runs(ledger: Ledger) -> list[Grant]:
    """Allow what patrol does with the ledger: it reads all of it, and writes what the receiver writes, its marks, and problems.

    As the receiver, it writes nothing that decides what a run does: docs/adr/0018.
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
    """Return the condition that every item of a request is in a partition that begins so, or is called so.

    `Null`, since a request without keys would fit `ForAllValues` as well. In a transaction each item is a request of
    its own: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    names = [f"{one}*" if one.endswith("#") else one for one in beginnings]
    return {
        "ForAllValues:StringLike": {_KEYS: names},
        "Null": {_KEYS: "false"},
    }


def read_token(secrets: Secrets) -> list[Grant]:
    """Allow to read the token of GitHub's API; one that was there before, with whatever key it is encrypted with.

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
    """Allow what the durable SDK does with its own execution; `function` is the function's ARN or a pattern of it.

    Executions belong to versions, and an ARN without a qualifier matches none:
    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    """
    actions = ("lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState")
    return allow(actions, f"{function}:*", wildcard=_VERSIONS)


def ask_about_executions(function: str) -> Grant:
    """Allow a run to ask about the run before it, to start one that never began, and to wake the next.

    Lambda authorizes all but Invoke against the execution's ARN, which the function's version begins:
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
"""Where the worker looks for a secret that a step refers to by its name, and for its key."""


def _here(text: str) -> str:
    for anywhere, place in _SOMEWHERE.items():
        text = text.replace(anywhere, place)
    return text


def of_actions(found: Iterable[Statement]) -> list[Grant]:
    """Allow what the configuration's actions need of closeout's own role."""
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
    """Return a function's ARN before it is made: unless it has a name, CloudFormation calls it by stack, logical id and letters.

    So that a role's policy can stand before the function: Lambda tries it out when it creates the function (the
    dead-letter queue), and no invocation ever finds a role without it.
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
    """Make a function after its role's policy and other resources, and delete it before them; call it once for each function.

    In place of what CDK lists, the role, which the function's own reference says already (cfn-lint W3005).
    """
    resource, stack = function.node.default_child, Stack.of(function)
    assert isinstance(resource, lambda_.CfnFunction)
    ids = []
    for other in others:
        made = other.node.default_child
        assert isinstance(made, CfnElement)
        ids.append(stack.get_logical_id(made))
    resource.add_override("DependsOn", ids)
