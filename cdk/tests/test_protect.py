"""The worker's effective rights: the Deny on closeout's own resources, and the file that the rights follow from."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from closeout_cdk.parameters import STACK
from iam import HERE, REGION, Account, decision
from support import DELETES, ROOT, Made, Make

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
"""What `workerPolicies` may come to."""

CHANGES = {
    "AWS::ApiGateway::RestApi": "apigateway:DELETE apigateway:PATCH apigateway:PUT apigateway:UpdateRestApiPolicy",
    "AWS::CloudWatch::Alarm": "cloudwatch:DeleteAlarms cloudwatch:DisableAlarmActions cloudwatch:PutMetricAlarm cloudwatch:SetAlarmState",
    "AWS::DynamoDB::Table": "dynamodb:DeleteTable dynamodb:UpdateTable dynamodb:UpdateTimeToLive dynamodb:PutResourcePolicy",
    "AWS::Events::Rule": "events:DeleteRule events:DisableRule events:PutRule events:PutTargets events:RemoveTargets",
    "AWS::IAM::Role": "iam:DeleteRole iam:DeleteRolePolicy iam:PutRolePolicy iam:AttachRolePolicy iam:PassRole",
    "AWS::Lambda::EventSourceMapping": "lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
    "AWS::Lambda::Function": "lambda:DeleteFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
    " lambda:PutFunctionConcurrency lambda:AddPermission lambda:RemovePermission",
    "AWS::Logs::LogGroup": "logs:DeleteLogGroup logs:DeleteLogStream logs:DeleteMetricFilter logs:PutMetricFilter"
    " logs:PutRetentionPolicy logs:PutSubscriptionFilter logs:AssociateKmsKey",
    "AWS::S3::Bucket": "s3:DeleteBucket s3:DeleteBucketPolicy s3:PutBucketPolicy s3:PutLifecycleConfiguration",
    "AWS::SNS::Topic": "sns:DeleteTopic sns:SetTopicAttributes sns:AddPermission sns:RemovePermission",
    "AWS::SQS::Queue": "sqs:DeleteQueue sqs:PurgeQueue sqs:SetQueueAttributes sqs:ReceiveMessage sqs:DeleteMessage"
    " sqs:StartMessageMoveTask",
    "AWS::SecretsManager::Secret": "secretsmanager:DeleteSecret secretsmanager:PutSecretValue secretsmanager:UpdateSecret"
    " secretsmanager:PutResourcePolicy secretsmanager:DeleteResourcePolicy",
}
"""By type, the calls that would delete a resource or break its purpose."""
PARTS = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::Stage",
    "AWS::IAM::Policy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
}
"""Changed by calls about another resource, which are above; or below its ARN, as the tests of parts look at."""
UNGUARDED = {
    "AWS::SNS::Subscription": "AWS cannot limit sns:Unsubscribe to a topic",
    "Custom::CloseoutChore": "no resource of AWS's",
}


@pytest.fixture(scope="module")
def whole(make: Make) -> Made:
    """Return the stack with everything that it may have."""
    return make(config=DELETES, alarmEmail="ops@example.com")


def worker(made: Made) -> tuple[Account, list[dict[str, Any]]]:
    """Return the account, and what holds for a worker that somebody gave every right."""
    account = Account(made)
    return account, [*account.statements("WorkerPolicy"), EVERYTHING]


def test_the_evaluator_lets_through_what_nothing_denies(whole: Made) -> None:
    """Else the tests below would pass whatever the policy says."""
    _, may = worker(whole)
    for action, resource in (
        ("sqs:PurgeQueue", f"arn:aws:sqs:{HERE}:somebody-elses"),
        ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:somebody-elses"),
        ("apigateway:DELETE", f"arn:aws:apigateway:{REGION}::/restapis/0000000000"),
        ("lambda:DeleteFunction", f"arn:aws:lambda:{HERE}:function:somebody-elses"),
    ):
        assert decision(may, action, resource) == "Allow"
    theirs = {"lambda:FunctionArn": f"arn:aws:lambda:{HERE}:function:somebody-elses"}
    assert decision(may, "lambda:DeleteEventSourceMapping", "*", theirs) == "Allow"


def test_nothing_of_the_stack_can_be_taken_away_or_changed(whole: Made) -> None:
    """Every resource in the template, by the ARN that its requests would have."""
    account, may = worker(whole)
    consumer = next(name for name in whole.of("AWS::Lambda::Function") if "Ended" in name)
    context = {"lambda:FunctionArn": account.arn(consumer)}
    looked_at = {
        (action, logical_id): decision(may, action, account.arn(logical_id), context)
        for logical_id, made in whole.template["Resources"].items()
        for action in CHANGES.get(made["Type"], "").split()
    }
    assert {asked: found for asked, found in looked_at.items() if found != "Deny"} == {}
    assert len(looked_at) > 120


def test_every_type_of_resource_is_accounted_for(whole: Made) -> None:
    """A resource that is added to the stack later must be denied, too, or be listed here with a reason."""
    types = {made["Type"] for made in whole.template["Resources"].values()}
    assert types - set(CHANGES) - PARTS - set(UNGUARDED) == set()


def test_what_is_below_a_resource_is_denied_with_it(whole: Made) -> None:
    """Versions and aliases, paths of the API, objects, and the stack itself with that of the CDK."""
    account, may = worker(whole)
    named = {name.rstrip("0123456789ABCDEF"): name for name in whole.template["Resources"]}
    function, api = account.arn(named["FunctionsWorker"]), account.arn(named["ApiRest"])
    bucket = account.arn(named["LedgerBodies"])
    for action, resource in (
        ("lambda:DeleteFunction", f"{function}:7"),
        ("lambda:UpdateAlias", f"{function}:live"),
        ("lambda:StopDurableExecution", f"{function}:7/durable-execution/run-1/{STACK}"),
        ("apigateway:PATCH", f"{api}/stages/prod"),
        ("apigateway:DELETE", f"{api}/resources/abc/methods/ANY"),
        ("s3:DeleteObject", f"{bucket}/bodies/ab/cd"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/{STACK}/51af3dc0"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/CDKToolkit/51af3dc0"),
    ):
        assert decision(may, action, resource) == "Deny", (action, resource)


def test_a_queue_is_not_read_into_another_function(whole: Made) -> None:
    """Nor is anything led into a function of closeout's."""
    account, may = worker(whole)
    for part in ("Worker", "Receiver", "Ended", "Chores"):
        function = next(name for name in whole.of("AWS::Lambda::Function") if part in name)
        context = {"lambda:FunctionArn": account.arn(function)}
        assert decision(may, "lambda:CreateEventSourceMapping", "*", context) == "Deny"


@pytest.mark.parametrize("part", ["Receiver", "Ended", "Chores"])
def test_functions_that_believe_who_invokes_them_are_not_invoked(whole: Made, part: str) -> None:
    """The chores' function empties the bucket if an event says that the stack is deleted; the other ends runs."""
    account, may = worker(whole)
    function = account.arn(next(name for name in whole.of("AWS::Lambda::Function") if part in name))
    for resource in (function, f"{function}:$LATEST"):
        assert decision(may, "lambda:InvokeFunction", resource) == "Deny"


def test_a_step_cannot_lift_its_own_guards(whole: Made) -> None:
    """The deployed configuration and the pause are in a partition of the table that the worker only reads."""
    account, may = worker(whole)
    table = account.arn(next(iter(whole.of("AWS::DynamoDB::Table"))))
    for name in ("PutItem", "UpdateItem", "DeleteItem"):
        asked = f"dynamodb:{name}"
        assert decision(may, asked, table, {"dynamodb:LeadingKeys": "settings"}) == "Deny"
        assert decision(may, asked, table, {"dynamodb:LeadingKeys": "run#abc"}) == "Allow"
    assert decision(may, "dynamodb:GetItem", table, {"dynamodb:LeadingKeys": "settings"}) == "Allow"
    for name in ("BatchWriteItem", "PartiQLUpdate", "PartiQLDelete", "EnableKinesisStreamingDestination"):
        assert decision(may, f"dynamodb:{name}", table) == "Deny"


def test_the_worker_may_still_work(whole: Made) -> None:
    """By its own policy alone: the Deny must not block its own work."""
    account = Account(whole)
    may = account.statements("WorkerPolicy")
    named = {name.rstrip("0123456789ABCDEF"): name for name in whole.template["Resources"]}
    function, table = account.arn(named["FunctionsWorker"]), account.arn(named["LedgerTable"])
    logs = account.arn(named["FunctionsWorkerLogs"]).removesuffix("*")
    for action, resource in (
        ("logs:PutLogEvents", f"{logs}log-stream:2026/11/25/[7]abc"),
        *((f"dynamodb:{name}", table) for name in ("GetItem", "Query")),
        ("s3:GetObject", f"{account.arn(named['LedgerBodies'])}/bodies/ab/cd"),
        ("lambda:CheckpointDurableExecution", f"{function}:7/durable-execution/run-1/abc"),
        ("lambda:InvokeFunction", f"{function}:live"),
        ("secretsmanager:GetSecretValue", account.arn(named["SecretsToken"])),
        ("sqs:SendMessage", account.arn(named["FunctionsDeadLetters"])),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/preview-7/51af3dc0"),
    ):
        assert decision(may, action, resource) == "Allow", (action, resource)


@pytest.mark.parametrize("config", [None, DELETES])
def test_no_arn_ends_in_a_slash(make: Make, config: str | None) -> None:
    """None of AWS's does: such a statement is about nothing, and a Deny that is about nothing looks like one."""
    made = make(config=config, alarmEmail="ops@example.com", githubTokenSecret="team/github")
    account = Account(made)
    resources = [
        resource
        for policy in made.of("AWS::IAM::Policy")
        for one in account.statements(policy)
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    ]
    assert len(resources) > 30
    assert [resource for resource in resources if resource.endswith(("/", ":"))] == []


def test_rights_are_those_of_the_file_that_was_deployed_last(make: Make) -> None:
    """A new name takes the old one's right away; the page on upgrades keeps it with steps that nothing starts."""
    renamed = DELETES.replace("stack-name: 'preview-", "stack-name: 'pr-preview-")
    page = (ROOT.parent / "docs/how-to/upgrade-a-stack.md").read_text("utf-8")
    resting = textwrap.dedent(page.partition("```yaml\n")[2].partition("   ```")[0]).partition(
        "automations:\n"
    )[2]
    old = f"arn:aws:cloudformation:{HERE}:stack/preview-17/51af3dc0"
    new = f"arn:aws:cloudformation:{HERE}:stack/pr-preview-17/51af3dc0"
    for config, both in ((DELETES, ("Allow", "neither")), (renamed, ("neither", "Allow")), (renamed + resting, ("Allow", "Allow"))):  # fmt: skip
        may = Account(make(config=config)).statements("WorkerPolicy")
        assert tuple(decision(may, "cloudformation:DeleteStack", name) for name in (old, new)) == both
