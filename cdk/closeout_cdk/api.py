"""The API: a regional REST API. Two paths lead to the receiver; every other answer has closeout's error shape.

`guard.py` adds its own path if the parameters ask for it.

The receiver answers every method, so that a wrong one gets the same answer as locally. Gateway responses answer requests that
never reach it. It is a REST API and not an HTTP API, because only a REST API has a resource policy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from closeout_cdk.accept import accept
from closeout_cdk.functions import log_group
from closeout_cdk.parameters import Parameters

RATE, BURST = 200, 400
"""Requests per second, and in a burst: far more than GitHub sends, because GitHub does not retry refused requests."""
GUARD = "guard"
"""The guard's path, in a stack that has one."""
GUARD_RATE, GUARD_BURST = 10, 40
"""Questions per second, and in a burst: a workflow asks twice for each deploy, and again after a 429."""

_ANSWERS: Mapping[str, tuple[str, str, str]] = {
    # type: (status, code, sentence); a code is the local receiver's if it has one
    "MISSING_AUTHENTICATION_TOKEN": ("404", "not-found", "There is nothing at this path."),
    "RESOURCE_NOT_FOUND": ("404", "not-found", "There is nothing at this path."),
    "ACCESS_DENIED": ("403", "forbidden", "Requests from this address are not accepted."),
    "REQUEST_TOO_LARGE": ("413", "payload-too-large", "The body is over about 5.6 MB, which is more than can reach the receiver."),
    "THROTTLED": ("429", "overloaded", "Too much arrives at once, and nothing was acknowledged; it can be sent again."),
    "QUOTA_EXCEEDED": ("429", "overloaded", "Too much arrives at once, and nothing was acknowledged; it can be sent again."),
    "INTEGRATION_FAILURE": ("502", "internal-error", "Something went wrong inside closeout; its log says what. The delivery can be sent again."),
    "INTEGRATION_TIMEOUT": ("504", "internal-error", "The receiver did not answer in time. The delivery can be sent again."),
    "DEFAULT_4XX": ("", "bad-request", "The gateway does not take this request."),
    "DEFAULT_5XX": ("", "internal-error", "Something went wrong inside closeout; its log says what. The delivery can be sent again."),
}  # fmt: skip


class Api(Construct):
    """The REST API, its stage and its access log."""

    def __init__(
        self, scope: Construct, name: str, *, given: Parameters, receiver: lambda_.IFunction
    ) -> None:
        super().__init__(scope, name)
        self.access_logs: logs.LogGroup | None = None
        if given.api_log_role != "off":
            self.access_logs = log_group(self, "AccessLogs", given)
        self.rest = apigateway.RestApi(
            self,
            "Rest",
            rest_api_name=given.stack_name,
            description="closeout: receives GitHub's webhook",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            policy=_policy(given),
            cloud_watch_role=False,
            deploy_options=self._stage(given),
        )
        self.rest.node.try_remove_child("Endpoint")  # an output under CDK's own name
        integration = apigateway.LambdaIntegration(receiver, allow_test_invoke=False)
        # On `/` and `/webhook`, like the write-up and `closeout serve`.
        self.root = self.rest.root.add_method("ANY", integration)
        self.webhook = self.rest.root.add_resource("webhook").add_method("ANY", integration)
        self._accept()
        for kind, (status, code, sentence) in _ANSWERS.items():
            self.rest.add_gateway_response(
                f"Answer{kind.title().replace('_', '')}",
                type=apigateway.ResponseType.of(kind),
                status_code=status or None,
                response_headers={"Content-Type": "'application/json'"},
                templates={"application/json": json.dumps({"error": code, "message": sentence})},
            )

    def _accept(self) -> None:
        unsigned = (
            "GitHub authenticates with a signature over the body, which the receiver checks before all else"
        )
        for method in (self.root, self.webhook):
            accept(method, {"APIG4": unsigned, "COG4": unsigned})
        accept(
            self.rest,
            {
                "APIG2": "a schema would decode what is not yet verified; the receiver validates after the signature"
            },
        )
        rules = {
            "APIG3": "the resource policy, the throttle and the signature protect it; its owner can add a web ACL",
            "APIG6": "execution logs would hold bodies and headers of deliveries; the access log holds neither",
        }
        if self.access_logs is None:
            rules["APIG1"] = "apiGatewayLogRole is off: the deployer has chosen to have no access log"
        accept(self.rest.deployment_stage, rules)

    def _stage(self, given: Parameters) -> apigateway.StageOptions:
        to = apigateway.LogGroupLogDestination(self.access_logs) if self.access_logs else None
        # Contains nothing that a caller writes: API Gateway does not escape it, and a quote could forge another field. So the
        # path is that of the API's resource, and the id is the one that no header overrides:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-access-logging.html
        fields = {
            "at": "$context.requestTime",
            "request": "$context.extendedRequestId",
            "ip": "$context.identity.sourceIp",
            "resource": "$context.resourcePath",
            "status": "$context.status",
            "ms": "$context.responseLatency",
            "bytes": "$context.responseLength",
            "error": "$context.error.responseType",
        }
        return apigateway.StageOptions(
            stage_name=given.stage,
            throttling_rate_limit=RATE,
            throttling_burst_limit=BURST,
            method_options=_throttled() if given.guard is not None else None,
            access_log_destination=to,
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(fields)) if to else None,
        )


def _throttled() -> dict[str, apigateway.MethodDeploymentOptions]:
    """Return separate limits for the guard, so that questions do not use up the capacity for deliveries."""
    limits = apigateway.MethodDeploymentOptions(
        throttling_rate_limit=GUARD_RATE, throttling_burst_limit=GUARD_BURST
    )
    return {f"/{GUARD}/GET": limits}


def _policy(given: Parameters) -> iam.PolicyDocument:
    """Let everybody, or only GitHub's addresses, call the two paths. The signature authenticates a delivery.

    With a guard each path is allowed separately, because runners have other addresses than GitHub's hooks. Anything that no
    statement allows is denied.
    """

    def statement(
        effect: iam.Effect, paths: Sequence[str], **conditions: Mapping[str, Sequence[str]]
    ) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            effect=effect,
            principals=[iam.AnyPrincipal()],
            actions=["execute-api:Invoke"],
            resources=[f"execute-api:/{given.stage}/{path}" for path in paths],
            conditions=dict(conditions) or None,
        )

    hooks = ["*"] if given.guard is None else ["*/", "*/webhook"]
    statements = [statement(iam.Effect.ALLOW, hooks)]
    if given.github_addresses:
        github = {"aws:SourceIp": list(given.github_addresses)}
        statements.append(statement(iam.Effect.DENY, hooks, NotIpAddress=github))
    if given.guard is not None:
        statements.append(statement(iam.Effect.ALLOW, [f"GET/{GUARD}"]))
    if given.guard:
        runners = {"aws:SourceIp": list(given.guard)}
        statements.append(statement(iam.Effect.DENY, [f"*/{GUARD}*"], NotIpAddress=runners))
    return iam.PolicyDocument(statements=statements)
