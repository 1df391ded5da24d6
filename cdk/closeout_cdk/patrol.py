"""Patrol: a second durable function, which a schedule starts, with a role that lists and reads and deletes nothing.

It stores what it finds like the receiver, and the worker carries that out with its own role. Its execution is durable,
so that a killed one is repeated and a waiting one costs nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from aws_cdk import Annotations, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from closeout_cdk import permissions
from closeout_cdk.alarms import namespace
from closeout_cdk.config import Config
from closeout_cdk.functions import ALIAS, HISTORY_DAYS, INVOCATION, Functions
from closeout_cdk.ledger import Ledger
from closeout_cdk.secrets import Secrets

AFTER_THE_LAST = 2 * 86_400
"""Seconds that an execution may take after its last recheck is due: a failed one is tried again for most of a day."""


class Patrol(Construct):
    """The function with its role and log, and its schedule unless the file switches patrol off."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        functions: Functions,
        ledger: Ledger,
        secrets: Secrets,
        webhook: str,
    ) -> None:
        super().__init__(scope, name)
        self._config = config
        self._functions = functions
        self._ledger = ledger
        self._secrets = secrets
        self.logs = functions.log_group(self, "Logs")
        self.role = permissions.role(self, "Role")
        self.function = functions.function(
            self,
            "Function",
            self.role,
            self.logs,
            "patrol",
            description="closeout: finds events that GitHub did not deliver, and starts the worker for them",
            function_name=functions.patrol_name,
            memory_size=1024,
            timeout=INVOCATION,
            environment={
                **functions.of_runs(),
                "CLOSEOUT_WORKER": functions.alias_arn,
                "CLOSEOUT_WEBHOOK_URL": webhook,
                "CLOSEOUT_STACK": Stack.of(self).stack_name,
                "CLOSEOUT_METRICS": namespace(Stack.of(self).stack_name),
                "CLOSEOUT_PATROL": json.dumps(asdict(config.patrol), sort_keys=True),
            },
            durable_config=lambda_.DurableConfig(
                execution_timeout=Duration.seconds(config.last_recheck + AFTER_THE_LAST),
                retention_period=Duration.days(HISTORY_DAYS),
            ),
            # Like the worker's: an execution stays on its version.
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        Annotations.of(self.function).acknowledge_info(
            "aws-lambda:Function.DurableConfig",
            "it is durable from its first deployment: nothing is replaced",
        )
        self.alias = self.function.add_alias(ALIAS)
        self.alias_arn = f"{self.function.function_arn}:{ALIAS}"
        if config.patrol.minutes is not None:
            self._schedule(config.patrol.minutes)

    def permit(self, *others: IConstruct) -> None:
        """Attach the role's policy; the function waits for it and for `others`, and is deleted before them."""
        policy = permissions.attach(self, "Policy", self.role, self._grants())
        permissions.wait_for(self.function, policy, *others)

    def _grants(self) -> list[permissions.Grant]:
        return [
            permissions.write_log(self.logs),
            *permissions.find_runs(self._ledger),
            permissions.allow(("lambda:InvokeFunction",), self._functions.alias_arn),
            permissions.run_executions(permissions.named_by_cloudformation(self.function)),
            *permissions.read_token(self._secrets),
            *permissions.of_actions(self._config.audit),
            *permissions.of_actions(self._config.rechecks),
        ]

    def _schedule(self, minutes: int) -> None:
        self.rule = events.Rule(
            self,
            "Rule",
            description="closeout: when patrol looks",
            schedule=events.Schedule.rate(Duration.minutes(minutes)),
            targets=[
                targets.LambdaFunction(
                    self.alias,
                    event=events.RuleTargetInput.from_object({"patrol": {}}),
                    # The next round makes up for a missed one.
                    retry_attempts=0,
                    max_event_age=Duration.minutes(max(1, min(minutes, 1440))),
                )
            ],
        )
