"""The template's important properties: who may do what, what is encrypted, what is kept, what raises an alarm."""

from __future__ import annotations

import pytest

from support import Made, Make, flat

FUNCTIONS = ("FunctionsWorker", "FunctionsReceiver", "FunctionsEnded", "PatrolFunction")


# --- the functions ----------------------------------------------------------------------------------------------


def test_the_worker_is_durable_behind_an_alias_and_keeps_its_versions(standard: Made) -> None:
    """Suspended executions are pinned to a version, which CloudFormation would delete with the next deployment."""
    worker = standard.one("AWS::Lambda::Function", "Worker")
    # 24 h in the queue, 3 h of run, an hour
    assert worker["DurableConfig"] == {"ExecutionTimeout": 28 * 3600, "RetentionPeriodInDays": 14}
    versions = standard.of("AWS::Lambda::Version")
    assert [name.partition("CurrentVersion")[0] for name in versions] == ["FunctionsWorker", "PatrolFunction"]
    for version in versions.values():
        assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == (
            "RetainExceptOnCreate",
            "Retain",
        )
    assert {made["Properties"]["Name"] for made in standard.of("AWS::Lambda::Alias").values()} == {"live"}


def test_the_execution_limit_follows_the_configuration(deleting: Made) -> None:
    """Queue bound, longest timeout, and an hour."""
    assert (
        deleting.one("AWS::Lambda::Function", "Worker")["DurableConfig"]["ExecutionTimeout"]
        == (30 + 5 + 1) * 3600
    )


def test_the_functions_get_what_they_read_and_no_secret(standard: Made) -> None:
    """Variables hold names, never values; the worker's own alias would be a circle."""
    expected = {
        "Receiver": {"TABLE", "BUCKET", "RETENTION_DAYS", "WORKER", "WEBHOOK_SECRET"},
    }
    runs = {"TABLE", "BUCKET", "RETENTION_DAYS", "API_URL", "GITHUB_SECRET", "CONFIG", "LOG_GROUP"}
    expected |= {"Worker": runs | {"RECHECKS"}, "Ended": runs | {"WORKER"}}
    expected["PatrolFunction"] = expected["Ended"] | {"WEBHOOK_URL", "STACK", "METRICS", "PATROL"}
    for name, variables in expected.items():
        function = standard.one("AWS::Lambda::Function", name if name in FUNCTIONS else f"Functions{name}")
        given = function["Environment"]["Variables"]
        assert set(given) == {f"CLOSEOUT_{variable}" for variable in variables}
        assert "resolve:secretsmanager" not in flat(given)
        assert function["Runtime"] == "python3.13"
    handlers = {one["Properties"]["Handler"] for one in standard.of("AWS::Lambda::Function").values()}
    entries = {
        f"closeout.lambdas.{name}.handler" for name in ("receive", "run", "failed_executions", "patrol")
    }
    assert entries <= handlers


def test_the_receiver_invokes_the_alias_and_not_the_function(standard: Made) -> None:
    """An execution on `$LATEST` would change its code under way."""
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "FunctionsWorker" in name)
    receiver = standard.one("AWS::Lambda::Function", "Receiver")
    live = {"Fn::Join": ["", [{"Fn::GetAtt": [worker, "Arn"]}, ":live"]]}
    assert receiver["Environment"]["Variables"]["CLOSEOUT_WORKER"] == live


def before(made: Made, logical_id: str) -> set[str]:
    """Return what CloudFormation makes before a resource, and deletes after it: what it refers to and depends on."""
    found: set[str] = set()
    waiting = [logical_id]
    resources = made.template["Resources"]
    while waiting:
        text = flat(resources[waiting.pop()])
        new = {name for name in resources if f'"{name}"' in text or f"${{{name}" in text} - found
        found |= new
        waiting += new
    return found


def test_the_alias_moves_after_everything_else(deleting: Made) -> None:
    """Else a run starts on a version that a rollback deletes. Nothing refers to it, which would move it before that."""
    (alias,) = (name for name in deleting.of("AWS::Lambda::Alias") if name.startswith("FunctionsWorker"))
    assert before(deleting, alias) == set(deleting.template["Resources"]) - {alias}


def test_runs_are_stopped_after_the_receiver_is_gone_and_while_their_ends_are_handled(deleting: Made) -> None:
    """CloudFormation deletes in the opposite order of `before`."""
    named = {name.rstrip("0123456789ABCDEF"): name for name in deleting.template["Resources"]}
    assert named["ChoresStopRuns"] in before(deleting, named["FunctionsReceiver"])
    needed = before(deleting, named["ChoresStopRuns"])
    assert named["ChoresStopRuns"] in before(deleting, named["PatrolFunction"])
    # Lambda deletes a function only once its executions have ended, and a recheck waits for days.
    assert named["PatrolFunction"] in before(deleting, named["ChoresStopRechecks"])
    functions = {
        f"Functions{name}" for name in ("Worker", "WorkerPolicy", "Ended", "EndedPolicy", "DeadLetters")
    }
    ledger = {"LedgerTable", "LedgerBodies", "SecretsToken", "ChoresEmptyBucket", "ChoresPublished"}
    for part in functions | ledger | {"FailuresRule", "FailuresConsumer"}:
        assert named[part] in needed, part
    assert any("FailuresRuleAllowEventRule" in name for name in needed)


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_architecture_is_the_parameters(make: Make, architecture: str) -> None:
    """Bundle and function must agree."""
    made = make(architecture=architecture)
    for name in FUNCTIONS:
        assert made.one("AWS::Lambda::Function", name)["Architectures"] == [architecture]


def test_concurrency_is_reserved_only_where_the_parameters_say_so(standard: Made, make: Make) -> None:
    """Not by default: an account with a small limit cannot reserve any, and its deployment would fail."""
    given = {"FunctionsReceiver": 20, "FunctionsWorker": 100}
    made = make(receiverConcurrency=20, workerConcurrency="100")
    for name, function in standard.of("AWS::Lambda::Function").items():
        assert "ReservedConcurrentExecutions" not in function["Properties"], name
    for name, function in made.of("AWS::Lambda::Function").items():
        expected = next((number for part, number in given.items() if part in name), None)
        assert function["Properties"].get("ReservedConcurrentExecutions") == expected, name


def test_each_function_waits_for_its_policy(standard: Made) -> None:
    """Lambda tries the dead-letter queue when it creates a function, with the role as it is then."""
    for name in FUNCTIONS:
        (made,) = (item for key, item in standard.of("AWS::Lambda::Function").items() if key.startswith(name))
        assert f"{name.removesuffix('Function')}Policy" in "".join(made["DependsOn"])


# --- failed executions ------------------------------------------------------------------------------------------


def test_failed_executions_reach_their_handler_on_both_ways(standard: Made) -> None:
    """EventBridge's events of this worker, and what Lambda put into the dead-letter queue."""
    rule = standard.one("AWS::Events::Rule", "Failures")
    assert rule["EventPattern"]["source"] == ["aws.lambda"]
    assert rule["EventPattern"]["detail-type"] == ["Durable Execution Status Change"]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "STOPPED"]
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "Worker" in name)
    assert rule["EventPattern"]["detail"]["functionArn"] == [{"prefix": {"Fn::GetAtt": [worker, "Arn"]}}]
    ended = next(name for name in standard.of("AWS::Lambda::Function") if "Ended" in name)
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": [ended, "Arn"]}
    letters = next(name for name in standard.of("AWS::SQS::Queue") if "DeadLetters" in name)
    assert standard.one("AWS::Lambda::Function", "Worker")["DeadLetterConfig"]["TargetArn"] == {
        "Fn::GetAtt": [letters, "Arn"]
    }
    consumer = standard.one("AWS::Lambda::EventSourceMapping")
    assert consumer["EventSourceArn"] == {"Fn::GetAtt": [letters, "Arn"]}
    assert consumer["FunctionName"] == {"Ref": ended}


def test_the_worker_itself_has_no_event_source(standard: Made) -> None:
    """An event source mapping would end every execution after 15 minutes."""
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "Worker" in name)
    assert all(worker not in flat(made) for made in standard.of("AWS::Lambda::EventSourceMapping").values())


def test_what_cannot_be_ended_is_kept_and_somebody_is_told(standard: Made) -> None:
    """Ten hours of tries, then the last queue, on which there is an alarm."""
    queue = standard.one("AWS::SQS::Queue", "DeadLetters")
    last = next(name for name in standard.of("AWS::SQS::Queue") if "LastLetters" in name)
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [last, "Arn"]},
        "maxReceiveCount": 50,
    }
    assert last in flat(standard.one("AWS::CloudWatch::Alarm", "StuckPending"))


# --- what is kept -----------------------------------------------------------------------------------------------


def test_the_table_is_as_the_ledger_lays_it_out(standard: Made) -> None:
    """Keys, the listing, on demand, point-in-time recovery, expiry."""
    table = standard.one("AWS::DynamoDB::Table")
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [
        ("pk", "HASH"),
        ("sk", "RANGE"),
    ]
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "listing"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["list", "at"]
    assert index["Projection"] == {"ProjectionType": "ALL"}
    assert {item["AttributeType"] for item in table["AttributeDefinitions"]} == {"S"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_bodies_are_private_encrypted_over_tls_and_expire(standard: Made) -> None:
    """A body is a payload of the user's repositories."""
    bucket = standard.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert [rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"]] == [30]
    (statement,) = standard.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_queues_and_topic_are_encrypted_and_take_tls_only(deleting: Made) -> None:
    """Each with a policy of its own."""
    for made in deleting.of("AWS::SQS::Queue").values():
        assert made["Properties"]["SqsManagedSseEnabled"] is True
    policies = [
        *deleting.of("AWS::SQS::QueuePolicy").values(),
        *deleting.of("AWS::SNS::TopicPolicy").values(),
    ]
    assert len(policies) == 3
    for policy in policies:
        assert "aws:SecureTransport" in flat(policy)


def test_every_log_is_kept_as_long_as_the_parameter_says(make: Make) -> None:
    """A log group that Lambda creates by itself is kept forever."""
    made = make(logRetentionDays=90)
    groups = {name: item["Properties"] for name, item in made.of("AWS::Logs::LogGroup").items()}
    assert {item["RetentionInDays"] for name, item in groups.items() if "Chores" not in name} == {90}
    for function in made.of("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_nothing_is_left_behind_unless_it_was_chosen(standard: Made) -> None:
    """The worker's versions go with their function, and the log role by a chore, unless another stage logs by it."""
    retained = [
        made["Type"]
        for made in standard.template["Resources"].values()
        if made.get("DeletionPolicy", "").startswith("Retain")
    ]
    assert sorted(retained) == ["AWS::IAM::Role", "AWS::Lambda::Version", "AWS::Lambda::Version"]
    assert (
        standard.template["Outputs"]["OnDestroy"]["Value"]
        == "leaves for 35 days DynamoDB's own last backup of the table"
    )


def test_what_was_chosen_to_be_kept_is_kept_and_told(make: Make) -> None:
    """Ledger, secrets and logs, each by itself."""
    made = make(keepOnDestroy=["ledger", "secrets", "logs"], apiGatewayLogRole="off")
    kept = {
        made["Type"]
        for made in made.template["Resources"].values()
        if made.get("DeletionPolicy", "").startswith("Retain")
    }
    assert kept == {
        "AWS::DynamoDB::Table",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
    }
    assert made.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True
    chores = made.of("Custom::CloseoutChore").values()
    assert [item["Properties"]["Chore"] for item in chores] == ["publish", "stop", "stop"]
    assert (
        made.template["Outputs"]["OnDestroy"]["Value"]
        == "leaves the table and the bucket, the secrets and the log groups"
    )


# --- observability ----------------------------------------------------------------------------------------------

ALARMS = {
    "ApiThrottles",
    "DeadLetters",
    "DrillFailed",
    "DrillLate",
    "FailedExecutions",
    "FailedRuns",
    "ManyOperations",
    "PatrolErrors",
    "PatrolSilent",
    "ReceiverErrors",
    "ReceiverThrottles",
    "RechecksGivenUp",
    "SignatureFailures",
    "StuckPending",
    "WorkerThrottles",
}


def test_there_is_an_alarm_for_each_way_to_fail(standard: Made) -> None:
    """A missing metric raises no alarm, because a quiet stack has none. Only patrol must keep ending."""
    alarms = [made["Properties"] for made in standard.of("AWS::CloudWatch::Alarm").values()]
    assert {alarm["AlarmName"] for alarm in alarms} == {f"closed-pr-event-stack-{name}" for name in ALARMS}
    assert [alarm["AlarmName"] for alarm in alarms if alarm["TreatMissingData"] != "notBreaching"] == [
        "closed-pr-event-stack-PatrolSilent"
    ]
    assert all(alarm["AlarmDescription"].startswith("closeout: ") for alarm in alarms)
    assert not any("AlarmActions" in alarm for alarm in alarms)


def test_a_sum_of_metrics_counts_one_that_is_missing_as_nothing(standard: Made) -> None:
    """Metric math gives no number where one of its metrics has none, and a function that is not called has none.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    sums = {
        made["Properties"]["AlarmName"]: [
            (
                metric["Expression"],
                {other["Id"] for other in made["Properties"]["Metrics"] if other is not metric},
            )
            for metric in made["Properties"]["Metrics"]
            if "Expression" in metric
        ]
        for made in standard.of("AWS::CloudWatch::Alarm").values()
        if "Metrics" in made["Properties"]
    }
    assert set(sums) == {
        f"closed-pr-event-stack-{name}" for name in ("FailedExecutions", "ReceiverErrors", "StuckPending")
    }
    for ((expression, ids),) in sums.values():
        assert sorted(expression.split(" + ")) == sorted(f"FILL({name}, 0)" for name in ids)


def test_metrics_are_counted_from_the_logs_own_lines(standard: Made) -> None:
    """The patterns are those of the lines that receiver, worker, patrol and API write."""
    filters = [made["Properties"] for made in standard.of("AWS::Logs::MetricFilter").values()]
    assert {(item["MetricTransformations"][0]["MetricName"], item["FilterPattern"]) for item in filters} == {
        ("FailedRuns", '{ $.verdict = "failure" }'),
        ("ReceiverErrors", "{ $.status >= 500 }"),
        ("RechecksGivenUp", '{ $.recheck = "given-up" }'),
        ("BadSignatures", '{ $.outcome = "unauthorized" }'),
        ("Throttled", '{ $.status = "429" }'),
    }


def test_alarms_send_mail_when_there_is_an_address(deleting: Made) -> None:
    """CloudWatch must be let in by the topic's policy, which a policy about TLS alone would not do."""
    subscription = deleting.one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")
    topic = next(iter(deleting.of("AWS::SNS::Topic")))
    for alarm in deleting.of("AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": topic}]
    statements = deleting.one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert any(item.get("Principal") == {"Service": "cloudwatch.amazonaws.com"} for item in statements)


# --- outputs ----------------------------------------------------------------------------------------------------


def test_the_outputs_have_the_keys_that_the_command_line_reads(standard: Made) -> None:
    """Exact keys, no other ones."""
    assert set(standard.template["Outputs"]) == {
        "ApiId",
        "BucketName",
        "GitHubTokenSecretName",
        "LogGroupName",
        "OnDestroy",
        "PatrolAlias",
        "Region",
        "TableName",
        "WebhookSecretName",
        "WebhookUrl",
        "WorkerAlias",
    }
    assert flat(standard.template["Outputs"]["WebhookUrl"]["Value"]).endswith('"/webhook"]]}')


def test_the_secrets_names_are_those_that_the_secrets_have(standard: Made) -> None:
    """Names are new with each stack: a deleted secret's name stays taken for weeks."""
    for key, part in {"WebhookSecretName": "Webhook", "GitHubTokenSecretName": "Token"}.items():
        name = standard.one("AWS::SecretsManager::Secret", part)["Name"]
        assert standard.template["Outputs"][key]["Value"] == name
        assert "AWS::StackId" in flat(name)


def test_the_template_names_no_account(standard: Made) -> None:
    """It is synthesized without credentials, for any account."""
    assert "123456789012" not in flat(standard.template)
