"""Rechecks in the template: the worker starts executions of patrol's function, which may only read what they look at."""

from __future__ import annotations

from iam import Account, decision
from support import DELETES, Made, Make

STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-17/1"


def patrol(made: Made) -> str:
    """Return the ARN of patrol's function."""
    account = Account(made)
    (name,) = (one for one in made.of("AWS::Lambda::Function") if one.startswith("PatrolFunction"))
    return account.arn(name)


def test_the_worker_starts_them_and_no_other_function_of_a_run_does(deleting: Made) -> None:
    """By the alias, whose name both know before either is made."""
    worker = deleting.one("AWS::Lambda::Function", "FunctionsWorker")
    alias = f"{patrol(deleting)}:live"
    account = Account(deleting)
    assert account.resolve(worker["Environment"]["Variables"]["CLOSEOUT_RECHECKS"]) == alias
    for policy, may in (("WorkerPolicy", True), ("EndedPolicy", False), ("ReceiverPolicy", False)):
        statements = account.statements(policy)
        assert (decision(statements, "lambda:InvokeFunction", alias) == "Allow") is may
        assert decision(statements, "lambda:UpdateFunctionCode", patrol(deleting)) != "Allow"


def test_they_read_what_the_typed_deletes_plan_and_change_nothing(deleting: Made) -> None:
    """And assume no role that a step names, since it may delete."""
    statements = Account(deleting).statements("PatrolPolicy")
    for read in ("DescribeStacks", "GetTemplate", "ListStackResources"):
        assert decision(statements, f"cloudformation:{read}", STACK) == "Allow"
        assert decision(statements, f"cloudformation:{read}", STACK.replace("preview", "prod")) != "Allow"
    assert decision(statements, "s3:ListBucketVersions", "arn:aws:s3:::preview-17-bucket") == "Allow"
    for action, resource in {
        "cloudformation:DeleteStack": STACK,
        "s3:DeleteObject": "arn:aws:s3:::preview-17-bucket/key",
        "s3:DeleteObjectVersion": "arn:aws:s3:::preview-17-bucket/key",
        "sts:AssumeRole": "arn:aws:iam::210987654321:role/closeout-previews",
        "codebuild:StartBuild": "arn:aws:codebuild:eu-central-1:123456789012:project/preview-teardown",
    }.items():
        assert decision(statements, action, resource) != "Allow"


def test_an_execution_lasts_until_its_last_recheck_was_tried(deleting: Made, make: Make) -> None:
    """Two days longer: what GitHub or AWS does not say is asked again for most of a day."""
    longer = make(config=DELETES.replace("    timeout: 5h", "    recheck: [1h, 20d]\n    timeout: 5h"))
    for made, days in ((deleting, 1), (longer, 20)):
        function = made.one("AWS::Lambda::Function", "PatrolFunction")
        assert function["DurableConfig"]["ExecutionTimeout"] == (days + 2) * 86_400
