"""The three functions: the receiver, the durable worker behind its alias, and the handler of failed executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Annotations, ArnFormat, AssetHashType, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from closeout_cdk import accept, permissions
from closeout_cdk.bundling import Bundle
from closeout_cdk.config import Config
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import Parameters
from closeout_cdk.secrets import Secrets

RUNTIME = lambda_.Runtime.PYTHON_3_13
RUNTIME_REASON = "3.13 is what the bundles are compiled for and tested with; 3.14 follows with its wheels"
ALIAS = "live"
INVOCATION = Duration.minutes(15)
"""The worker's time for one invocation: Lambda's maximum. A run of hours takes many."""
ENDED_TIMEOUT = Duration.minutes(2)
ENDED_RETRIED = Duration.minutes(12)
"""How long a message is invisible while it is handled: six times the function's timeout, as Lambda recommends."""
ENDED_TRIES = 50
"""Tries for ten hours: GitHub may be down for a night, and a rate limit resets within the hour."""
HISTORY_DAYS = 14
"""How long Lambda keeps a finished execution; the ledger keeps the run itself."""


class Functions(Construct):
    """All three, with their roles, policies, log groups, and the queues for failures."""

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
        self._ledger = ledger
        self._secrets = secrets
        self._api_url = config.api_url
        self._shared = {
            "CLOSEOUT_TABLE": ledger.table.table_name,
            "CLOSEOUT_BUCKET": ledger.bucket.bucket_name,
            "CLOSEOUT_RETENTION_DAYS": str(given.retention_days),
        }
        self.last_letters = self._queue("LastLetters", None)
        self.dead_letters = self._queue("DeadLetters", self.last_letters)
        self.worker_logs, self.worker_role = (
            self.log_group(self, "WorkerLogs"),
            permissions.role(self, "WorkerRole", given.worker_policies),
        )
        self.receiver_logs, self.receiver_role = (
            self.log_group(self, "ReceiverLogs"),
            permissions.role(self, "ReceiverRole"),
        )
        self.ended_logs, self.ended_role = (
            self.log_group(self, "EndedLogs"),
            permissions.role(self, "EndedRole"),
        )
        # Set the name here: the worker and patrol's function start each other, and CloudFormation creates one before the other.
        stack = Stack.of(self)
        self.patrol_name = f"{stack.stack_name}-patrol"
        self.patrol_alias = stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=f"{self.patrol_name}:{ALIAS}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.worker = self._make_worker(config.execution_timeout)
        self.alias = self.worker.add_alias(ALIAS)
        # Not the alias's own ARN: CloudFormation would then update the alias before everything that refers to it. See `start_last`.
        self.alias_arn = f"{self.worker.function_arn}:{ALIAS}"
        self.receiver = self._make_receiver()
        self.ended = self._make_ended()

    def _make_worker(self, longest: float) -> lambda_.Function:
        made = self.function(
            self,
            "Worker",
            self.worker_role,
            self.worker_logs,
            "run",
            description="closeout: carries out runs, each a durable execution",
            memory_size=1024,
            timeout=INVOCATION,
            environment={**self.of_runs(), "CLOSEOUT_RECHECKS": self.patrol_alias},
            durable_config=lambda_.DurableConfig(
                execution_timeout=Duration.seconds(longest),
                retention_period=Duration.days(HISTORY_DAYS),
            ),
            dead_letter_queue=self.dead_letters,
            # A run of weeks continues in more than 16 further executions. Lambda would take them for a loop and stop it.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
            reserved_concurrent_executions=self._given.worker_concurrency,
            # Suspended executions are pinned to their version, so CloudFormation must keep it. But a rollback must delete
            # the version that its update published: Lambda publishes the same code only once, so the next update would
            # fail. See docs/adr/0021.
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        Annotations.of(made).acknowledge_info(
            "aws-lambda:Function.DurableConfig",
            "it is durable from its first deployment: nothing is replaced",
        )
        return made

    def permit_worker(
        self, config: Config, denied: Sequence[permissions.Grant], published: IConstruct
    ) -> None:
        """Attach the worker's policy once everything that it denies exists.

        The worker waits for `published`: it begins nothing whose definition it does not find there.
        """
        itself = permissions.named_by_cloudformation(self.worker)
        grants = [
            permissions.write_log(self.worker_logs),
            *permissions.keep_runs(self._ledger),
            permissions.run_executions(itself),
            permissions.ask_about_executions(itself),
            permissions.allow(("lambda:InvokeFunction",), self.patrol_alias),
            *permissions.read_token(self._secrets),
            permissions.allow(("sqs:SendMessage",), self.dead_letters.queue_arn),
            *permissions.of_actions(config.statements),
            *denied,
        ]
        policy = permissions.attach(self, "WorkerPolicy", self.worker_role, grants)
        permissions.wait_for(self.worker, policy, published)

    def start_last(self, *others: Construct) -> None:
        """Update the alias after `others` and the other functions, so that no run starts on a version that is rolled back.

        Until then runs start on the old version, even those that the new receiver accepts.
        """
        beside = [one for one in self.node.children if one.node.id != self.worker.node.id]
        self.alias.node.add_dependency(*beside, *others)

    def _make_receiver(self) -> lambda_.Function:
        made = self.function(
            self,
            "Receiver",
            self.receiver_role,
            self.receiver_logs,
            "receive",
            description="closeout: verifies, stores and starts what GitHub delivers",
            memory_size=1024,
            timeout=Duration.seconds(20),
            environment={
                **self._shared,
                "CLOSEOUT_WORKER": self.alias_arn,
                "CLOSEOUT_WEBHOOK_SECRET": self._secrets.webhook_arn,
            },
            reserved_concurrent_executions=self._given.receiver_concurrency,
        )
        grants = [
            permissions.write_log(self.receiver_logs),
            *permissions.accept_deliveries(self._ledger),
            permissions.allow(("secretsmanager:GetSecretValue",), self._secrets.webhook_arn),
            permissions.allow(("lambda:InvokeFunction",), self.alias_arn),
        ]
        self.receiver_policy = permissions.attach(self, "ReceiverPolicy", self.receiver_role, grants)
        return made

    def _make_ended(self) -> lambda_.Function:
        made = self.function(
            self,
            "Ended",
            self.ended_role,
            self.ended_logs,
            "failed_executions",
            description="closeout: ends runs whose execution failed, timed out or was stopped",
            memory_size=1024,
            timeout=ENDED_TIMEOUT,
            environment={**self.of_runs(), "CLOSEOUT_WORKER": self.alias_arn},
            # A separate source: Lambda tries an event three times within minutes, but the queue's consumer for ten hours.
            dead_letter_queue=self.dead_letters,
        )
        taking = ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
        grants = [
            permissions.write_log(self.ended_logs),
            *permissions.keep_runs(self._ledger),
            permissions.ask_about_executions(self.worker.function_arn),
            *permissions.read_token(self._secrets),
            permissions.allow((f"sqs:{action}" for action in taking), self.dead_letters.queue_arn),
            permissions.allow(("sqs:SendMessage",), self.dead_letters.queue_arn),
        ]
        self.ended_policy = permissions.attach(self, "EndedPolicy", self.ended_role, grants)
        permissions.wait_for(made, self.ended_policy)
        return made

    def of_runs(self) -> dict[str, str]:
        """Return the environment variables of the functions that advance runs."""
        return {
            **self._given.environment,
            **self._shared,
            "CLOSEOUT_API_URL": self._api_url,
            "CLOSEOUT_GITHUB_SECRET": self._secrets.token_arn,
            "CLOSEOUT_CONFIG": "closeout.yaml",
            "CLOSEOUT_LOG_GROUP": self.worker_logs.log_group_name,
        }

    def function(
        self,
        scope: Construct,
        name: str,
        role: iam.Role,
        group: logs.LogGroup,
        module: str,
        **options: Any,
    ) -> lambda_.Function:
        """Return a function whose handler is in `closeout.lambdas.MODULE`, with its own bundle if it has one."""
        own = {"receive": "receiver", "notify": "notify"}.get(module, "worker")
        bundle = self._bundles.get(own, self._bundles["worker"])
        made = lambda_.Function(
            scope,
            name,
            runtime=RUNTIME,
            architecture=architecture(self._given),
            handler=f"closeout.lambdas.{module}.handler",
            code=lambda_.Code.from_asset(
                str(bundle.path), asset_hash=bundle.hash, asset_hash_type=AssetHashType.CUSTOM
            ),
            # Prevent policy updates: CDK would attach managed policies, which allow this for every function.
            role=role.without_policy_updates(),
            log_group=group,
            **options,
        )
        accept.accept(made, {"L1": RUNTIME_REASON})
        return made

    def _queue(self, name: str, then: sqs.Queue | None) -> sqs.Queue:
        """Return a dead-letter queue; a message that fails all its tries there moves to `then`."""
        return sqs.Queue(
            self,
            name,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
            visibility_timeout=ENDED_RETRIED,
            dead_letter_queue=sqs.DeadLetterQueue(queue=then, max_receive_count=ENDED_TRIES)
            if then
            else None,
        )

    def log_group(self, scope: Construct, name: str) -> logs.LogGroup:
        """Return a log group of a function."""
        return log_group(scope, name, self._given)


def architecture(given: Parameters) -> lambda_.Architecture:
    """Return CDK's value for the architecture."""
    return lambda_.Architecture.ARM_64 if given.architecture == "arm64" else lambda_.Architecture.X86_64


def log_group(scope: Construct, name: str, given: Parameters) -> logs.LogGroup:
    """Return a log group with the retention and the removal policy in the parameters."""
    made = logs.LogGroup(
        scope,
        name,
        removal_policy=RemovalPolicy.RETAIN if "logs" in given.keep else RemovalPolicy.DESTROY,
    )
    resource = made.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)
    resource.retention_in_days = given.log_retention_days
    return made
