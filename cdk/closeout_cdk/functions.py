"""The three functions: the receiver, the durable worker behind its alias, and the handler of failed executions."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import AssetHashType, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from closeout_cdk import accept, permissions
from closeout_cdk.bundling import Bundle
from closeout_cdk.config import Config
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import Parameters
from closeout_cdk.secrets import Secrets

RUNTIME = lambda_.Runtime.PYTHON_3_13
ALIAS = "live"
DRAIN_SECONDS = 900
"""The worker's time for one invocation: Lambda's maximum. A run of hours takes many."""
HISTORY_DAYS = 14
"""How long Lambda keeps a finished execution; the ledger keeps the run itself."""


class Functions(Construct):
    """All three, with their roles, policies and log groups."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        given: Parameters,
        config: Config,
        ledger: Ledger,
        secrets: Secrets,
        bundles: Mapping[str, Bundle],
    ) -> None:
        super().__init__(scope, name)
        self._given = given
        self._bundles = bundles
        shared = {
            "CLOSEOUT_TABLE": ledger.table.table_name,
            "CLOSEOUT_BUCKET": ledger.bucket.bucket_name,
            "CLOSEOUT_RETENTION_DAYS": str(given.retention_days),
        }
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
            visibility_timeout=Duration.minutes(6),
        )
        self._make_worker(config, ledger, secrets, shared)
        self._make_receiver(ledger, secrets, shared)
        self._make_ended(ledger, secrets)
        self._accept_runtime(self.worker, self.receiver, self.ended)

    def _make_worker(
        self, config: Config, ledger: Ledger, secrets: Secrets, shared: Mapping[str, str]
    ) -> None:
        self.worker_role = permissions.role(self, "WorkerRole")
        self.worker_logs = self._logs("WorkerLogs")
        self._works = {
            **self._given.environment,
            **shared,
            "CLOSEOUT_GITHUB_SECRET": secrets.token_arn,
            "CLOSEOUT_CONFIG": "closeout.yaml",
            "CLOSEOUT_LOG_GROUP": self.worker_logs.log_group_name,
        }
        self.worker = lambda_.Function(
            self,
            "Worker",
            description="closeout: carries out runs, each a durable execution",
            handler="closeout.lambdas.worker.handler",
            code=self._code("worker"),
            memory_size=1024,
            timeout=Duration.seconds(DRAIN_SECONDS),
            # Without policy updates: CDK would attach a managed policy for every function's executions.
            role=self.worker_role.without_policy_updates(),
            log_group=self.worker_logs,
            environment=self._works,
            durable_config=lambda_.DurableConfig(
                execution_timeout=Duration.seconds(config.execution_timeout),
                retention_period=Duration.days(HISTORY_DAYS),
            ),
            dead_letter_queue=self.dead_letters,
            # Suspended executions are pinned to their version: CloudFormation must not delete it under them.
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
            **self._common(),
        )
        self.alias = self.worker.add_alias(ALIAS)
        self.worker_policy = permissions.attach(
            self,
            "WorkerPolicy",
            self.worker_role,
            [
                permissions.write_log(self.worker_logs),
                *permissions.keep_runs(ledger),
                *permissions.run_executions(self.worker.function_arn),
                permissions.allow(("secretsmanager:GetSecretValue",), secrets.token_pattern),
                permissions.allow(("sqs:SendMessage",), self.dead_letters.queue_arn),
                *permissions.of_actions(config.statements),
                *permissions.protect_own(self, ledger),
            ],
        )
        # A role without its policy would fail the first runs: the alias is what makes them possible.
        self.alias.node.add_dependency(self.worker_policy)

    def _make_receiver(self, ledger: Ledger, secrets: Secrets, shared: Mapping[str, str]) -> None:
        self.receiver_role = permissions.role(self, "ReceiverRole")
        self.receiver_logs = self._logs("ReceiverLogs")
        self.receiver = lambda_.Function(
            self,
            "Receiver",
            description="closeout: verifies, stores and starts what GitHub delivers",
            handler="closeout.lambdas.receive.handler",
            code=self._code("receiver"),
            memory_size=1024,
            timeout=Duration.seconds(20),
            role=self.receiver_role.without_policy_updates(),
            log_group=self.receiver_logs,
            environment={
                **shared,
                "CLOSEOUT_WORKER": self.alias.function_arn,
                "CLOSEOUT_WEBHOOK_SECRET": secrets.webhook_arn,
            },
            **self._common(),
        )
        self.receiver_policy = permissions.attach(
            self,
            "ReceiverPolicy",
            self.receiver_role,
            [
                permissions.write_log(self.receiver_logs),
                *permissions.accept_deliveries(ledger),
                permissions.allow(("secretsmanager:GetSecretValue",), secrets.webhook_arn),
                permissions.allow(("lambda:InvokeFunction",), self.alias.function_arn),
            ],
        )

    def _make_ended(self, ledger: Ledger, secrets: Secrets) -> None:
        self.ended_role = permissions.role(self, "EndedRole")
        self.ended_logs = self._logs("EndedLogs")
        self.ended = lambda_.Function(
            self,
            "Ended",
            description="closeout: ends runs whose execution failed, timed out or was stopped",
            handler="closeout.lambdas.ended.handler",
            code=self._code("worker"),
            memory_size=512,
            timeout=Duration.minutes(1),
            role=self.ended_role.without_policy_updates(),
            log_group=self.ended_logs,
            environment={**self._works, "CLOSEOUT_WORKER": self.alias.function_arn},
            **self._common(),
        )
        self.ended_policy = permissions.attach(
            self,
            "EndedPolicy",
            self.ended_role,
            [
                permissions.write_log(self.ended_logs),
                *permissions.keep_runs(ledger),
                *permissions.run_executions(self.worker.function_arn),
                permissions.allow(("secretsmanager:GetSecretValue",), secrets.token_pattern),
                permissions.allow(
                    (
                        "sqs:ChangeMessageVisibility",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes",
                        "sqs:ReceiveMessage",
                    ),
                    self.dead_letters.queue_arn,
                ),
            ],
        )

    def roles(self) -> tuple[iam.Role, ...]:
        """Give the three roles."""
        return (self.receiver_role, self.worker_role, self.ended_role)

    def _accept_runtime(self, *functions: lambda_.Function) -> None:
        for function in functions:
            accept.accept(
                function,
                {
                    "L1": "3.13 is what the bundles are compiled for and tested with; 3.14 follows with its wheels"
                },
            )

    def _common(self) -> dict[str, object]:
        architecture = (
            lambda_.Architecture.ARM_64
            if self._given.architecture == "arm64"
            else lambda_.Architecture.X86_64
        )
        return {"runtime": RUNTIME, "architecture": architecture}

    def _code(self, bundle: str) -> lambda_.Code:
        made = self._bundles[bundle]
        return lambda_.Code.from_asset(
            str(made.path), asset_hash=made.hash, asset_hash_type=AssetHashType.CUSTOM
        )

    def _logs(self, name: str) -> logs.LogGroup:
        keep = "logs" in self._given.keep
        return logs.LogGroup(
            self,
            name,
            retention=retention(self._given.log_retention_days),
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
        )


def retention(days: int) -> logs.RetentionDays:
    """Give CDK's word for a number of days."""
    words = {
        1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH",
        60: "TWO_MONTHS", 90: "THREE_MONTHS", 120: "FOUR_MONTHS", 150: "FIVE_MONTHS", 180: "SIX_MONTHS",
        365: "ONE_YEAR", 400: "THIRTEEN_MONTHS", 545: "EIGHTEEN_MONTHS", 731: "TWO_YEARS", 1096: "THREE_YEARS",
        1827: "FIVE_YEARS", 2192: "SIX_YEARS", 2557: "SEVEN_YEARS", 2922: "EIGHT_YEARS", 3288: "NINE_YEARS",
        3653: "TEN_YEARS",
    }  # fmt: skip
    found: logs.RetentionDays = getattr(logs.RetentionDays, words[days])
    return found
