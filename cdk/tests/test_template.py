"""The template's properties that matter: who may do what, what is encrypted, what is kept, what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout_cdk.parameters import ParameterError
from support import DELETES, Made, Make

FUNCTIONS = ("Worker", "Receiver", "Ended")


def flat(value: Any) -> str:
    """Give a property as one text, references and all."""
    return json.dumps(value, sort_keys=True)


def allowed(made: Made, policy: str) -> list[tuple[set[str], str]]:
    """Give what a policy allows: actions, and resources as text."""
    found = []
    for statement in made.statements(policy):
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            found.append(
                ({actions} if isinstance(actions, str) else set(actions), flat(statement["Resource"]))
            )
    return found


# --- the door ---------------------------------------------------------------------------------------------------


def test_the_api_is_regional_and_has_a_resource_policy(standard: Made) -> None:
    """As the write-up has it."""
    api = standard.one("AWS::ApiGateway::RestApi")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    (statement,) = api["Policy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert "BinaryMediaTypes" not in api, "text bodies must come as text: the signature is over their bytes"


def test_only_githubs_addresses_may_call_when_the_file_is_named(make: Make) -> None:
    """The Deny is what keeps others out even if they have credentials of this account."""
    api = make(githubAddresses="github-addresses.json").one("AWS::ApiGateway::RestApi")
    deny = next(item for item in api["Policy"]["Statement"] if item["Effect"] == "Deny")
    assert "192.30.252.0/22" in deny["Condition"]["NotIpAddress"]["aws:SourceIp"]
    assert deny["Resource"] == "execute-api:/prod/*"


def test_both_paths_lead_to_the_receiver_whatever_the_method(standard: Made) -> None:
    """A wrong method is the receiver's to answer, as it is locally."""
    methods = [made["Properties"] for made in standard.of("AWS::ApiGateway::Method").values()]
    assert [method["HttpMethod"] for method in methods] == ["ANY", "ANY"]
    assert {method["Integration"]["Type"] for method in methods} == {"AWS_PROXY"}
    assert [item["Properties"]["PathPart"] for item in standard.of("AWS::ApiGateway::Resource").values()] == [
        "webhook"
    ]


def test_what_never_reaches_the_receiver_is_answered_in_the_same_shape(standard: Made) -> None:
    """One JSON shape for every error, whoever finds it."""
    answers = {
        made["Properties"]["ResponseType"]: made["Properties"]
        for made in standard.of("AWS::ApiGateway::GatewayResponse").values()
    }
    assert {
        "MISSING_AUTHENTICATION_TOKEN",
        "ACCESS_DENIED",
        "THROTTLED",
        "DEFAULT_4XX",
        "DEFAULT_5XX",
    } <= set(answers)
    for answer in answers.values():
        body = json.loads(answer["ResponseTemplates"]["application/json"])
        assert set(body) == {"error", "message"}, body
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["StatusCode"] == "404"
    unknown = json.loads(answers["MISSING_AUTHENTICATION_TOKEN"]["ResponseTemplates"]["application/json"])
    assert unknown == {"error": "not-found", "message": "There is nothing at this path."}


def test_the_stage_is_throttled_and_writes_an_access_log(standard: Made) -> None:
    """Generously: GitHub does not send again what is refused here."""
    stage = standard.one("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "prod"
    (settings,) = stage["MethodSettings"]
    assert settings["ThrottlingRateLimit"] >= 100
    assert "$context.status" in stage["AccessLogSetting"]["Format"]
    assert "$context.identity.userAgent" not in stage["AccessLogSetting"]["Format"], (
        "a caller writes that, quotes and all"
    )


def test_a_changed_resource_policy_is_a_new_deployment(standard: Made, make: Make) -> None:
    """The policy is part of the API, and a stage has what was deployed."""
    restricted = make(githubAddresses="github-addresses.json")
    assert set(standard.of("AWS::ApiGateway::Deployment")) != set(
        restricted.of("AWS::ApiGateway::Deployment")
    )


def test_without_a_role_for_logs_there_is_no_access_log(make: Make) -> None:
    """`off` touches nothing that is account-wide."""
    made = make(apiGatewayLogRole="off")
    assert "ApiThrottles" not in "".join(made.of("AWS::CloudWatch::Alarm")), (
        "429s are counted from the access log"
    )
    assert "AccessLogSetting" not in made.one("AWS::ApiGateway::Stage")
    assert not made.of("AWS::ApiGateway::Account")


def test_the_accounts_log_role_is_never_overwritten(standard: Made, make: Make) -> None:
    """`create` sets it where there is none, by a chore that looks first; CloudFormation's own resource would not look."""
    existing = make(apiGatewayLogRole="existing")
    for made, chores in ((standard, ["empty", "log-role"]), (existing, ["empty"])):
        assert not made.of("AWS::ApiGateway::Account")
        assert (
            sorted(item["Properties"]["Chore"] for item in made.of("Custom::CloseoutChore").values())
            == chores
        )
    (stage,) = standard.of("AWS::ApiGateway::Stage").values()
    assert "LogRole" in "".join(stage["DependsOn"]), "a stage with an access log cannot be made before"


# --- the functions ----------------------------------------------------------------------------------------------


def test_the_worker_is_durable_behind_an_alias_and_keeps_its_versions(standard: Made) -> None:
    """Suspended executions are pinned to a version, which CloudFormation would delete with the next deployment."""
    worker = standard.one("AWS::Lambda::Function", "Worker")
    # 24 h in the queue, 3 h of run, an hour
    assert worker["DurableConfig"] == {"ExecutionTimeout": 28 * 3600, "RetentionPeriodInDays": 14}
    (version,) = standard.of("AWS::Lambda::Version").values()
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert standard.one("AWS::Lambda::Alias")["Name"] == "live"


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
        "Worker": {"TABLE", "BUCKET", "RETENTION_DAYS", "GITHUB_SECRET", "CONFIG", "LOG_GROUP"},
        "Ended": {"TABLE", "BUCKET", "RETENTION_DAYS", "GITHUB_SECRET", "CONFIG", "LOG_GROUP", "WORKER"},
    }
    for name, variables in expected.items():
        function = standard.one("AWS::Lambda::Function", f"Functions{name}")
        given = function["Environment"]["Variables"]
        assert set(given) == {f"CLOSEOUT_{variable}" for variable in variables}
        assert "resolve:secretsmanager" not in flat(given)
        assert function["Runtime"] == "python3.13"


def test_the_receiver_invokes_the_alias_and_not_the_function(standard: Made) -> None:
    """An execution on `$LATEST` would change its code under way."""
    alias = next(iter(standard.of("AWS::Lambda::Alias")))
    receiver = standard.one("AWS::Lambda::Function", "Receiver")
    assert receiver["Environment"]["Variables"]["CLOSEOUT_WORKER"] == {"Ref": alias}


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_architecture_is_the_parameters(make: Make, architecture: str) -> None:
    """Bundle and function must agree."""
    made = make(architecture=architecture)
    for name in FUNCTIONS:
        assert made.one("AWS::Lambda::Function", f"Functions{name}")["Architectures"] == [architecture]


def test_each_function_waits_for_its_policy(standard: Made) -> None:
    """Lambda tries the dead-letter queue when it creates a function, with the role as it is then."""
    for name in FUNCTIONS:
        (made,) = (
            item for key, item in standard.of("AWS::Lambda::Function").items() if f"Functions{name}" in key
        )
        assert f"Functions{name}Policy" in "".join(made["DependsOn"])


# --- failed executions ------------------------------------------------------------------------------------------


def test_failed_executions_reach_their_handler_on_both_ways(standard: Made) -> None:
    """EventBridge's events of this worker, and what Lambda put into the dead-letter queue."""
    rule = standard.one("AWS::Events::Rule")
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
    """A log group that Lambda makes by itself is kept for ever."""
    made = make(logRetentionDays=90)
    groups = {name: item["Properties"] for name, item in made.of("AWS::Logs::LogGroup").items()}
    assert {item["RetentionInDays"] for name, item in groups.items() if "Chores" not in name} == {90}
    for function in made.of("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_nothing_is_left_behind_unless_it_was_chosen(standard: Made) -> None:
    """Only the worker's versions are retained, and they go with their function."""
    retained = [
        made["Type"]
        for made in standard.template["Resources"].values()
        if made.get("DeletionPolicy") == "Retain"
    ]
    assert retained == ["AWS::Lambda::Version"]
    assert (
        standard.template["Outputs"]["OnDestroy"]["Value"]
        == "leaves for 35 days DynamoDB's own last backup of the table"
    )


def test_what_was_chosen_to_be_kept_is_kept_and_told(make: Make) -> None:
    """Ledger, secrets and logs, each by itself."""
    made = make(keepOnDestroy=["ledger", "secrets", "logs"], apiGatewayLogRole="off")
    kept = {
        made["Type"] for made in made.template["Resources"].values() if made.get("DeletionPolicy") == "Retain"
    }
    assert kept == {
        "AWS::DynamoDB::Table",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
    }
    assert made.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True
    assert not made.of("Custom::CloseoutChore")
    assert (
        made.template["Outputs"]["OnDestroy"]["Value"]
        == "leaves the table and the bucket, the secrets and the log groups"
    )


def test_no_role_may_make_a_log_group(deleting: Made) -> None:
    """A function's last words would bring a deleted group back, without retention."""
    for name, made in deleting.of("AWS::IAM::Policy").items():
        assert "logs:CreateLogGroup" not in flat(made), name
    managed = [
        arn
        for made in deleting.of("AWS::IAM::Role").values()
        for arn in made["Properties"].get("ManagedPolicyArns", ())
    ]
    assert len(managed) == 1, "only API Gateway's log role, for which AWS takes no other"


# --- secrets ----------------------------------------------------------------------------------------------------


def test_the_webhook_secret_is_generated_and_the_token_is_really_empty(standard: Made) -> None:
    """A generated token would be a password that nobody chose, and would look like one that works."""
    webhook = standard.one("AWS::SecretsManager::Secret", "Webhook")
    assert webhook["GenerateSecretString"]["PasswordLength"] >= 32
    token = standard.one("AWS::SecretsManager::Secret", "Token")
    assert not {"GenerateSecretString", "SecretString"} & set(token)


def test_an_existing_token_is_used_and_never_touched(make: Make) -> None:
    """Neither its value nor its policy is this stack's."""
    made = make(githubTokenSecret="team/github")
    assert len(made.of("AWS::SecretsManager::Secret")) == 1
    assert len(made.of("AWS::SecretsManager::ResourcePolicy")) == 1
    assert made.template["Outputs"]["GitHubTokenSecretName"]["Value"] == "team/github"
    reads = [
        text for actions, text in allowed(made, "WorkerPolicy") if "secretsmanager:GetSecretValue" in actions
    ]
    assert len(reads) == 1
    assert ":secret:team/github-??????" in reads[0]


def test_a_secrets_value_is_denied_to_everybody_but_the_roles_and_readers(make: Make) -> None:
    """And nothing else is denied: who administers the account can always change the policy."""
    reader = "arn:aws:iam::123456789012:role/Deployer"
    made = make(secretReaders=[reader])
    for name, roles in {"Webhook": ["ReceiverRole"], "Token": ["WorkerRole", "EndedRole"]}.items():
        policy = made.one("AWS::SecretsManager::ResourcePolicy", name)
        (statement,) = policy["ResourcePolicy"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "secretsmanager:GetSecretValue")
        assert statement["Principal"] == {"AWS": "*"}
        spared = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
        assert reader in spared
        for role in roles:
            assert role in flat(spared)
        assert len(spared) == len(roles) + 1
        assert policy["BlockPublicPolicy"] is True


# --- least privilege --------------------------------------------------------------------------------------------


def test_every_role_has_one_policy(deleting: Made) -> None:
    """What a role may do stands in one place."""
    attached = [
        name["Ref"]
        for made in deleting.of("AWS::IAM::Policy").values()
        for name in made["Properties"]["Roles"]
    ]
    assert len(attached) == len(set(attached))
    assert all("Policies" not in made["Properties"] for made in deleting.of("AWS::IAM::Role").values())


def test_closeouts_own_rights_name_what_they_are_for(standard: Made) -> None:
    """No `*` alone, in any policy of a configuration that asks for nothing of AWS."""
    for name in standard.of("AWS::IAM::Policy"):
        for statement in standard.statements(name):
            resources = (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
            assert "*" not in resources, (name, statement)
            if statement["Effect"] == "Allow":
                assert "*" not in flat(statement["Action"]), (name, statement)


def test_the_receiver_may_do_four_things(standard: Made) -> None:
    """Read its secret, write its table, put bodies, invoke the worker's alias. And write its log."""
    alias = next(iter(standard.of("AWS::Lambda::Alias")))
    rights = allowed(standard, "ReceiverPolicy")
    assert sorted(sorted(actions) for actions, _ in rights) == [
        ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        ["lambda:InvokeFunction"],
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["s3:PutObject"],
        ["secretsmanager:GetSecretValue"],
    ]
    by_action = {next(iter(sorted(actions))): text for actions, text in rights}
    assert json.loads(by_action["lambda:InvokeFunction"]) == {"Ref": alias}
    assert "/bodies/*" in by_action["s3:PutObject"]
    assert "SecretsWebhook" in by_action["secretsmanager:GetSecretValue"]


def test_the_worker_may_not_read_the_webhooks_secret(deleting: Made) -> None:
    """It has no use for it."""
    for policy in ("WorkerPolicy", "EndedPolicy"):
        reads = [
            text for actions, text in allowed(deleting, policy) if "secretsmanager:GetSecretValue" in actions
        ]
        assert len(reads) == 1
        assert "SecretsToken" in reads[0]


def test_executions_are_named_with_a_qualifier(standard: Made) -> None:
    """An ARN without one never matches a durable execution: the worker would be denied its own checkpoints."""
    (text,) = (
        text
        for actions, text in allowed(standard, "WorkerPolicy")
        if "lambda:CheckpointDurableExecution" in actions
    )
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "Worker" in name)
    assert f":function:closed-pr-event-stack-{worker}-*:*" in text


def test_the_worker_gets_what_its_actions_need_and_no_more(standard: Made, deleting: Made) -> None:
    """The configuration's actions, narrowed to names, account and region; an assumed role by its exact ARN."""
    own = {action for actions, _ in allowed(standard, "WorkerPolicy") for action in actions}
    more = {action for actions, _ in allowed(deleting, "WorkerPolicy") for action in actions} - own
    assert {"cloudformation:DeleteStack", "codebuild:StartBuild", "sts:AssumeRole"} <= more
    assert not any(action.startswith(("cloudformation:", "codebuild:", "sts:")) for action in own)
    by_action = {action: text for actions, text in allowed(deleting, "WorkerPolicy") for action in actions}
    assert (
        by_action["cloudformation:DeleteStack"]
        == '"arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-*/*"'
    )
    assert (
        by_action["codebuild:StartBuild"]
        == '"arn:aws:codebuild:eu-central-1:123456789012:project/preview-teardown"'
    )
    assert by_action["sts:AssumeRole"] == '"arn:aws:iam::210987654321:role/closeout-previews"'
    assert "previews-of-acme" not in flat(deleting.statements("WorkerPolicy")), (
        "that is the assumed role's business"
    )


def test_the_users_own_policies_are_the_workers_and_nobody_elses(make: Make) -> None:
    """What their scripts and functions do cannot be derived; the Deny stands over it all the same."""
    arn = "arn:aws:iam::123456789012:policy/drop-databases"
    made = make(workerPolicies=[arn])
    attached = {
        name: role["Properties"].get("ManagedPolicyArns") for name, role in made.of("AWS::IAM::Role").items()
    }
    assert [name for name, arns in attached.items() if arns == [arn]] == [
        name for name in attached if "WorkerRole" in name
    ]
    assert any(statement["Effect"] == "Deny" for statement in made.statements("WorkerPolicy"))


def test_the_worker_is_denied_closeouts_own_resources(deleting: Made) -> None:
    """Whatever a configuration allows: an automation must not be able to take away what it runs on."""
    denied = [statement for statement in deleting.statements("WorkerPolicy") if statement["Effect"] == "Deny"]
    by_resource = {flat(item["Resource"]): flat(item["Action"]) for item in denied}

    def actions_on(part: str) -> str:
        return " ".join(actions for resource, actions in by_resource.items() if part in resource)

    assert "dynamodb:DeleteTable" in actions_on("LedgerTable")
    assert "s3:Delete*" in actions_on("LedgerBodies")
    assert "secretsmanager:Delete*" in actions_on(":secret:closed-pr-event-stack/*")
    assert "secretsmanager:Put*" in actions_on("SecretsWebhook")
    assert "lambda:Delete*" in actions_on(":function:closed-pr-event-stack-*")
    assert "cloudformation:*" in actions_on(":stack/closed-pr-event-stack/*")
    assert "logs:Delete*" in actions_on("WorkerLogs")
    assert "iam:*" in actions_on(":role/closed-pr-event-stack-*")


# --- observability ----------------------------------------------------------------------------------------------

ALARMS = {
    "ApiThrottles",
    "DeadLetters",
    "FailedExecutions",
    "FailedRuns",
    "ReceiverErrors",
    "ReceiverThrottles",
    "SignatureFailures",
    "StuckPending",
    "WorkerThrottles",
}


def test_there_is_an_alarm_for_each_way_to_fail(standard: Made) -> None:
    """A missing metric is no alarm: nothing happens in a quiet stack."""
    alarms = [made["Properties"] for made in standard.of("AWS::CloudWatch::Alarm").values()]
    assert {alarm["AlarmName"] for alarm in alarms} == {f"closed-pr-event-stack-{name}" for name in ALARMS}
    assert {alarm["TreatMissingData"] for alarm in alarms} == {"notBreaching"}
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
    assert set(sums) == {f"closed-pr-event-stack-{name}" for name in ("ReceiverErrors", "StuckPending")}
    for ((expression, ids),) in sums.values():
        assert sorted(expression.split(" + ")) == sorted(f"FILL({name}, 0)" for name in ids)


def test_metrics_are_counted_from_the_logs_own_lines(standard: Made) -> None:
    """The patterns are those of the lines that receiver, worker and API write."""
    filters = [made["Properties"] for made in standard.of("AWS::Logs::MetricFilter").values()]
    assert {(item["MetricTransformations"][0]["MetricName"], item["FilterPattern"]) for item in filters} == {
        ("FailedRuns", '{ $.verdict = "failure" }'),
        ("ReceiverErrors", "{ $.status >= 500 }"),
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
    """It is synthesized without credentials, for whichever account deploys it."""
    assert "123456789012" not in flat(standard.template)


def test_more_rights_than_a_role_can_hold_are_refused(make: Make) -> None:
    """IAM would refuse them in the middle of a deployment."""
    step = "      - uses: aws/codebuild-start-build\n        with: {{ project: 'a-project-with-quite-a-long-name-{0}-${{{{ event.number }}}}' }}\n"
    steps = "".join(step.format(number) for number in range(120))
    config = DELETES.partition("      - uses")[0] + steps
    with pytest.raises(ParameterError, match="give some steps of the configuration an `assume-role`"):
        make(config=config)
