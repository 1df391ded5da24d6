"""Patrol's function: when it is started, and that its role lists and reads, and changes nothing of the user's."""

from __future__ import annotations

import json

import pytest

from iam import ACCOUNT, REGION, Account, as_list, decision
from support import DELETES, Made, Make

CHANGES = ("Create", "Delete", "Put", "Update", "Start", "Stop", "Tag", "Untag", "Remove", "Send", "Assume")
OWN = {
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "lambda:CheckpointDurableExecution",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:PutObject",
}
"""What it writes: its marks, deliveries and runs in closeout's own ledger, and its log."""


def config(patrol: str) -> str:
    """Return the configuration that deletes, with a `patrol` of its own."""
    return DELETES.replace("automations:", f"patrol: {patrol}\nautomations:", 1)


@pytest.mark.parametrize(
    ("patrol", "rate"),
    [
        ("{}", "rate(5 minutes)"),
        ("{ deliveries: off }", "rate(1 hour)"),
        ("{ deliveries: 90s, state: off }", "rate(2 minutes)"),
        ("{ deliveries: off, state: 1d }", "rate(1 day)"),
        ("{ deliveries: off, state: off }", None),
    ],
)
def test_the_schedule_follows_the_file(make: Make, patrol: str, rate: str | None) -> None:
    """It starts the alias with the event of a round; without anything to look at there is none, and no alarm."""
    made = make(config=config(patrol))
    rules = [one["Properties"] for name, one in made.of("AWS::Events::Rule").items() if "Patrol" in name]
    alarms = [name for name in made.of("AWS::CloudWatch::Alarm") if "Patrol" in name or "Drill" in name]
    assert [one["ScheduleExpression"] for one in rules] == ([rate] if rate else [])
    assert len(alarms) == (4 if rate else 0)
    for rule in rules:
        (target,) = rule["Targets"]
        assert json.loads(target["Input"]) == {"patrol": {}}
        assert target["Arn"] == {
            "Ref": next(name for name in made.of("AWS::Lambda::Alias") if "Patrol" in name)
        }
    function = made.one("AWS::Lambda::Function", "PatrolFunction")
    assert set(json.loads(function["Environment"]["Variables"]["CLOSEOUT_PATROL"])) == {
        "deliveries",
        "drill",
        "limit",
        "state",
    }
    assert function["DurableConfig"]["ExecutionTimeout"] > function["Timeout"]


def test_silence_is_an_alarm(standard: Made) -> None:
    """Of patrol alone: three intervals without an end. Errors are one after an hour."""
    silent = standard.one("AWS::CloudWatch::Alarm", "PatrolSilent")
    assert (silent["MetricName"], silent["Period"], silent["EvaluationPeriods"]) == ("PatrolRounds", 300, 3)
    assert (silent["ComparisonOperator"], silent["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    errors = standard.one("AWS::CloudWatch::Alarm", "PatrolErrors")
    assert (errors["Statistic"], errors["Period"], errors["EvaluationPeriods"]) == ("Minimum", 300, 12)
    assert errors["TreatMissingData"] == "notBreaching"
    function = standard.one("AWS::Lambda::Function", "PatrolFunction")
    assert function["Environment"]["Variables"]["CLOSEOUT_METRICS"] == silent["Namespace"]


@pytest.mark.parametrize(
    ("patrol", "late"), [("{}", 176_400), ("{ drill: 12h }", 90_000), ("{ drill: off }", None)]
)
def test_a_failed_check_of_the_drill_is_an_alarm(make: Make, patrol: str, late: int | None) -> None:
    """So is a drill that is not made. Without a drill there is neither."""
    made = make(config=config(patrol))
    alarms = [name for name in made.of("AWS::CloudWatch::Alarm") if "Drill" in name]
    assert len(alarms) == (2 if late else 0)
    if late is None:
        return
    failed = made.one("AWS::CloudWatch::Alarm", "DrillFailed")
    assert (failed["MetricName"], failed["Statistic"], failed["Threshold"]) == ("DrillFailed", "Maximum", 1)
    assert failed["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    old = made.one("AWS::CloudWatch::Alarm", "DrillLate")
    assert (old["MetricName"], old["Statistic"], old["Threshold"]) == ("DrillAge", "Minimum", late)
    assert failed["Namespace"] == old["Namespace"] == "closeout"


@pytest.mark.parametrize("minutes", [1, 7, 59, 61, 720, 1440])
def test_cloudwatch_takes_the_alarms_of_each_interval(make: Make, minutes: int) -> None:
    """It looks at a day, or at a week if a period is an hour at least: period times number."""
    made = make(config=config(f"{{ deliveries: {minutes}m }}"))
    for name in ("PatrolSilent", "PatrolErrors", "DrillFailed", "DrillLate"):
        alarm = made.one("AWS::CloudWatch::Alarm", name)
        longest = 7 * 86_400 if alarm["Period"] >= 3_600 else 86_400
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= longest


def test_patrol_changes_nothing_but_the_ledger(deleting: Made) -> None:
    """Every right that is not one to read is on closeout's own table, bucket, log or executions, or starts the worker."""
    account = Account(deleting)
    own = f"{deleting.stack}-".lower()
    for statement in account.statements("PatrolPolicy"):
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            verb = action.partition(":")[2]
            if not verb.startswith(CHANGES) and action not in OWN:
                continue
            assert action in OWN, action
            assert all(own in arn.lower() for arn in as_list(statement["Resource"])), statement


def test_patrol_has_none_of_the_rights_to_delete(deleting: Made) -> None:
    """What the worker may do to what steps name, patrol may not; it may list it."""
    account = Account(deleting)
    patrol, worker = account.statements("PatrolPolicy"), account.statements("WorkerPolicy")
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/preview-17/1"
    assert decision(worker, "cloudformation:DeleteStack", stack) == "Allow"
    assert decision(patrol, "cloudformation:DeleteStack", stack) == "neither"
    listing = {
        one
        for statement in patrol
        for one in as_list(statement["Action"])
        if one.startswith("cloudformation:")
    }
    assert listing, "it lists stacks"
    for action in sorted(listing):
        assert decision(patrol, action, stack) == "Allow" or decision(patrol, action, "*") == "Allow", action
    for action in ("sts:AssumeRole", "codebuild:StartBuild", "iam:PassRole", "secretsmanager:PutSecretValue"):
        assert decision(patrol, action, "arn:aws:iam::210987654321:role/closeout-previews") == "neither", (
            action
        )


def test_patrol_starts_the_worker_and_no_other_function(standard: Made) -> None:
    """By its alias, as the receiver does; and it continues its own executions."""
    account = Account(standard)
    may = account.statements("PatrolPolicy")
    arns = {name: account.arn(name) for name in standard.of("AWS::Lambda::Function")}
    for name, arn in arns.items():
        expected = "Allow" if name.startswith("FunctionsWorker") else "neither"
        assert decision(may, "lambda:InvokeFunction", f"{arn}:live") == expected, name
        assert decision(may, "lambda:InvokeFunction", arn) == "neither", name
        own = "Allow" if name.startswith("PatrolFunction") else "neither"
        checkpoint = f"{arn}:7/durable-execution/run-1/abc"
        assert decision(may, "lambda:CheckpointDurableExecution", checkpoint) == own, name
    secrets = {name: account.arn(name) for name in standard.of("AWS::SecretsManager::Secret")}
    for name, arn in secrets.items():
        expected = "Allow" if "Token" in name else "neither"
        assert decision(may, "secretsmanager:GetSecretValue", arn) == expected


def test_no_step_may_touch_patrol(standard: Made) -> None:
    """The worker's policy denies it, as for the other functions; it may start rechecks by the alias."""
    account = Account(standard)
    worker = account.statements("WorkerPolicy")
    function = account.arn(next(name for name in standard.of("AWS::Lambda::Function") if "Patrol" in name))
    assert decision(worker, "lambda:InvokeFunction", function) == "neither", "only its alias, for rechecks"
    for action in ("lambda:UpdateFunctionCode", "lambda:DeleteFunction"):
        assert decision(worker, action, function) == "Deny"
    logs = account.arn(next(name for name in standard.of("AWS::Logs::LogGroup") if "Patrol" in name))
    assert decision(worker, "logs:DeleteLogGroup", logs) == "Deny"
    rule = account.arn(next(name for name in standard.of("AWS::Events::Rule") if "Patrol" in name))
    assert decision(worker, "events:DisableRule", rule) == "Deny"
