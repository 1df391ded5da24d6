"""The notifier's function: it exists only if the file has targets, and can send to them and to nothing else."""

from __future__ import annotations

import json
import re

import pytest

from closeout_cdk.parameters import ParameterError
from iam import as_list
from support import DELETES, Made, Make, flat

TOPIC = "arn:aws:sns:eu-central-1:123456789012:previews"
OTHER = "arn:aws:sns:us-east-1:123456789012:payments"
ARN = "aws-secretsmanager:arn:aws:secretsmanager:us-east-1:123456789012:secret:other-a1B2c3"
CONFIG = DELETES.replace(
    "automations:\n  preview-cleanup:\n",
    f"notify: {{ to: ['{TOPIC}', 'env:ELSEWHERE'] }}\nautomations:\n  preview-cleanup:\n"
    f"    notify: {{ on: [failure], to: '{OTHER}' }}\n",
)


@pytest.fixture(scope="module")
def told(make: Make) -> Made:
    """A stack that notifies two topics."""
    return make(config=CONFIG)


def test_without_a_topic_there_is_no_function(deleting: Made) -> None:
    """And no schedule that costs anything."""
    assert "Notify" not in flat(deleting.template)


def test_a_schedule_starts_it_each_minute(told: Made) -> None:
    """With an empty event, which asks for what is due; a failed look is not repeated, because the next one follows."""
    rule = told.one("AWS::Events::Rule", "Notify")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    function = told.one("AWS::Lambda::Function", "NotifyFunction")
    assert function["Handler"] == "closeout.lambdas.notify.handler"
    assert json.loads(function["Environment"]["Variables"]["CLOSEOUT_NOTIFY"]) == [
        [["failure", "orphans", "recovered", "stale"], [TOPIC]],
        {"preview-cleanup": [["failure"], [OTHER]]},
    ]
    assert "NotifyFunction" in told.template["Outputs"]


def test_it_may_publish_to_its_topics_and_write_problems_alone(told: Made) -> None:
    """An attacker in it cannot read a run's payload, a secret or the settings, or start anything."""
    by_actions = {tuple(as_list(one["Action"])): one for one in told.statements("NotifyPolicy")}
    assert sorted(action for actions in by_actions for action in actions) == [
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sns:Publish",
    ]
    assert by_actions["sns:Publish",]["Resource"] == [TOPIC, OTHER]
    keys = "ForAllValues:StringLike"
    written = by_actions["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
    assert written["Condition"][keys] == {"dynamodb:LeadingKeys": ["problems"]}
    assert by_actions["dynamodb:GetItem",]["Condition"][keys] == {"dynamodb:LeadingKeys": ["run#*"]}
    assert by_actions["dynamodb:Query",]["Condition"][keys] == {
        "dynamodb:LeadingKeys": ["patrol#mark#report", "patrol#mark#drill"]
    }


def test_who_ends_runs_and_patrol_may_write_problems_and_the_receiver_may_not(told: Made) -> None:
    """The receiver faces the internet: an attacker in it cannot hide a failure."""
    may = {
        role: any(
            "problems" in flat(one.get("Condition", {})) and "dynamodb:UpdateItem" in as_list(one["Action"])
            for one in told.statements(role)
        )
        for role in ("WorkerPolicy", "EndedPolicy", "PatrolPolicy", "ReceiverPolicy")
    }
    assert may == {"WorkerPolicy": True, "EndedPolicy": True, "PatrolPolicy": True, "ReceiverPolicy": False}


def test_an_hour_without_delivery_is_an_alarm(told: Made) -> None:
    """Each five minutes of it had a look that failed, or a topic that took nothing."""
    alarm = told.one("AWS::CloudWatch::Alarm", "MessagesUndelivered")
    assert alarm["EvaluationPeriods"] == 12
    assert {one["MetricStat"]["Period"] for one in alarm["Metrics"] if "MetricStat" in one} == {300}
    pattern = told.one("AWS::Logs::MetricFilter", "UndeliveredFilter")["FilterPattern"]
    assert pattern == '{ $.messages = "undelivered" }'


@pytest.fixture(scope="module")
def urls(make: Make) -> Made:
    """A stack that notifies URLs in Secrets Manager, one by its name and one by its ARN, and no topic."""
    return make(config=CONFIG.replace(TOPIC, "aws-secretsmanager:closeout/team#slack").replace(OTHER, ARN))


def test_a_url_in_secrets_manager_is_read_with_a_right_to_that_secret_alone(urls: Made, told: Made) -> None:
    """Whatever key encrypts it; the value is nowhere in the template. A stack with topics alone reads none."""
    statements = urls.statements("NotifyPolicy")
    read = [one for one in statements if "secretsmanager:GetSecretValue" in as_list(one["Action"])]
    named = [name for one in read for name in re.findall(r":secret:([^\"]+)", flat(one["Resource"]))]
    assert sorted(named) == ["closeout/team-??????", "other-a1B2c3", "other-a1B2c3-??????"]
    decrypt = [one for one in statements if "kms:Decrypt" in as_list(one["Action"])]
    assert all(
        "kms:EncryptionContext:SecretARN" in one["Condition"]["StringLike"]
        and "kms:ViaService" in one["Condition"]["StringLike"]
        for one in decrypt
    )
    known = {action for one in told.statements("NotifyPolicy") for action in as_list(one["Action"])}
    actions = {action for one in statements for action in as_list(one["Action"])}
    assert actions - known == {"secretsmanager:GetSecretValue", "kms:Decrypt"}
    assert known - actions == {"sns:Publish"}
    for role in ("WorkerPolicy", "PatrolPolicy", "ReceiverPolicy", "EndedPolicy"):
        assert "closeout/team" not in flat(urls.statements(role))
    variables = urls.one("AWS::Lambda::Function", "NotifyFunction")["Environment"]["Variables"]
    assert json.loads(variables["CLOSEOUT_NOTIFY"])[0][1] == ["aws-secretsmanager:closeout/team#slack"]


def test_only_a_stack_that_tells_urls_has_what_sends_to_them(urls: Made, told: Made) -> None:
    """Another function's bundle never holds it; with topics alone the function is made of the worker's."""

    def made_of(made: Made) -> set[str]:
        names = ("NotifyFunction", "FunctionsWorker", "PatrolFunction")
        return {made.one("AWS::Lambda::Function", name)["Code"]["S3Key"] for name in names}

    assert [len(made_of(made)) for made in (urls, told)] == [2, 1]


def test_it_knows_how_often_patrol_must_look(told: Made) -> None:
    """It reports if patrol does not."""
    variables = [
        told.one("AWS::Lambda::Function", name)["Environment"]["Variables"]["CLOSEOUT_PATROL"]
        for name in ("NotifyFunction", "PatrolFunction")
    ]
    assert variables[0] == variables[1]


def test_a_target_that_a_stack_cannot_send_to_is_a_warning(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its place, also next to others; the stack is deployed."""
    made = make(config=DELETES.replace("automations:", "notify: { to: 'env:URL' }\nautomations:", 1))
    assert "Notify" not in flat(made.template)
    assert "notify.to: `env:URL` does not exist on AWS" in capsys.readouterr().err
    make(config=CONFIG)
    assert "notify.to: `env:ELSEWHERE` does not exist on AWS" in capsys.readouterr().err


def test_more_routes_than_a_variable_holds_are_a_mistake(make: Make) -> None:
    """Said at synthesis, and not by Lambda in the middle of a deployment."""
    step = "    on: push\n    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]\n"
    many = "".join(f"  {'a' * 50}{number}:\n    notify: {{ to: '{TOPIC}' }}\n{step}" for number in range(30))
    with pytest.raises(ParameterError, match="`notify` is"):
        make(config=f"version: 1\nautomations:\n{many}")
