"""The stack: its parts put together, and what it tells whoever deployed it."""

from __future__ import annotations

import sys
from typing import Any

import aws_cdk as cdk
from aws_cdk import CfnOutput, Stack
from constructs import Construct

from closeout_cdk import bundling
from closeout_cdk.api import Api
from closeout_cdk.config import Config
from closeout_cdk.functions import Functions
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import Parameters
from closeout_cdk.secrets import Secrets


class CloseoutStack(Stack):
    """`closed-pr-event-stack`."""

    def __init__(
        self, scope: Construct, name: str, *, parameters: Parameters, config: Config, **options: Any
    ) -> None:
        super().__init__(
            scope,
            name,
            description="closeout: durable automation on GitHub events, first of all when a pull request closes",
            analytics_reporting=False,
            **options,
        )
        cdk.Tags.of(self).add("closeout", name)
        self.bundles = make_bundles(parameters, config)
        self.ledger = Ledger(self, "Ledger", parameters)
        self.secrets = Secrets(self, "Secrets", parameters)
        self.functions = Functions(
            self,
            "Functions",
            given=parameters,
            config=config,
            ledger=self.ledger,
            secrets=self.secrets,
            bundles=self.bundles,
        )
        receiver, worker, ended = self.functions.roles()
        self.secrets.protect((receiver,), (worker, ended), parameters.secret_readers)
        self.api = Api(self, "Api", given=parameters, receiver=self.functions.receiver)
        self._tell()

    def _tell(self) -> None:
        """Write the outputs, under exact keys: the command line reads them."""
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
            "WorkerAlias": (self.functions.alias.function_arn, "the function that carries out runs"),
            "Region": (self.region, "where all of it is"),
            "ApiId": (self.api.rest.rest_api_id, "the REST API"),
        }
        for key, (value, description) in told.items():
            CfnOutput(self, key, value=value, description=description)


def make_bundles(given: Parameters, config: Config) -> dict[str, bundling.Bundle]:
    """Make both bundles, and print how large they are."""
    target = bundling.Target(architecture=given.architecture, host=given.bundle_platform == "host")
    bundles = {
        "receiver": bundling.receiver(config.rules),
        "worker": bundling.worker(given.config_file, given.code_path, given.requirements_file, target),
    }
    for bundle in bundles.values():
        print(bundle.line(), file=sys.stderr)
    return bundles
