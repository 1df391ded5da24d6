"""Two stacks in one account and region: their names, and that the worker of one cannot touch the other."""

from __future__ import annotations

import pytest

from closeout.core.plan import Change
from closeout.core.protect import BUILT_IN, protected_by
from closeout_cdk.parameters import LONGEST_NAME, STACK, ParameterError
from iam import HERE, Account, decision
from support import DELETES, Made, Make, flat
from test_protect import CHANGES, EVERYTHING

LONG = "a-second-team-in-a-stack"


@pytest.fixture(scope="module")
def other(make: Make) -> Made:
    """Return a second stack, under the longest name."""
    return make(stackName=LONG, config=DELETES, alarmEmail="ops@example.com")


def test_everything_has_the_name_of_its_stack(other: Made, deleting: Made) -> None:
    """And nothing the first one's, so that neither takes a name from the other."""
    assert len(LONG) == LONGEST_NAME
    assert other.stack == LONG
    assert STACK not in flat(other.template["Outputs"])
    ours, theirs = (
        {
            flat(made["Properties"].get(key))
            for made in one.template["Resources"].values()
            for key in ("Name", "AlarmName")
        }
        for one in (deleting, other)
    )
    assert ours & theirs == {"null", '"live"', f'"{deleting.one("AWS::ApiGateway::RestApi")["Name"]}"'} - {
        f'"{STACK}"'
    }
    spaces = [
        {
            flat(made["Properties"]["MetricTransformations"][0]["MetricNamespace"])
            for made in one.of("AWS::Logs::MetricFilter").values()
        }
        for one in (deleting, other)
    ]
    assert spaces == [{'"closeout"'}, {f'"closeout/{LONG}"'}]


@pytest.mark.parametrize("name", ["x" * (LONGEST_NAME + 1), "1st", "a_b", "a b", "-a", ""])
def test_a_name_that_does_not_fit_is_refused(make: Make, name: str) -> None:
    """CloudFormation would cut the functions' names, and the policies would be about nothing."""
    if name:
        with pytest.raises(ParameterError, match="stackName"):
            make(stackName=name)


def test_every_resource_that_can_have_tags_has_the_stacks(other: Made, deleting: Made) -> None:
    """It shows the account's other stacks what they must not touch."""
    for made, name in ((deleting, STACK), (other, LONG)):
        for kind in CHANGES:
            if kind == "AWS::Lambda::EventSourceMapping":
                continue
            for logical_id, resource in made.of(kind).items():
                assert {"Key": "closeout", "Value": name} in resource["Properties"]["Tags"], logical_id
    # CloudFormation would update the secrets for a tag of the stack itself: docs/how-to/secrets.md.
    assert (deleting.tags, other.tags) == ({}, {"closeout": LONG})


@pytest.mark.parametrize("mine", ["first", "second"])
def test_the_worker_of_one_stack_cannot_change_the_other(deleting: Made, other: Made, mine: str) -> None:
    """Even one that somebody gave every right: by tag, and the bucket and the first stack by name."""
    one, two = (deleting, other) if mine == "first" else (other, deleting)
    may = [*Account(one).statements("WorkerPolicy"), EVERYTHING]
    theirs = Account(two)
    tag = {"aws:ResourceTag/closeout": two.stack}
    looked_at = {
        (action, logical_id): decision(
            may, action, theirs.arn(logical_id), {} if made["Type"] == "AWS::S3::Bucket" else tag
        )
        for logical_id, made in two.template["Resources"].items()
        for action in CHANGES.get(made["Type"], "").split()
    }
    allowed = {asked: found for asked, found in looked_at.items() if found != "Deny"}
    assert allowed == {}
    assert len(looked_at) > 120
    stack = f"arn:aws:cloudformation:{HERE}:stack/{two.stack}/51af3dc0"
    tags = {f"aws:ResourceTag/{key}": value for key, value in two.tags.items()}
    for action in ("DeleteStack", "UpdateStack", "CreateChangeSet", "ExecuteChangeSet", "SetStackPolicy"):
        assert decision(may, f"cloudformation:{action}", stack, tags) == "Deny"
    if tags:
        assert decision(may, "cloudformation:DescribeStacks", stack, tags) == "Allow", "to say why it refuses"


@pytest.mark.parametrize("made", ["deleting", "other"])
def test_the_guards_of_the_actions_know_every_stack(made: str, request: pytest.FixtureRequest) -> None:
    """By the stack's own tag, or its name; and its bucket by what CloudFormation makes of the template's."""
    stack = request.getfixturevalue(made)
    account = Account(stack)
    (bucket,) = stack.of("AWS::S3::Bucket")
    assert protected_by(Change(verb="delete", resource=stack.stack, reason="test", tags=stack.tags), ())
    assert protected_by(Change(verb="empty", resource="bucket", reason="test", name=account.name(bucket)), ())
    assert any(f"-{bucket.lower()}-" in pattern for pattern in BUILT_IN)


def test_a_name_that_only_looks_alike_is_not_denied(other: Made) -> None:
    """What has no tag and another name is the user's."""
    may = [*Account(other).statements("WorkerPolicy"), EVERYTHING]
    assert (
        decision(may, "cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/preview-7/1")
        == "Allow"
    )
    assert decision(may, "s3:DeleteObject", "arn:aws:s3:::previews-ledgerbodies/x") == "Allow"
    assert (
        decision(
            may,
            "lambda:DeleteFunction",
            f"arn:aws:lambda:{HERE}:function:preview",
            {"aws:ResourceTag/team": "x"},
        )
        == "Allow"
    )
