"""Notify people of problems: a small function that a schedule starts each minute. It exists only if the file has targets.

It reads the problems that runs and patrol stored, publishes to the topics of the configuration, sends to the URLs whose secrets
the configuration names, and stores what it sent. It cannot change any run, resource or secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from closeout.config.permissions import secret_statements
from closeout.core.problems import Routes
from closeout.stack import table as layout
from closeout.stack.problems import PROBLEMS, WATCHED, pack_routes, secrets, topics
from closeout_cdk import permissions
from closeout_cdk.config import Config
from closeout_cdk.functions import Functions
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import ParameterError

MINUTE = Duration.minutes(1)
TIMEOUT = Duration.minutes(2)
MOST_OF_A_VARIABLE = 3_000
"""Characters: all variables of a function together may have four kilobytes."""


class Notify(Construct):
    """The function with its role, log and schedule."""

    def __init__(
        self, scope: Construct, name: str, *, config: Config, functions: Functions, ledger: Ledger
    ) -> None:
        super().__init__(scope, name)
        routes = config.routes
        packed = pack_routes(routes)
        if len(packed) > MOST_OF_A_VARIABLE:
            raise ParameterError(
                f"`notify` is {len(packed):,} characters when it is packed, and {MOST_OF_A_VARIABLE:,} can be deployed: give"
                " fewer automations a `notify` of their own"
            )
        self.logs = functions.log_group(self, "Logs")
        self.role = permissions.role(self, "Role")
        policy = permissions.attach(self, "Policy", self.role, self._grants(routes, ledger))
        self.function = functions.function(
            self,
            "Function",
            self.role,
            self.logs,
            "notify",
            description="closeout: notifies people of problems",
            memory_size=512,
            timeout=TIMEOUT,
            environment={
                "CLOSEOUT_TABLE": ledger.table.table_name,
                "CLOSEOUT_LOG_GROUP": functions.worker_logs.log_group_name,
                "CLOSEOUT_STACK": Stack.of(self).stack_name,
                "CLOSEOUT_NOTIFY": packed,
                "CLOSEOUT_PATROL": json.dumps(asdict(config.patrol), sort_keys=True),
            },
        )
        permissions.wait_for(self.function, policy)
        self.rule = events.Rule(
            self,
            "Rule",
            description="closeout: when to look for problems that need a person",
            schedule=events.Schedule.rate(MINUTE),
            targets=[
                targets.LambdaFunction(
                    self.function,
                    event=events.RuleTargetInput.from_object({}),
                    # The next look makes up for a missed one.
                    retry_attempts=0,
                    max_event_age=MINUTE,
                )
            ],
        )

    def _grants(self, routes: Routes, ledger: Ledger) -> list[permissions.Grant]:
        table = ledger.table.table_arn
        grants = [
            permissions.write_log(self.logs),
            permissions.allow(
                ("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
                table,
                only=permissions.partitions(PROBLEMS),
            ),
            permissions.allow(("dynamodb:GetItem",), table, only=permissions.partitions(layout.RUN)),
            permissions.allow(("dynamodb:Query",), table, only=permissions.partitions(*WATCHED)),
            *permissions.of_actions(secret_statements(secrets(routes), "notify")),
        ]
        if topics(routes):
            grants.append(permissions.allow(("sns:Publish",), *topics(routes)))
        return grants
