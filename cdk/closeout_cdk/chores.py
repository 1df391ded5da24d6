"""The function behind the custom resources: see `housekeeping/handler.py`."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from closeout.stack import table as layout
from closeout_cdk import permissions
from closeout_cdk.accept import accept
from closeout_cdk.config import Config
from closeout_cdk.functions import RUNTIME, RUNTIME_REASON, architecture
from closeout_cdk.parameters import Parameters

SOURCE = Path(__file__).resolve().parent / "housekeeping"


class Chores(Construct):
    """One function, and a custom resource for each chore."""

    def __init__(self, scope: Construct, name: str, given: Parameters) -> None:
        super().__init__(scope, name)
        self._grants: list[permissions.Grant] = []
        self._role = permissions.role(self, "Role")
        self.logs = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_WEEK, removal_policy=RemovalPolicy.DESTROY
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description="closeout: publishes the configuration, stops runs and empties the bucket before they go, sets up access logs once",
            runtime=RUNTIME,
            architecture=architecture(given),
            handler="handler.handler",
            code=lambda_.Code.from_asset(str(SOURCE), exclude=["__pycache__"]),
            timeout=Duration.minutes(14),
            memory_size=256,
            role=self._role.without_policy_updates(),
            log_group=self.logs,
        )
        accept(self.function, {"L1": RUNTIME_REASON})

    def publish(self, table: dynamodb.ITable, config: Config) -> CustomResource:
        """Write the deployed configuration into the ledger's table."""
        settings = permissions.partitions(layout.SETTINGS)
        rights = (f"dynamodb:{action}" for action in ("DeleteItem", "GetItem", "PutItem", "Query"))
        self._grants.append(permissions.allow(rights, table.table_arn, only=settings))
        properties = {"Table": table.table_name, "Config": config.packed, "Digest": config.digest}
        properties["Further"] = config.further
        # An upgrade from a release without digests must write them, even if the configuration is unchanged.
        properties["Writes"] = "config, definitions"
        return self._resource("Published", {"Chore": "publish", **properties})

    def empty(self, bucket: s3.IBucket) -> CustomResource:
        """Empty a bucket when the stack is deleted."""
        everything = bucket.arn_for_objects("*")
        self._grants += [
            permissions.allow(("s3:ListBucketVersions",), bucket.bucket_arn),
            permissions.allow(
                ("s3:DeleteObject", "s3:DeleteObjectVersion"),
                everything,
                wildcard="all of it goes with the bucket",
            ),
        ]
        return self._resource("EmptyBucket", {"Chore": "empty", "Bucket": bucket.bucket_name})

    def stop(self, name: str, function: lambda_.Function, table: dynamodb.ITable) -> CustomResource:
        """Stop every execution of a durable function when the stack is deleted. The caller adds dependencies on what ends a run.

        A pattern names the function, because it depends on a resource of this one.
        """
        named = permissions.named_by_cloudformation(function)
        why = "executions belong to versions of this one function"
        self._grants += [
            permissions.allow(
                ("lambda:ListDurableExecutionsByFunction", "lambda:StopDurableExecution"),
                named,
                wildcard=why,
            ),
            permissions.allow(
                ("dynamodb:GetItem",), table.table_arn, only=permissions.partitions(layout.RUN)
            ),
        ]
        properties = {"Worker": function.function_name, "Table": table.table_name}
        return self._resource(name, {"Chore": "stop", **properties})

    def log_role(self) -> CustomResource:
        """Set the role with which API Gateway writes logs, if the account has none."""
        role = iam.Role(
            self,
            "ApiLogRole",
            description="API Gateway writes access logs with it; made by closeout",
            assumed_by=permissions.service("apigateway"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
                )
            ],
        )
        # The chore deletes it, unless another stage uses it for its log.
        role.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        accept(
            role,
            {
                f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]": "API Gateway accepts no narrower role for"
                " this account-wide setting: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html"
                for name in ("service-role/AmazonAPIGatewayPushToCloudWatchLogs",)
            },
        )
        stack = Stack.of(self)
        gateway = f"arn:{stack.partition}:apigateway:{stack.region}::"
        roles = f"arn:{stack.partition}:iam::{stack.account}:role/*"
        own = ("iam:DeleteRole", "iam:DetachRolePolicy", "iam:ListAttachedRolePolicies", "iam:PassRole")
        self._grants += [
            permissions.allow(("apigateway:GET", "apigateway:PATCH"), f"{gateway}/account"),
            permissions.allow(
                ("apigateway:GET",),
                f"{gateway}/restapis",
                f"{gateway}/restapis/*/stages",
                wildcard="whether a stage of another API logs by the role",
            ),
            permissions.allow(own, role.role_arn),
            permissions.allow(("iam:GetRole",), roles, wildcard="whether the account's role still exists"),
        ]
        return self._resource("LogRole", {"Chore": "log-role", "Role": role.role_arn})

    def finish(self) -> None:
        """Attach the role's only policy once all chores are known. The function waits for it."""
        stack = Stack.of(self)
        itself = stack.format_arn(
            service="cloudformation", resource="stack", resource_name=f"{stack.stack_name}/*"
        )
        why = "the stack's id is not known to its own resources"
        asks = permissions.allow(("cloudformation:DescribeStacks",), itself, wildcard=why)
        policy = permissions.attach(
            self, "Policy", self._role, [permissions.write_log(self.logs), asks, *self._grants]
        )
        permissions.wait_for(self.function, policy)

    def _resource(self, name: str, properties: dict[str, str]) -> CustomResource:
        return CustomResource(
            self,
            name,
            service_token=self.function.function_arn,
            resource_type="Custom::CloseoutChore",
            service_timeout=Duration.minutes(15),
            properties=properties,
        )
