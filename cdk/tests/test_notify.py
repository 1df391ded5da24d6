"""The function that tells people: there only if the file names a topic, and able to publish there and to nothing else."""

from __future__ import annotations

import json

import pytest

from closeout_cdk.parameters import ParameterError
from iam import as_list
from support import DELETES, Made, Make, flat

TOPIC = "arn:aws:sns:eu-central-1:123456789012:previews"
OTHER = "arn:aws:sns:us-east-1:123456789012:payments"
CONFIG = DELETES.replace(
    "automations:\n  preview-cleanup:\n",
    f"notify: {{ to: ['{TOPIC}', 'env:ELSEWHERE'] }}\nautomations:\n  preview-cleanup:\n"
    f"    notify: {{ on: [failure], to: '{OTHER}' }}\n",
)


@pytest.fixture(scope="module")
def told(make: Make) -> Made:
    """A stack that tells two topics."""
    return make(config=CONFIG)


def test_without_a_topic_there_is_no_function(deleting: Made) -> None:
    """And no schedule that costs anything."""
    assert "Notify" not in flat(deleting.template)


def test_a_schedule_starts_it_each_minute(told: Made) -> None:
    """With an empty event, which asks for what is due; a look that failed is not repeated, since the next one follows."""
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
    """Nobody who takes it over reads a run's payload, a secret or the settings, or starts anything."""
    by_actions = {tuple(as_list(one["Action"])): one for one in told.statements("NotifyPolicy")}
    assert sorted(action for actions in by_actions for action in actions) == [
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
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


def test_who_ends_runs_and_patrol_may_write_problems_and_the_receiver_may_not(told: Made) -> None:
    """The receiver faces the internet: nobody who takes it over hides a failure."""
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


def test_a_target_that_a_stack_cannot_send_to_is_a_warning(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its place; the stack is deployed, and tells nobody."""
    made = make(config=DELETES.replace("automations:", "notify: { to: 'env:URL' }\nautomations:", 1))
    assert "Notify" not in flat(made.template)
    assert "notify.to: a stack sends messages to SNS topics only" in capsys.readouterr().err


def test_more_routes_than_a_variable_holds_are_a_mistake(make: Make) -> None:
    """Said at synthesis, and not by Lambda in the middle of a deployment."""
    step = "    on: push\n    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]\n"
    many = "".join(f"  {'a' * 50}{number}:\n    notify: {{ to: '{TOPIC}' }}\n{step}" for number in range(30))
    with pytest.raises(ParameterError, match="`notify` is"):
        make(config=f"version: 1\nautomations:\n{many}")
