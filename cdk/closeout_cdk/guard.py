"""The guard for deploys: a function that only reads, with its own path. A stack has one if its parameters ask for it.

It starts only a recheck by patrol, which only reads, too; `rechecks` is the ARN of patrol's alias. Its role cannot be limited
to that: an attacker with control of the function could ask patrol for a round, or for the run of a closed pull request.

Anybody whom the API's resource policy admits may call it. It trusts only the token that GitHub issues to a workflow run: the
function verifies it with GitHub's keys, and answers only about that workflow's repository.
"""

from __future__ import annotations

from aws_cdk import AssetHashType, Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from closeout.stack import table as layout
from closeout_cdk import permissions
from closeout_cdk.accept import accept
from closeout_cdk.api import GUARD, Api
from closeout_cdk.bundling import Bundle
from closeout_cdk.config import Config
from closeout_cdk.functions import RUNTIME, RUNTIME_REASON, architecture, log_group
from closeout_cdk.ledger import Ledger
from closeout_cdk.parameters import Parameters
from closeout_cdk.secrets import Secrets

TIMEOUT = Duration.seconds(28)
"""Less than the 29 seconds that API Gateway waits."""
CERTIFICATES = ("SSL_CERT_DIR", "SSL_CERT_FILE")
"""Variables of `environment` that the guard needs, too: GitHub Enterprise Server may have its own certificate."""


class Guard(Construct):
    """The function with its role, its policy, its log group and its path."""

    def __init__(  # noqa: PLR0913 - it connects all the other parts
        self,
        scope: Construct,
        name: str,
        *,
        given: Parameters,
        config: Config,
        ledger: Ledger,
        secrets: Secrets,
        api: Api,
        rechecks: str,
        bundle: Bundle,
    ) -> None:
        super().__init__(scope, name)
        stack = Stack.of(self)
        # Not the stage's own URL, because the stage waits for the function.
        self.public_url = (
            f"https://{api.rest.rest_api_id}.execute-api.{stack.region}.{stack.url_suffix}/{given.stage}"
        )
        self.role = permissions.role(self, "Role")
        self.logs = log_group(self, "Logs", given)
        table = ledger.table.table_arn
        grants = [
            permissions.write_log(self.logs),
            permissions.allow(("dynamodb:GetItem",), table, only=permissions.partitions(layout.SETTINGS)),
            permissions.allow(("dynamodb:Query",), table, only=permissions.partitions(layout.RUN)),
            *permissions.read_token(secrets),
            permissions.allow(("lambda:InvokeFunction",), rechecks),
        ]
        policy = permissions.attach(self, "Policy", self.role, grants)
        certificates = {name: given.environment[name] for name in CERTIFICATES if name in given.environment}
        self.function = lambda_.Function(
            self,
            "Function",
            description="closeout: answers deploys that ask whether they may begin",
            runtime=RUNTIME,
            architecture=architecture(given),
            handler="closeout.lambdas.guard.handler",
            code=lambda_.Code.from_asset(
                str(bundle.path), asset_hash=bundle.hash, asset_hash_type=AssetHashType.CUSTOM
            ),
            memory_size=1024,
            timeout=TIMEOUT,
            environment={
                **certificates,
                "CLOSEOUT_TABLE": ledger.table.table_name,
                "CLOSEOUT_API_URL": config.api_url,
                "CLOSEOUT_GITHUB_SECRET": secrets.token_arn,
                "CLOSEOUT_PUBLIC_URL": self.public_url,
                "CLOSEOUT_RECHECKS": rechecks,
            },
            role=self.role.without_policy_updates(),
            log_group=self.logs,
        )
        accept(self.function, {"L1": RUNTIME_REASON})
        permissions.wait_for(self.function, policy)
        self._add_path(api)

    def _add_path(self, api: Api) -> None:
        integration = apigateway.LambdaIntegration(self.function, allow_test_invoke=False)
        method = api.rest.root.add_resource(GUARD).add_method("GET", integration)
        token = (
            "a workflow authenticates with GitHub's OIDC token, which the function verifies before all else"  # noqa: S105
        )
        accept(method, {"APIG4": token, "COG4": token})
