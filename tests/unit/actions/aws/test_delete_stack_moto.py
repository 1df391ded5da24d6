"""aws/cloudformation-delete-stack over HTTP against moto with CloudFormation's real delete behaviour."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from closeout.actions.aws.cloudformation_delete_stack import ACTION
from closeout.actions.spec import Inputs
from closeout.core.errors import ActionFailed, GuardRefused, RunCancelled, ServiceError, StepFailed
from closeout.core.plan import Change
from closeout.core.retry import Retry
from closeout.testing.aws import FakeAws
from tests.unit.actions.aws import previews
from tests.unit.actions.aws.previews import bucket, create, fill, fill_many, queue, status, table, template
from tests.work import Crashed, ImmediateWork

STACK = "preview-17"
ASSETS = "preview-17-assets"


def inputs(**given: Any) -> Inputs:
    """Inputs as the run resolves them."""
    return {"stack-name": STACK, "empty-buckets": False, "role-arn": None, **given}


def tear_down(clients: Any, given: Inputs, **work: Any) -> tuple[ImmediateWork, Mapping[str, Any]]:
    """Plan, apply, and insist that the look afterwards finds nothing."""
    changes = ACTION.plan(given, clients)
    done = ImmediateWork(clients, **work)
    answer = ACTION.apply(changes[0], given, done)
    assert list(ACTION.verify(changes, clients)) == []
    return done, answer


def calls(aws: FakeAws, *operations: str) -> list[str]:
    """The journal's operations of these names, in order."""
    return [entry["operation"] for entry in aws.requests() if entry["operation"] in operations]


def lines(changes: Any) -> list[tuple[str, str]]:
    """Verb and resource of each change."""
    return [(change.verb, change.resource) for change in changes]


class TestPlan:
    def test_absent(self, clients: Any) -> None:
        """A stack that is not there gives an empty plan."""
        assert ACTION.plan(inputs(), clients) == ()

    def test_deleted(self, clients: Any, aws: FakeAws) -> None:
        """A stack that was deleted gives an empty plan by its name."""
        create(clients, body=template(Queue=queue("q")))
        tear_down(clients, inputs())
        assert ACTION.plan(inputs(), clients) == ()

    def test_freezes_identity(self, clients: Any) -> None:
        """The plan holds the StackId and each physical resource as part of the stack, and changes nothing."""
        stack_id = create(clients)
        whole, *parts = ACTION.plan(inputs(), clients)
        assert whole.identity["stack_id"] == stack_id
        assert whole.identity["buckets"] == [ASSETS]
        assert lines(parts) == [
            ("delete", f"AWS::S3::Bucket {ASSETS}"),
            ("delete", "AWS::DynamoDB::Table preview-17-table"),
        ]
        assert {part.part_of for part in parts} == {whole.resource} == {"stack preview-17"}
        assert status(clients, STACK) == "CREATE_COMPLETE"

    def test_is_json(self, clients: Any) -> None:
        """A plan survives being stored."""
        create(clients)
        changes = tuple(ACTION.plan(inputs(), clients))
        stored = json.loads(json.dumps([change.to_json() for change in changes]))
        assert tuple(Change.from_json(item) for item in stored) == changes

    def test_more_than_a_page_of_resources(self, clients: Any) -> None:
        """All 130 resources are listed, though CloudFormation pages by 100."""
        create(clients, body=template(**{f"Queue{n}": queue(f"q-{n}") for n in range(130)}))
        whole, *parts = ACTION.plan(inputs(), clients)
        assert len(parts) == whole.identity["resources"] == 130

    def test_counts_what_emptying_would_delete(self, clients: Any) -> None:
        """With empty-buckets the plan counts versions and markers, so that max-objects holds; without, it does not."""
        create(clients)
        fill(clients)
        _, *parts = ACTION.plan(inputs(**{"empty-buckets": True}), clients)
        assert [(part.objects, part.bytes) for part in parts] == [(4, 8), (0, 0)]
        assert "; 4 versions in it" in parts[0].reason
        _, *parts = ACTION.plan(inputs(), clients)
        assert [(part.objects, part.bytes) for part in parts] == [(0, 0), (0, 0)]

    def test_tags_and_name_for_protect(self, clients: Any) -> None:
        """The stack's tags and every physical name are there for `protect` to be held against."""
        create(clients, Tags=[{"Key": "env", "Value": "production"}])
        whole, assets, _ = ACTION.plan(inputs(), clients)
        assert (whole.name, whole.tags) == (STACK, {"env": "production"})
        assert assets.name == ASSETS

    @pytest.mark.parametrize("form", ["json", "yaml"])
    def test_kept_resources(self, clients: Any, form: str) -> None:
        """What DeletionPolicy keeps is planned as `keep`, whether the template is JSON or YAML with short forms."""
        body = template(
            Kept=bucket(ASSETS, DeletionPolicy="Retain"), Table=table("t", DeletionPolicy="Snapshot")
        )
        if form == "yaml":
            body = f"""\
Parameters: {{Name: {{Type: String, Default: {ASSETS}}}}}
Resources:
  Kept:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties:
      BucketName: !Sub '${{Name}}'
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Snapshot
    Properties:
      TableName: t
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{{AttributeName: id, KeyType: HASH}}]
      AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
"""
        create(clients, body=body)
        assert sorted(lines(ACTION.plan(inputs(), clients))) == [
            ("delete", "AWS::DynamoDB::Table t"),
            ("delete", "stack preview-17"),
            ("keep", f"AWS::S3::Bucket {ASSETS}"),
            ("keep", "snapshot of AWS::DynamoDB::Table t"),
        ]

    def test_nested_stacks(self, clients: Any) -> None:
        """Resources of a nested stack are planned too; the nested stack itself is refused, naming its parent."""
        _create_nested(clients)
        changes = ACTION.plan(inputs(), clients)
        kinds = [change.resource.split()[0] for change in changes]
        assert kinds == ["stack", "AWS::CloudFormation::Stack", "AWS::S3::Bucket"]
        nested = changes[1].identity["physical_id"].split("/")[1]
        with pytest.raises(GuardRefused, match=r"nested in stack preview-17.*name preview-17 instead"):
            ACTION.plan(inputs(**{"stack-name": nested}), clients)

    def test_termination_protection(self, clients: Any, aws: FakeAws) -> None:
        """A protected stack is refused at plan with the command that would allow it; nothing changes it."""
        create(clients, EnableTerminationProtection=True)
        with pytest.raises(GuardRefused, match="--no-enable-termination-protection --stack-name preview-17"):
            ACTION.plan(inputs(), clients)
        assert not calls(aws, "DeleteStack", "UpdateTerminationProtection")

    def test_says_when_there_is_no_role(self, clients: Any) -> None:
        """Without a role anywhere the plan says whose permissions count, and the fix."""
        create(clients)
        assert "set `role-arn`" in ACTION.plan(inputs(), clients)[0].reason
        role = "arn:aws:iam::123456789012:role/deleter"
        assert "role-arn" not in ACTION.plan(inputs(**{"role-arn": role}), clients)[0].reason

    def test_stack_with_a_role_of_its_own(self, clients: Any) -> None:
        """A role on the stack is enough."""
        create(clients, RoleARN="arn:aws:iam::123456789012:role/deleter")
        assert "role-arn" not in ACTION.plan(inputs(), clients)[0].reason

    @pytest.mark.parametrize(
        ("code", "message", "status_code"),
        [
            ("ValidationError", "1 validation error detected: stackName is too long", 400),
            ("ValidationError", "Stack with id another does not exist", 400),
            ("AccessDenied", "User is not authorized to perform: cloudformation:DescribeStacks", 403),
            ("ExpiredToken", "The security token included in the request is expired", 403),
        ],
    )
    def test_an_error_is_not_absence(
        self, clients: Any, aws: FakeAws, code: str, message: str, status_code: int
    ) -> None:
        """Only CloudFormation's exact sentence about this stack means gone."""
        aws.fault(operation="DescribeStacks", code=code, message=message, status=status_code)
        with pytest.raises(ServiceError) as caught:
            ACTION.plan(inputs(), clients)
        assert caught.value.reason == code
        assert not caught.value.transient


def _create_nested(clients: Any) -> None:
    clients.aws("s3").create_bucket(Bucket="templates")
    inner = template(Assets=bucket(ASSETS))
    clients.aws("s3").put_object(Bucket="templates", Key="inner.json", Body=inner.encode())
    url = "https://templates.s3.amazonaws.com/inner.json"
    create(
        clients,
        body=template(Inner={"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}),
    )


class TestApply:
    def test_deletes(self, clients: Any, aws: FakeAws) -> None:
        """A stack is deleted by its id with one request, and is really gone."""
        stack_id = create(clients)
        work, answer = tear_down(clients, inputs())
        assert answer["summary"] == "deleted stack preview-17 (2 resources)"
        assert status(clients, stack_id) == "DELETE_COMPLETE"
        requests = [entry["params"] for entry in aws.requests() if entry["operation"] == "DeleteStack"]
        assert [params["StackName"] for params in requests] == [stack_id]
        assert "DeletionMode" not in requests[0]
        assert work.changes == ["delete-1"]

    def test_logs_each_event_once(self, clients: Any, aws: FakeAws) -> None:
        """Progress is logged as it comes, each event once."""
        create(clients)
        aws.delete_takes(1.5)
        work, _ = tear_down(clients, inputs())
        told = [line for line in work.lines if " DELETE_" in line]
        assert len(told) == len(set(told)) >= 5

    def test_full_bucket_is_explained(self, clients: Any, aws: FakeAws) -> None:
        """A bucket that is not empty fails the step with its name, S3's reason and the fix; what it kept up goes."""
        create(clients)
        fill(clients)
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(
            ActionFailed, match=r"Assets \(preview-17-assets\).*not empty.*empty-buckets: true"
        ):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        assert not calls(aws, "DeleteObjects")
        left = {item.resource: item.reason for item in ACTION.verify(changes, clients)}
        assert set(left) == {"stack preview-17", f"AWS::S3::Bucket {ASSETS}"}
        assert "DELETE_FAILED" in left["stack preview-17"]

    def test_empties_after_the_first_delete(self, clients: Any, aws: FakeAws) -> None:
        """With empty-buckets: delete first, empty what the events name, delete again; owner given in every call."""
        create(clients)
        fill(clients)
        work, answer = tear_down(clients, inputs(**{"empty-buckets": True}))
        assert calls(aws, "DeleteStack", "DeleteObjects") == ["DeleteStack", "DeleteObjects", "DeleteStack"]
        assert answer["summary"].endswith(f"after emptying {ASSETS} (4 versions)")
        assert work.changes == ["delete-1", "empty-1-1-1", "empty-1-1-2", "delete-2"]

    @pytest.mark.usefixtures("small_batches")
    def test_more_than_one_batch(self, clients: Any) -> None:
        """A bucket of 30 versions is emptied in two guarded batches of 20 and a last look."""
        create(clients)
        fill_many(ASSETS, 30)
        work, _ = tear_down(clients, inputs(**{"empty-buckets": True}))
        assert [name for name in work.changes if name.startswith("empty")] == [
            f"empty-1-1-{number}" for number in (1, 2, 3)
        ]
        assert [line for line in work.lines if line.startswith("bucket")] == [
            f"bucket {ASSETS}: deleted {number} versions and delete markers" for number in (20, 10)
        ]

    def test_leaves_other_buckets(self, clients: Any) -> None:
        """A bucket outside the stack stays as it is, however alike its name."""
        clients.aws("s3").create_bucket(Bucket=f"{ASSETS}-2")
        fill(clients, f"{ASSETS}-2")
        create(clients)
        fill(clients)
        tear_down(clients, inputs(**{"empty-buckets": True}))
        assert clients.aws("s3").list_objects_v2(Bucket=f"{ASSETS}-2")["KeyCount"] >= 1

    def test_bucket_that_the_plan_did_not_list(self, clients: Any, aws: FakeAws) -> None:
        """A full bucket that came into the stack after the plan is named, and not emptied."""
        create(clients)
        fill(clients)
        changes = ACTION.plan(inputs(), clients)
        stripped = Change.from_json(
            {**changes[0].to_json(), "identity": {**changes[0].identity, "buckets": []}}
        )
        with pytest.raises(ActionFailed, match="was not in the plan"):
            ACTION.apply(stripped, inputs(**{"empty-buckets": True}), ImmediateWork(clients))
        assert not calls(aws, "DeleteObjects")

    def test_nested_bucket(self, clients: Any) -> None:
        """A full bucket in a nested stack is found through the nested stack's own events, and emptied."""
        _create_nested(clients)
        fill(clients)
        _, answer = tear_down(clients, inputs(**{"empty-buckets": True}))
        assert ASSETS in answer["summary"]

    def test_undeletable_resource(self, clients: Any, aws: FakeAws) -> None:
        """A resource in use fails the step by name and reason, after one delete."""
        create(clients)
        aws.undeletable(STACK, "Table", "Table is being used by a replica")
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(
            ActionFailed, match=r"Table \(preview-17-table\): Table is being used by a replica"
        ):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        assert calls(aws, "DeleteStack") == ["DeleteStack"]

    def test_dependency_that_goes_later(self, clients: Any, aws: FakeAws) -> None:
        """A dependency violation is tried again: it often passes when what depended on it is gone."""
        create(clients)
        aws.undeletable(STACK, "Table", "resource sg-1 has a dependent object (DependencyViolation)", times=1)
        work, _ = tear_down(clients, inputs())
        assert work.changes == ["delete-1", "delete-2"]
        assert work.slept == [1.0]

    def test_gives_up_after_its_attempts(self, clients: Any, aws: FakeAws) -> None:
        """`retry.attempts` bounds the deletes."""
        create(clients)
        aws.undeletable(STACK, "Table", "DependencyViolation")
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(ActionFailed, match="DependencyViolation"):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients, retry=Retry(attempts=2)))
        assert calls(aws, "DeleteStack") == ["DeleteStack"] * 2

    def test_earlier_failures_are_not_this_one(self, clients: Any, aws: FakeAws) -> None:
        """A second delete is explained by its own events, not by those of the delete before it."""
        create(clients)
        aws.undeletable(STACK, "Table", "the reason of yesterday", times=1)
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(ActionFailed, match="yesterday"):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        aws.undeletable(STACK, "Table", "the reason of today")
        with pytest.raises(ActionFailed) as caught:
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients, execution="a" * 26 + "-2"))
        assert "today" in caught.value.message
        assert "yesterday" not in caught.value.message

    def test_waits_for_an_update(self, clients: Any, aws: FakeAws) -> None:
        """A stack that is being updated is waited for, and nothing is asked of it meanwhile."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        aws.stack_status(STACK, "UPDATE_IN_PROGRESS", seconds=600, then="UPDATE_COMPLETE")
        paused: list[float] = []

        def ends(seconds: float) -> None:
            if not paused:
                aws.stack_status(STACK, "UPDATE_IN_PROGRESS", seconds=0, then="UPDATE_COMPLETE")
            paused.append(seconds)
            time.sleep(0.02)

        work = ImmediateWork(clients, pause=ends)
        ACTION.apply(changes[0], inputs(), work)
        assert calls(aws, "DeleteStack") == ["DeleteStack"]
        assert any("UPDATE_IN_PROGRESS: waiting" in line for line in work.lines)

    def test_update_that_begins_in_between(self, clients: Any, aws: FakeAws) -> None:
        """An update that begins just before the delete makes the guarded call wait, not fail."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        begun: list[str] = []

        def guard(name: str) -> None:
            if not begun:
                begun.append(name)
                aws.stack_status(STACK, "UPDATE_IN_PROGRESS", seconds=0.15, then="UPDATE_COMPLETE")

        ACTION.apply(changes[0], inputs(), ImmediateWork(clients, guard=guard))
        assert ACTION.plan(inputs(), clients) == ()

    def test_joins_a_delete_under_way(self, clients: Any, aws: FakeAws) -> None:
        """A delete that somebody else began is joined."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        aws.stop_deletes_at_the_end()
        clients.aws("cloudformation").delete_stack(StackName=STACK)
        answer = ACTION.apply(changes[0], inputs(), ImmediateWork(clients, pause=_ends(aws)))
        assert answer["summary"].startswith("deleted stack preview-17")

    def test_gone_before_apply(self, clients: Any, aws: FakeAws) -> None:
        """A stack that went after the plan is success without a request."""
        create(clients, body=template(Queue=queue("q")))
        changes = ACTION.plan(inputs(), clients)
        tear_down(clients, inputs())
        before = len(calls(aws, "DeleteStack"))
        answer = ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        assert answer["summary"] == "stack preview-17 was already gone"
        assert len(calls(aws, "DeleteStack")) == before

    def test_export_in_use(self, clients: Any) -> None:
        """A stack whose export is in use goes back to CREATE_COMPLETE; the step fails with the reason and does not spin."""
        exporting = json.dumps(
            {
                "Resources": {"Queue": queue("q")},
                "Outputs": {"Url": {"Value": {"Ref": "Queue"}, "Export": {"Name": "shared-url"}}},
            }
        )
        create(clients, body=exporting)
        importing = queue("other", Metadata={"Uses": {"Fn::ImportValue": "shared-url"}})
        create(clients, "importer", template(Other=importing))
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(
            ActionFailed, match=r"CREATE_COMPLETE again: Export shared-url .* in use by importer"
        ):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients))

    def test_protected_after_the_plan(self, clients: Any) -> None:
        """Protection that was switched on after the plan stops the delete with AWS's own words."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        clients.aws("cloudformation").update_termination_protection(
            StackName=STACK, EnableTerminationProtection=True
        )
        work = ImmediateWork(clients)
        with pytest.raises(StepFailed, match="TerminationProtection is enabled"):
            ACTION.apply(changes[0], inputs(), work)
        assert work.changes == ["delete-1"], "only an operation under way is waited for"

    def test_hands_over_the_role(self, clients: Any, aws: FakeAws) -> None:
        """role-arn reaches CloudFormation."""
        create(clients)
        role = "arn:aws:iam::123456789012:role/deleter"
        tear_down(clients, inputs(**{"role-arn": role}))
        request = next(entry for entry in aws.requests() if entry["operation"] == "DeleteStack")
        assert request["params"]["RoleARN"] == role

    def test_kept_bucket_stays(self, clients: Any) -> None:
        """A retained bucket keeps its content, and is not reported as left."""
        create(clients, body=template(Kept=bucket(ASSETS, DeletionPolicy="Retain"), Queue=queue("q")))
        fill(clients)
        tear_down(clients, inputs(**{"empty-buckets": True}))
        assert ASSETS in previews.bucket_names(clients)

    def test_another_accounts_bucket(self, clients: Any, aws: FakeAws) -> None:
        """A bucket of that name in another account is neither emptied nor taken for gone."""
        create(clients)
        fill(clients)
        changes = ACTION.plan(inputs(), clients)
        strange = Change.from_json(
            {**changes[0].to_json(), "identity": {**changes[0].identity, "account": "999999999999"}}
        )
        with pytest.raises(StepFailed, match="AccessDenied"):
            ACTION.apply(strange, inputs(**{"empty-buckets": True}), ImmediateWork(clients))
        assert clients.aws("s3").list_objects_v2(Bucket=ASSETS)["KeyCount"] == 1


def _bucket_has_failed(clients: Any) -> None:
    """Wait until the delete under way has come past the bucket."""
    for _ in range(500):
        rows = clients.aws("cloudformation").list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        if any(row["ResourceStatus"] == "DELETE_FAILED" for row in rows):
            return
        time.sleep(0.02)
    pytest.fail("no resource failed")


def _ends(aws: FakeAws) -> Callable[[float], None]:
    """Let the delete under way end at the first pause: by then it was joined."""

    def pause(_seconds: float) -> None:
        time.sleep(0.02)
        aws.let_deletes_end()

    return pause


class TestInterruptions:
    @pytest.mark.parametrize(
        "operation", ["DeleteStack", "DescribeStacks", "DescribeStackEvents", "DeleteObjects"]
    )
    @pytest.mark.parametrize(
        "fault",
        [
            {"code": "Throttling", "message": "Rate exceeded", "times": 2},
            {"code": "InternalFailure", "status": 500, "times": 2},
            {"kind": "drop", "times": 2},
            {"kind": "drop", "times": 2, "after": True},
        ],
        ids=["throttled", "5xx", "no answer", "answer lost"],
    )
    def test_transient_errors(
        self, clients: Any, aws: FakeAws, operation: str, fault: dict[str, Any]
    ) -> None:
        """Throttling, server errors and lost answers are waited out, at every call of apply."""
        create(clients)
        fill(clients)
        changes = ACTION.plan(inputs(), clients)
        aws.fault(operation=operation, **fault)
        ACTION.apply(changes[0], inputs(**{"empty-buckets": True}), ImmediateWork(clients))
        assert list(ACTION.verify(changes, clients)) == []

    def test_crash_after_every_operation(self, clients: Any, aws: FakeAws) -> None:
        """However often the process dies between an effect and its record, the teardown converges."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        changes = ACTION.plan(given, clients)
        operations: dict[str, Any] = {}
        died: list[str] = []

        def crash(name: str) -> bool:
            first = name not in died
            if first:
                died.append(name)
            return first

        answer = None
        while answer is None:
            with contextlib.suppress(Crashed):
                work = ImmediateWork(clients, operations=operations, crash=crash)
                answer = ACTION.apply(changes[0], given, work)
        assert list(operations) == died
        assert list(ACTION.verify(changes, clients)) == []
        tokens = [
            e["params"]["ClientRequestToken"] for e in aws.requests() if e["operation"] == "DeleteStack"
        ]
        assert tokens[0] == tokens[1] != tokens[2] == tokens[3]

    def test_replay_asks_nothing(self, clients: Any, aws: FakeAws) -> None:
        """A replay gives the same answer without a single call."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        changes = ACTION.plan(given, clients)
        first = ImmediateWork(clients)
        answer = ACTION.apply(changes[0], given, first)
        before = len(aws.requests())
        again = ImmediateWork(clients, operations=first.operations)
        assert ACTION.apply(changes[0], given, again) == answer
        assert len(aws.requests()) == before
        assert again.lines == []

    @pytest.mark.parametrize(
        "dies_at", ["ready-1", "delete-1", "end-1", "empty-1-1-1", "ready-2", "delete-2"]
    )
    def test_stack_created_anew_under_the_name(self, clients: Any, aws: FakeAws, dies_at: str) -> None:
        """While a retry is due the stack goes and another one takes its name: the new one stays, and its bucket."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        changes = ACTION.plan(given, clients)
        operations: dict[str, Any] = {}
        dying = ImmediateWork(clients, operations=operations, crash=lambda name: name == dies_at)
        with pytest.raises(Crashed):
            ACTION.apply(changes[0], given, dying)
        self._delete_by_hand(clients, changes[0].identity["stack_id"])
        new = create(clients)
        fill(clients)
        ACTION.apply(changes[0], given, ImmediateWork(clients, operations=operations))
        assert status(clients, STACK) == "CREATE_COMPLETE"
        assert status(clients, new) == "CREATE_COMPLETE"
        assert clients.aws("dynamodb").describe_table(TableName="preview-17-table")
        listed = clients.aws("s3").list_object_versions(Bucket=ASSETS)
        assert len(listed["Versions"]) + len(listed["DeleteMarkers"]) == 4
        assert list(ACTION.verify(changes, clients)) == []

    def test_joins_a_delete_that_is_about_to_fail(self, clients: Any, aws: FakeAws) -> None:
        """The bucket has failed by the time of the joining, the stack fails later: the bucket is emptied all the same."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        changes = ACTION.plan(given, clients)
        aws.stop_deletes_at_the_end()
        clients.aws("cloudformation").delete_stack(StackName=STACK)
        _bucket_has_failed(clients)
        answer = ACTION.apply(changes[0], given, ImmediateWork(clients, pause=_ends(aws)))
        assert answer["summary"].endswith(f"after emptying {ASSETS} (4 versions)")
        assert list(ACTION.verify(changes, clients)) == []

    def test_events_that_come_late_are_waited_for(self, clients: Any, aws: FakeAws) -> None:
        """DELETE_FAILED is not yet the reason: the step asks until the events name the bucket."""
        create(clients)
        fill(clients)
        aws.delay_events(3600)
        operations: dict[str, Any] = {}

        def pause(_seconds: float) -> None:
            time.sleep(0.02)
            if "end-1" in operations:
                aws.delay_events(0)

        given = inputs(**{"empty-buckets": True})
        _, answer = tear_down(clients, given, operations=operations, pause=pause)
        assert answer["summary"].endswith(f"after emptying {ASSETS} (4 versions)")
        assert "why-1" in operations

    def test_events_that_never_come_end_the_step_with_the_stacks_own_reason(
        self, clients: Any, aws: FakeAws
    ) -> None:
        """The wait for them is bounded."""
        create(clients)
        fill(clients)
        aws.delay_events(3600)
        changes = ACTION.plan(inputs(), clients)
        with pytest.raises(ActionFailed, match=r"could not be deleted: .*failed to delete: \[Assets\]"):
            ACTION.apply(changes[0], inputs(), ImmediateWork(clients))

    def test_a_rerun_after_a_timeout_in_the_middle_of_a_delete(self, clients: Any, aws: FakeAws) -> None:
        """The first attempt's delete is under way when the second one plans; it is joined, explained and remedied."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        aws.stop_deletes_at_the_end()
        with pytest.raises(ActionFailed, match="a rerun joins it"):
            ACTION.apply(ACTION.plan(given, clients)[0], given, ImmediateWork(clients, polls=3))
        again = ACTION.plan(given, clients)
        _bucket_has_failed(clients)
        assert status(clients, STACK) == "DELETE_IN_PROGRESS"
        second = ImmediateWork(clients, execution="a" * 26 + "-2", pause=_ends(aws))
        assert ACTION.apply(again[0], given, second)["summary"].endswith(f"emptying {ASSETS} (4 versions)")
        assert list(ACTION.verify(again, clients)) == []

    @staticmethod
    def _delete_by_hand(clients: Any, stack_id: str) -> None:
        from closeout.actions.aws.teardown import PlannedStack, Teardown

        other = ImmediateWork(clients, execution="b" * 26 + "-1")
        planned = PlannedStack(stack_id, STACK, previews.ACCOUNT, 2, (ASSETS,))
        Teardown(planned, other, empty_buckets=True, role_arn=None).run()

    def test_reopened_while_emptying(self, clients: Any, aws: FakeAws) -> None:
        """A run that is cancelled before a batch deletes nothing more."""
        create(clients)
        fill(clients)
        given = inputs(**{"empty-buckets": True})
        changes = ACTION.plan(given, clients)

        def guard(name: str) -> None:
            if name.startswith("empty"):
                raise RunCancelled(name, "reopened", "pull request #17 is open again")

        with pytest.raises(RunCancelled):
            ACTION.apply(changes[0], given, ImmediateWork(clients, guard=guard))
        assert calls(aws, "DeleteObjects", "DeleteStack") == ["DeleteStack"]


class TestVerify:
    def test_bucket_that_outlived_its_stack(self, clients: Any) -> None:
        """A stack that is gone proves nothing about its bucket: the bucket is looked for."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        clients.aws("s3").create_bucket(Bucket=ASSETS)
        (left,) = ACTION.verify(changes, clients)
        assert left.resource == f"AWS::S3::Bucket {ASSETS}"
        assert "still there" in left.reason

    def test_a_refused_look_is_not_absence(self, clients: Any, aws: FakeAws) -> None:
        """403 on the look is a leftover that says so; the other looks are still made."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        ACTION.apply(changes[0], inputs(), ImmediateWork(clients))
        aws.fault(operation="HeadBucket", code="403", status=403, message="Forbidden")
        (left,) = ACTION.verify(changes, clients)
        assert "could not be verified" in left.reason
        assert calls(aws, "DescribeTable")

    def test_transient_error_is_raised(self, clients: Any, aws: FakeAws) -> None:
        """A throttled look is neither yes nor no: it is raised, to be made again."""
        create(clients)
        changes = ACTION.plan(inputs(), clients)
        aws.fault(operation="DescribeTable", code="ThrottlingException", times=2)
        with pytest.raises(ServiceError) as caught:
            ACTION.verify(changes, clients)
        assert caught.value.transient
