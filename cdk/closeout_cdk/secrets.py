"""The two secrets, and who may read them.

The write-up's point was that anybody with access to a repository's settings sees its secrets. Here a resource policy
denies the value to everybody but the functions that need it and the readers that the parameters name. It denies nothing
else, so administrators can always change the policy, and CloudTrail records who did.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Aws, Fn, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from closeout_cdk.accept import accept
from closeout_cdk.parameters import Parameters


class Secrets(Construct):
    """The webhook's secret, which is generated, and the token for GitHub's API, an empty or an existing one."""

    def __init__(self, scope: Construct, name: str, given: Parameters) -> None:
        super().__init__(scope, name)
        removal = RemovalPolicy.RETAIN if "secrets" in given.keep else RemovalPolicy.DESTROY
        self.webhook = secretsmanager.CfnSecret(
            self,
            "Webhook",
            name=given.webhook_secret_name or _name(given.stack_name, "webhook"),
            description="Signs the deliveries of GitHub's webhook. Made by closeout; change it with closeout webhook rotate-secret",
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                password_length=48, exclude_punctuation=True
            ),
        )
        self.webhook.apply_removal_policy(removal)
        accept(
            self.webhook,
            {
                "SMG4": "GitHub must learn of a new value hook by hook: closeout webhook rotate-secret does both"
            },
        )
        self.webhook_name = given.webhook_secret_name or _name(given.stack_name, "webhook")
        self.webhook_arn = self.webhook.ref
        self.token: secretsmanager.CfnSecret | None = None
        if given.github_token_secret is None:
            # Not the L2 construct: it cannot leave a secret empty, and a generated password is not a token.
            self.token = secretsmanager.CfnSecret(
                self,
                "Token",
                name=_name(given.stack_name, "github-token"),
                description=f"A token for GitHub's API. Empty until closeout secret set github --stack {given.stack_name}",
            )
            self.token.apply_removal_policy(removal)
            accept(
                self.token,
                {"SMG4": "only GitHub can issue a token; closeout secret set github stores the next one"},
            )
            self.token_arn = self.token.ref
            self.token_pattern = self.token.ref
            self.token_name = _name(given.stack_name, "github-token")
        else:
            self.token_arn = self.token_name = given.github_token_secret
            self.token_pattern = Stack.of(self).format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{given.github_token_secret}-??????",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )

    def protect(
        self, webhook_readers: Sequence[iam.IRole], token_readers: Sequence[iam.IRole], others: Sequence[str]
    ) -> None:
        """Deny the values to everybody but these. An existing secret is not touched."""
        _deny(self, "WebhookPolicy", self.webhook_arn, webhook_readers, others)
        if self.token is not None:
            _deny(self, "TokenPolicy", self.token_arn, token_readers, others)


def _name(stack: str, what: str) -> str:
    """Return a name that no earlier stack has had, because a deleted secret's name stays taken for its recovery window."""
    stack_uuid = Fn.select(2, Fn.split("/", Aws.STACK_ID))
    return Fn.join("", [f"{stack}/{what}-", Fn.select(0, Fn.split("-", stack_uuid))])


def _deny(scope: Construct, name: str, arn: str, roles: Sequence[iam.IRole], others: Sequence[str]) -> None:
    readers = [*(role.role_arn for role in roles), *others]
    document = iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="OnlyTheseMayReadTheValue",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["secretsmanager:GetSecretValue"],
                resources=["*"],
                conditions={"ArnNotLike": {"aws:PrincipalArn": readers}},
            )
        ]
    )
    secretsmanager.CfnResourcePolicy(
        scope, name, secret_id=arn, resource_policy=document, block_public_policy=True
    )
