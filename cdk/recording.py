"""The CDK app of `make record-live`: closeout's own stack under the recording's name, or the two small stacks next to it.

The context's keys have a colon, so that closeout's parameters ignore them: `recording:name`, `recording:what` (`own`
or `probe`), `recording:edit` (a tag for the secrets), `recording:execution` and `recording:invocation` (seconds).
"""

from __future__ import annotations

import os

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import IConstruct

from closeout_cdk import parameters
from closeout_cdk.bundling import Bundler
from closeout_cdk.config import read_config
from closeout_cdk.main import build, make_bundles

TAG = "closeout-recording"
EDITED = "closeout-recording-edit"


class Watch(cdk.Stack):
    """What outlives the functions: queues for their events and dead letters, and a bucket that is filled."""

    def __init__(self, app: cdk.App, name: str, region: str) -> None:
        super().__init__(app, f"{name}-watch", env=cdk.Environment(region=region))
        told = sqs.Queue(self, "Events", queue_name=f"{name}-events")
        sqs.Queue(self, "Letters", queue_name=f"{name}-letters")
        functions = f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{name}-"
        events.Rule(
            self,
            "Rule",
            event_pattern=events.EventPattern(
                source=["aws.lambda"],
                detail_type=["Durable Execution Status Change"],
                detail={"functionArn": [{"prefix": functions}]},
            ),
            targets=[targets.SqsQueue(told)],
        )
        bucket = s3.Bucket(self, "Full", versioned=True, removal_policy=cdk.RemovalPolicy.DESTROY)
        cdk.CfnOutput(self, "Bucket", value=bucket.bucket_name)


class Probe(cdk.Stack):
    """One durable function three times: with long times, with a short one for an invocation, and for an execution."""

    def __init__(self, app: cdk.App, name: str, given: parameters.Parameters) -> None:
        super().__init__(app, f"{name}-probe", env=cdk.Environment(region=given.region))
        bundler = Bundler()
        self._code = make_bundles(given, read_config(given, bundler), bundler)["worker"]
        self._machine = given.architecture
        self._name = name
        queue = f"arn:{self.partition}:sqs:{self.region}:{self.account}:{name}-letters"
        self._letters = sqs.Queue.from_queue_arn(self, "Letters", queue)
        self._role = self._make_role(queue)
        hours, most = cdk.Duration.hours(3), cdk.Duration.minutes(15)
        self._function("Long", most, hours)
        self._function("Brief", cdk.Duration.seconds(int(_context(app, "invocation"))), hours)
        self._function("Short", most, cdk.Duration.seconds(int(_context(app, "execution"))))

    def _make_role(self, letters: str) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        versions = f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self._name}-*:*"
        durable = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]
        allowed = [(durable, versions), (["sqs:SendMessage"], letters)]
        policy = iam.Policy(
            self,
            "Policy",
            roles=[role],
            statements=[iam.PolicyStatement(actions=actions, resources=[to]) for actions, to in allowed],
        )
        self._policy = policy
        return role

    def _function(self, part: str, invocation: cdk.Duration, execution: cdk.Duration) -> None:
        bundle = self._code
        made = lambda_.Function(
            self,
            part,
            function_name=f"{self._name}-{part.lower()}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64
            if self._machine == "arm64"
            else lambda_.Architecture.X86_64,
            handler="recording_probe.handler",
            code=lambda_.Code.from_asset(
                str(bundle.path), asset_hash=bundle.hash, asset_hash_type=cdk.AssetHashType.CUSTOM
            ),
            role=self._role.without_policy_updates(),
            memory_size=256,
            timeout=invocation,
            durable_config=lambda_.DurableConfig(
                execution_timeout=execution, retention_period=cdk.Duration.days(1)
            ),
            dead_letter_queue=self._letters,
            current_version_options=lambda_.VersionOptions(removal_policy=cdk.RemovalPolicy.RETAIN),
        )
        made.node.add_dependency(self._policy)
        made.add_alias("live")


def main() -> None:
    """Synthesize what the context asks for."""
    app = cdk.App()
    name = _context(app, "name")
    if _context(app, "what") == "own":
        _own(app, name)
    else:
        given = parameters.read(app.node.get_all_context())
        watch = Watch(app, name, given.region)
        Probe(app, name, given).add_dependency(watch)  # Lambda looks for the dead-letter queue
    cdk.Tags.of(app).add(TAG, name)
    for stack in app.node.children:
        if isinstance(stack, cdk.Stack):
            stack.tags.set_tag(TAG, name)  # without it nothing is removed
    app.synth()


def _own(app: cdk.App, name: str) -> None:
    """Build closeout's own stack under the recording's name."""
    app.node.set_context("stackName", name)
    stack = build(app, Bundler())
    if app.node.try_get_context("recording:edit"):
        cdk.Tags.of(stack.secrets).add(EDITED, "yes")


def _context(scope: IConstruct, key: str) -> str:
    """Return a key of the recording's from the context."""
    return str(scope.node.get_context(f"recording:{key}"))


if __name__ == "__main__":
    main()
