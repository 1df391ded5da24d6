"""The stack: its parts and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import CfnOutput, Stack
from constructs import Construct, IConstruct

from closeout.config.findings import listed
from closeout.core.protect import TAG
from closeout.stack.problems import is_notifiable
from closeout_cdk import permissions
from closeout_cdk.alarms import Alarms
from closeout_cdk.api import Api
from closeout_cdk.bundling import Bundle
from closeout_cdk.chores import Chores
from closeout_cdk.config import Config
from closeout_cdk.failures import Failures
from closeout_cdk.functions import Functions
from closeout_cdk.guard import Guard
from closeout_cdk.ledger import Ledger
from closeout_cdk.notify import Notify
from closeout_cdk.parameters import Parameters
from closeout_cdk.patrol import Patrol
from closeout_cdk.protect import Own, protect
from closeout_cdk.secrets import Secrets


class CloseoutStack(Stack):
    """The stack, with the name in the parameters."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        parameters: Parameters,
        config: Config,
        bundles: Mapping[str, Bundle],
        **options: Any,
    ) -> None:
        super().__init__(
            scope,
            name,
            description="closeout: durable automation on GitHub events, first of all when a pull request closes",
            analytics_reporting=False,
            **options,
        )
        cdk.Tags.of(self).add(TAG, name)
        self.ledger = Ledger(self, "Ledger", parameters)
        self.secrets = Secrets(self, "Secrets", parameters)
        self.functions = Functions(
            self,
            "Functions",
            given=parameters,
            config=config,
            ledger=self.ledger,
            secrets=self.secrets,
            bundles=bundles,
        )
        made = self.functions
        self.api = Api(self, "Api", given=parameters, receiver=self.functions.receiver)
        self.patrol = Patrol(
            self,
            "Patrol",
            config=config,
            functions=made,
            ledger=self.ledger,
            secrets=self.secrets,
            webhook=self.api.rest.url_for_path("/webhook"),
        )
        self.guard = self._guard(parameters, config, bundles)
        self.notify = self._notify(config)
        guards = [guard.role for guard in self.guard]
        readers = (made.worker_role, made.ended_role, self.patrol.role, *guards)
        self.secrets.protect((made.receiver_role,), readers, parameters.secret_readers)
        self.failures = Failures(self, "Failures", self.functions)
        self.alarms = self._alarms(parameters, config)
        chores = Chores(self, "Chores", parameters)
        published = chores.publish(self.ledger.table, config)
        self._do_chores(chores, parameters, published)
        self.functions.permit_worker(config, protect(self, self._own(chores)), published)
        parts = (self.ledger, self.secrets, self.api, self.patrol, self.failures, self.alarms, chores)
        made.start_last(*parts, *self.guard, *self.notify)
        self._tell(parameters)

    def _alarms(self, given: Parameters, config: Config) -> Alarms:
        """Return the alarms, with the one on messages if there are any."""
        alarms = Alarms(
            self,
            "Alarms",
            functions=self.functions,
            patrol=config.patrol,
            patrol_logs=self.patrol.logs,
            access_logs=self.api.access_logs,
            email=given.alarm_email,
        )
        for one in self.notify:
            alarms.watch_messages(one)
        return alarms

    def _guard(self, given: Parameters, config: Config, bundles: Mapping[str, Bundle]) -> tuple[Guard, ...]:
        """Return the guard for deploys, if there is one."""
        if given.guard is None:
            return ()
        guard = Guard(
            self,
            "Guard",
            given=given,
            config=config,
            ledger=self.ledger,
            secrets=self.secrets,
            api=self.api,
            rechecks=self.functions.patrol_alias,
            bundle=bundles["guard"],
        )
        return (guard,)

    def _notify(self, config: Config) -> tuple[Notify, ...]:
        """Return the notifier, if there is one."""
        if not any(map(is_notifiable, config.routes.targets())):
            return ()
        made = self.functions
        return (Notify(self, "Notify", config=config, functions=made, ledger=self.ledger),)

    def _own(self, chores: Chores) -> Own:
        """Return the resources that the worker must not touch."""
        made = self.functions
        optional: tuple[Guard | Notify, ...] = (*self.guard, *self.notify)
        groups = (
            *(made.worker_logs, made.receiver_logs, made.ended_logs, self.patrol.logs, chores.logs),
            self.api.access_logs,
            *(part.logs for part in optional),
        )
        return Own(
            self.ledger,
            self.secrets.webhook_arn,
            (made.dead_letters, made.last_letters),
            [group for group in groups if group is not None],
            self.api.rest,
            # Not patrol's: the worker starts rechecks, and GitHub and the ledger decide what patrol does on an event.
            (made.receiver, made.ended, chores.function, *(part.function for part in optional)),
        )

    def _do_chores(self, chores: Chores, given: Parameters, published: cdk.CustomResource) -> None:
        """Add the custom resources that stop runs, empty the bucket and set up access logs.

        On deletion, CloudFormation deletes the receiver and patrol first, so that no run begins. Then one chore stops the runs, while
        the functions that post their statuses still exist. Then the other chore empties the bucket. On deployment, the receiver
        follows the published definitions, so that the worker knows each one that the receiver uses.
        """
        made = self.functions
        before: list[IConstruct] = [published]
        # Rechecks wait for days, and Lambda deletes a function only after its executions.
        chores.stop("StopRechecks", self.patrol.function, self.ledger.table)
        stop = chores.stop("StopRuns", made.worker, self.ledger.table)
        stop.node.add_dependency(self.failures, self.secrets, self.ledger.bucket, made.ended, published)
        before.append(stop)
        if "ledger" not in given.keep:
            emptied = chores.empty(self.ledger.bucket)
            stop.node.add_dependency(emptied)
            before.append(emptied)
        permissions.wait_for(made.receiver, made.receiver_policy, *before)
        self.patrol.permit(*before)
        if given.api_log_role == "create":
            self.api.rest.deployment_stage.node.add_dependency(chores.log_role())
        chores.finish()

    def _tell(self, given: Parameters) -> None:
        """Write the outputs under exact keys, because the command line reads them."""
        told = {
            "WebhookUrl": (
                self.api.rest.url_for_path("/webhook"),
                "the Payload URL of the webhook on GitHub",
            ),
            "WebhookSecretName": (self.secrets.webhook_name, "the secret of the webhook, in Secrets Manager"),
            "GitHubTokenSecretName": (
                self.secrets.token_name,
                "the token for GitHub's API, in Secrets Manager",
            ),
            "LogGroupName": (self.functions.worker_logs.log_group_name, "the runs' log"),
            "TableName": (self.ledger.table.table_name, "the ledger: deliveries, runs, steps"),
            "BucketName": (self.ledger.bucket.bucket_name, "bodies that are too large for the table"),
            "WorkerAlias": (self.functions.alias_arn, "the function that carries out runs"),
            "PatrolAlias": (
                self.patrol.alias_arn,
                "the function that finds events that GitHub did not deliver",
            ),
            "NotifyFunction": (
                self.notify[0].function.function_name if self.notify else None,
                "the function that notifies people of problems",
            ),
            "Region": (self.region, "the stack's region"),
            "ApiId": (self.api.rest.rest_api_id, "the REST API"),
            "PublicUrl": (
                self.guard[0].public_url if self.guard else None,
                "where workflows ask the guard, and their token's audience",
            ),
            "OnDestroy": (on_destroy(given), "what cdk destroy leaves behind"),
        }
        for key, (value, description) in told.items():
            if value is not None:
                CfnOutput(self, key, value=value, description=description)


def on_destroy(given: Parameters) -> str:
    """Return what remains when the stack is destroyed."""
    kept = [
        word
        for part, word in (
            ("ledger", "the table and the bucket"),
            ("secrets", "the secrets"),
            ("logs", "the log groups"),
        )
        if part in given.keep
    ]
    if given.github_token_secret is not None:
        kept.append(f"the secret {given.github_token_secret}, which existed before")
    if "ledger" not in given.keep:
        kept.append("for 35 days DynamoDB's own last backup of the table")
    return f"leaves {listed(kept, 'and')}" if kept else "leaves nothing"
