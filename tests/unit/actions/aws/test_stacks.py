"""What CloudFormation's answers mean, over plain values: templates, events, and the ends of a delete."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.actions.aws import stacks
from closeout.actions.aws.cloudformation_delete_stack import ACTION
from closeout.actions.aws.stacks import Failure
from closeout.actions.aws.teardown import PlannedStack, Teardown
from closeout.core.errors import ActionFailed
from tests.work import ImmediateWork

ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/preview-17/1"
DOOMED = PlannedStack(ID, "preview-17", "123456789012", 1, ("assets",))


def event(
    number: int, status: str, logical: str = "", reason: str | None = None, **extra: Any
) -> dict[str, Any]:
    """An event; of the stack itself without a logical id."""
    return {
        "EventId": f"e{number}",
        "StackId": ID,
        "LogicalResourceId": logical or "preview-17",
        "PhysicalResourceId": f"{logical}-1" if logical else ID,
        "ResourceType": "AWS::S3::Bucket" if logical else "AWS::CloudFormation::Stack",
        "ResourceStatus": status,
        **({"ResourceStatusReason": reason} if reason else {}),
        **extra,
    }


class Script:
    """A scripted CloudFormation: the stack's state at each poll, and the events so far."""

    def __init__(self, *looks: tuple[str | None, list[dict[str, Any]]], template: Any = None) -> None:
        self.looks = list(looks)
        self.deleted: list[dict[str, Any]] = []
        self.template = template
        self._events: list[dict[str, Any]] = []

    def aws(self, service: str) -> Any:
        """This is every service."""
        return self

    def describe_stacks(self, *, StackName: str) -> Mapping[str, Any]:  # noqa: N803
        """The next state; the last one forever."""
        status, self._events = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        stack = {"StackId": ID, "StackName": "preview-17", "StackStatus": status or "DELETE_COMPLETE"}
        return {"Stacks": [stack]}

    def describe_stack_events(self, *, StackName: str, NextToken: str = "0") -> Mapping[str, Any]:  # noqa: N803
        """Events at that poll, the newest first, two a page."""
        newest, start = self._events[::-1], int(NextToken)
        more = {"NextToken": str(start + 2)} if len(newest) > start + 2 else {}
        return {"StackEvents": newest[start : start + 2], **more}

    def delete_stack(self, **arguments: Any) -> None:
        """Record the request."""
        self.deleted.append(arguments)

    def list_stack_resources(self, **arguments: Any) -> Mapping[str, Any]:
        """None."""
        return {"StackResourceSummaries": []}

    def describe_stack_resources(self, **arguments: Any) -> Mapping[str, Any]:
        """None."""
        return {"StackResources": []}

    def get_template(self, **arguments: Any) -> Mapping[str, Any]:
        """The template as given."""
        return {"TemplateBody": self.template}


def scripted(script: Script, polls: int = 50) -> ImmediateWork:
    """Return a work over a script whose clock moves on by ten seconds with each look."""
    return ImmediateWork(script, pause=lambda _: None, polls=polls)  # type: ignore[arg-type]


def seconds_until(script: Script, failure: str) -> float:
    """Return how long a teardown waited until it failed."""
    work = scripted(script)
    begun = work.now()
    with pytest.raises(ActionFailed, match=failure):
        Teardown(DOOMED, work, empty_buckets=False, role_arn=None).run()
    return work.now() - begun


def tear_down(script: Script) -> tuple[ImmediateWork, Any]:
    """Run a teardown over a script."""
    work = scripted(script)
    return work, Teardown(DOOMED, work, empty_buckets=False, role_arn=None).run()


OLD = [
    event(1, "CREATE_COMPLETE"),
    event(2, "DELETE_IN_PROGRESS"),
    event(3, "DELETE_FAILED", "Old", "yesterday"),
]
OLD_END = [*OLD, event(4, "DELETE_FAILED")]
BEGUN = [*OLD_END, event(5, "DELETE_IN_PROGRESS")]


class TestEndOfADelete:
    def test_a_state_from_before_the_delete_does_not_count(self) -> None:
        """DELETE_FAILED of an earlier delete, still shown after the request, is ignored."""
        script = Script(
            ("DELETE_FAILED", OLD_END),
            ("DELETE_FAILED", OLD_END),
            ("DELETE_FAILED", OLD_END),
            ("DELETE_FAILED", BEGUN),
            ("DELETE_IN_PROGRESS", BEGUN),
            (None, BEGUN),
        )
        work, answer = tear_down(script)
        assert answer["summary"] == "deleted stack preview-17 (1 resource)"
        assert f"asked CloudFormation to delete stack preview-17 ({ID})" in work.lines
        assert work.lines[-1] == "stack preview-17 is deleted"

    def test_only_failures_of_this_delete_count(self) -> None:
        """The reasons are those of this delete."""
        end = [*BEGUN, event(6, "DELETE_FAILED", "New", "today"), event(7, "DELETE_FAILED")]
        with pytest.raises(ActionFailed) as caught:
            tear_down(Script(("DELETE_FAILED", OLD_END), ("DELETE_FAILED", end)))
        assert "New (New-1): today" in caught.value.message
        assert "yesterday" not in caught.value.message

    def test_a_late_event_of_another_request_does_not_count(self) -> None:
        """It comes after this delete began, and has the previous one's token."""
        mine, other = {"ClientRequestToken": "mine"}, {"ClientRequestToken": "other"}
        begun = [*OLD_END, event(5, "DELETE_IN_PROGRESS", **mine)]
        end = [
            *begun,
            event(6, "DELETE_FAILED", "Late", "yesterday as well", **other),
            event(7, "DELETE_FAILED", "New", "today", **mine),
            event(8, "DELETE_FAILED", "Nobodys", "today too"),
            event(9, "DELETE_FAILED", **mine),
        ]
        found = stacks.failures(Script(("x", [])), end)
        assert [failure.logical_id for failure in found] == ["New", "Nobodys"]

    def test_a_record_of_an_earlier_closeout_continues_to_its_end(self) -> None:
        """Its `ready-1` did not say whether a delete was in progress, so all of the last one's events are read."""
        end = [*BEGUN, event(6, "DELETE_FAILED", "New", "today"), event(7, "DELETE_FAILED")]
        script = Script(("DELETE_FAILED", end))
        work = scripted(script)
        work.operations["ready-1"] = {"value": {"gone": False, "marker": "e6"}}
        with pytest.raises(ActionFailed, match=r"New \(New-1\): today"):
            Teardown(DOOMED, work, empty_buckets=False, role_arn=None).run()

    def test_an_earlier_closeouts_failed_delete_without_a_reason(self) -> None:
        """Its `end-1` has no failures and no time: the events are read once more, without waiting for them."""
        end = [*BEGUN, event(6, "DELETE_FAILED", "New", "today"), event(7, "DELETE_FAILED")]
        script = Script(("DELETE_FAILED", end))
        work = scripted(script, polls=1)
        work.operations |= {
            "ready-1": {"value": {"gone": False, "marker": "e6"}},
            "delete-1": {"value": {"result": {"at": 0.0}}},
            "end-1": {"value": {"state": "failed", "reason": "x", "failures": []}},
        }
        with pytest.raises(ActionFailed, match=r"New \(New-1\): today"):
            Teardown(DOOMED, work, empty_buckets=False, role_arn=None).run()

    def test_does_not_spin_when_no_trace_comes(self) -> None:
        """A stack that shows no trace of the delete for 40 seconds is a failure, not an endless wait."""
        script = Script(("CREATE_COMPLETE", [event(1, "CREATE_COMPLETE")]))
        waited = seconds_until(script, "CREATE_COMPLETE again: CloudFormation gave no reason")
        assert (waited, len(script.deleted)) == (40, 1)

    def test_missing_reasons_are_waited_for_a_minute(self) -> None:
        """Then the stack's own reason is all that is known."""
        end = [event(1, "DELETE_IN_PROGRESS"), event(2, "DELETE_FAILED", reason="failed to delete: [New]")]
        script = Script(("CREATE_COMPLETE", []), ("DELETE_FAILED", end))
        assert seconds_until(script, r"could not be deleted: failed to delete: \[New\]") == 60

    def test_a_late_reason_is_logged_and_reported(self) -> None:
        """The log has each event of the delete once, in order; the wait ends as soon as the reason arrives."""
        end = [event(1, "DELETE_IN_PROGRESS"), event(3, "DELETE_FAILED", reason="failed to delete: [New]")]
        late = [end[0], event(2, "DELETE_FAILED", "New", "today"), end[1]]
        looks = [("CREATE_COMPLETE", []), *[("DELETE_FAILED", end)] * 3, ("DELETE_FAILED", late)]
        work = scripted(Script(*looks))
        with pytest.raises(ActionFailed, match=r"New \(New-1\): today"):
            Teardown(DOOMED, work, empty_buckets=False, role_arn=None).run()
        assert work.lines[1:] == [
            "AWS::CloudFormation::Stack preview-17 DELETE_IN_PROGRESS",
            "AWS::CloudFormation::Stack preview-17 DELETE_FAILED: failed to delete: [New]",
            "AWS::S3::Bucket New DELETE_FAILED: today",
        ]

    def test_back_to_complete(self) -> None:
        """A stack that returned to its previous state is a failure with the reason from its event."""
        created = [event(1, "CREATE_COMPLETE")]
        back = [
            *created,
            event(2, "DELETE_IN_PROGRESS", reason="User Initiated"),
            event(3, "CREATE_COMPLETE", reason="Export x is in use"),
            event(4, "UPDATE_COMPLETE", "Queue", "of a resource"),
        ]
        with pytest.raises(ActionFailed, match="CREATE_COMPLETE again: Export x is in use"):
            tear_down(Script(("CREATE_COMPLETE", created), ("CREATE_COMPLETE", back)))

    @pytest.mark.parametrize(
        "state",
        [
            "CREATE_IN_PROGRESS",
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "ROLLBACK_IN_PROGRESS",
            "IMPORT_IN_PROGRESS",
        ],
    )
    def test_waits_out(self, state: str) -> None:
        """Nothing is requested of a stack while another operation is in progress."""
        created = [event(1, "CREATE_COMPLETE")]
        script = Script((state, created), (state, created), ("CREATE_COMPLETE", created), (None, created))
        work, _ = tear_down(script)
        assert sum("waiting until that ends" in line for line in work.lines) == 1
        assert len(script.deleted) == 1

    @pytest.mark.parametrize(
        ("states", "said"),
        [
            (["UPDATE_IN_PROGRESS"], "was still busy with something else when the time was up"),
            (["CREATE_COMPLETE", "DELETE_IN_PROGRESS"], "was still being deleted when the time was up"),
        ],
    )
    def test_time_is_up(self, states: list[str], said: str) -> None:
        """A wait that runs out of time names the stack and what it was doing."""
        with pytest.raises(ActionFailed, match=f"stack preview-17 {said}"):
            tear_down(Script(*((state, []) for state in states)))

    def test_review_in_progress_is_not_waited_for(self) -> None:
        """A stack that has only a change set is deleted at once: no operation is in progress."""
        script = Script(("REVIEW_IN_PROGRESS", []), (None, []))
        tear_down(script)
        assert len(script.deleted) == 1

    def test_failures_are_reported_even_if_the_deletes_first_event_is_missing(self) -> None:
        """The events may begin after a marker that is newer than the delete."""
        found = stacks.failures(Script(("x", [])), [event(6, "DELETE_FAILED", "New", "today")])
        assert [failure.logical_id for failure in found] == ["New"]

    def test_cancelled_deletions_are_consequences(self) -> None:
        """A cancelled deletion is left out when there is a cause."""
        end = [
            *BEGUN,
            event(6, "DELETE_FAILED", "Queue", "Resource deletion cancelled"),
            event(7, "DELETE_FAILED", "Table", "it is in use"),
            event(8, "DELETE_FAILED"),
        ]
        found = stacks.failures(Script(("x", [])), end)
        assert [failure.logical_id for failure in found] == ["Table"]
        only = stacks.failures(Script(("x", [])), [*BEGUN, end[-3]])
        assert [failure.logical_id for failure in only] == ["Queue"]


@pytest.mark.parametrize(
    ("kind", "reason", "not_empty"),
    [
        (
            "AWS::S3::Bucket",
            "The bucket you tried to delete is not empty (Error Code: BucketNotEmpty; …)",
            True,
        ),
        (
            "AWS::S3::Bucket",
            'Resource handler returned message: "The bucket you tried to delete is not empty. You must …"',
            True,
        ),
        ("AWS::S3::Bucket", "API: s3:DeleteBucket Access Denied", False),
        ("Custom::Thing", "BucketNotEmpty", False),
        ("AWS::ECR::Repository", "RepositoryNotEmptyException", False),
    ],
)
def test_not_empty(kind: str, reason: str, not_empty: bool) -> None:
    """Only S3's own messages about a bucket, old or new, mean that it is not empty."""
    assert Failure(type=kind, logical_id="A", physical_id="a", reason=reason).not_empty is not_empty


@pytest.mark.parametrize(
    ("template", "policies"),
    [
        (
            {"Resources": {"A": {"Type": "T", "DeletionPolicy": "Retain"}, "B": {"Type": "T"}}},
            {"A": "Retain"},
        ),
        (
            "Resources:\n  A: {Type: T, DeletionPolicy: Retain}\n  B:\n    Type: T\n    Name: !Sub '${x}'\n",
            {"A": "Retain"},
        ),
        ("Resources:\n  A:\n    Type: T\n    DeletionPolicy: !Ref Policy\n", {}),
        ({"Resources": {"A": {"DeletionPolicy": {"Ref": "Policy"}}}}, {}),
        ({"Resources": {"A": "text"}}, {}),
        ({"Resources": []}, {}),
        ("Resources: !!python/object/apply:os.system ['true']", {}),
        ("Resources: [unclosed", {}),
        ("just text", {}),
        (None, {}),
    ],
)
def test_deletion_policies(template: Any, policies: dict[str, str]) -> None:
    """Plain-text policies are read from JSON and YAML; an unreadable one counts as none, and no template code runs."""
    assert stacks.deletion_policies(Script(("x", []), template=template), ID) == policies


def test_a_plan_says_what_stays_and_how_each_deletion_is_verified() -> None:
    """In the order of the stack, nested resources after their stack."""
    held = {
        "preview-17": [
            ("Kept", "AWS::S3::Bucket"),
            ("Assets", "AWS::S3::Bucket"),
            ("Inner", stacks.STACK_TYPE),
            ("Thing", "Custom::Thing"),
        ],
        "Inner-1": [("Queue", "AWS::SQS::Queue")],
    }

    def stack_of(StackName: str) -> Any:  # noqa: N803
        return {"Stacks": [{"StackId": StackName, "StackName": StackName, "StackStatus": "CREATE_COMPLETE"}]}

    def resources_of(StackName: str) -> Any:  # noqa: N803
        row = {"ResourceStatus": "CREATE_COMPLETE"}
        return {
            "StackResourceSummaries": [
                {**row, "LogicalResourceId": name, "PhysicalResourceId": f"{name}-1", "ResourceType": kind}
                for name, kind in held[StackName]
            ]
        }

    kept = {"Kept": {"DeletionPolicy": "Retain"}}
    client = SimpleNamespace(
        describe_stacks=stack_of,
        list_stack_resources=resources_of,
        get_template=lambda **_named: {"TemplateBody": {"Resources": kept}},
    )
    clients: Any = SimpleNamespace(aws=lambda _service: client, account=lambda: DOOMED.account)
    given = {"stack-name": "preview-17", "role-arn": "arn:aws:iam::123456789012:role/deleter"}
    plan = ACTION.plan(given, clients)
    whole = "it is CREATE_COMPLETE and holds 4 resources besides 1 that its template keeps"
    assert [change.reason for change in plan] == [
        whole,
        "Kept of stack preview-17: its DeletionPolicy is Retain",
        "Assets of stack preview-17; verified after deletion",
        "Inner of stack preview-17; verified after deletion",
        "Queue of stack Inner-1; verified after deletion",
        "Thing of stack preview-17; not verified beyond what CloudFormation says",
    ]
    kept.clear()
    held["preview-17"] = held["preview-17"][:1]
    assert ACTION.plan({"stack-name": "preview-17"}, clients)[0].reason == (
        "it is CREATE_COMPLETE and holds 1 resource; it has no role: closeout's role needs delete rights on every "
        "resource, or set `role-arn` on the step"
    )


def test_permissions() -> None:
    """IAM is narrowed to the stack's name; the role is passed only if one is named, buckets only if emptied."""
    plain = ACTION.permissions({"stack-name": "preview-${{ event.number }}"})
    assert plain[0].resources == ("arn:aws:cloudformation:*:*:stack/preview-*/*",)
    assert not any("Object" in action for item in plain for action in item.actions)
    anything = [item for item in plain if item.resources == ("*",)]
    assert [item.actions for item in anything] == [
        ("ec2:DescribeInstances", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcs", "ssm:DescribeParameters")
    ], "only what IAM gives for all resources or for none"
    full = ACTION.permissions(
        {
            "stack-name": "Preview-${{ event.number }}",
            "empty-buckets": True,
            "role-arn": "arn:aws:iam::123456789012:role/deleter",
        }
    )
    assert full[3].actions == ("iam:PassRole",)
    assert full[3].resources == ("arn:aws:iam::123456789012:role/deleter",)
    assert full[4].resources == ("arn:aws:s3:::preview-**", "arn:aws:s3:::preview-**/*")


def test_a_failed_delete_is_explained_once_each_resource_has_a_reason() -> None:
    """For a nested stack that failed, an event must say what failed in it."""
    begun, failed = event(1, "DELETE_IN_PROGRESS"), event(2, "DELETE_FAILED", "Bucket", "in use")
    events = [event(0, "DELETE_FAILED", "Role"), begun, failed]
    reason = "The following resource(s) failed to delete: [Bucket]. "
    of = SimpleNamespace
    assert stacks.explained(events, cast("Any", [of(type="AWS::S3::Bucket")]), reason)
    assert not stacks.explained(events, cast("Any", [of(type=stacks.STACK_TYPE)]), reason)
    assert not stacks.explained(events, (), reason.replace("[Bucket]", "[Bucket, Role]"))
    assert not stacks.explained([begun], (), "")
    assert not stacks.explained(events, (), reason.replace("[Bucket]", "[Role]")), (
        "it failed in the delete before"
    )
