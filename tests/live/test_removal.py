"""What a recording refuses to begin with, and what its removal touches: its own stacks, and nothing that only looks like them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from closeout.testing.aws import FakeAws
from closeout.testing.aws.server import REGION
from tests.live import record, removal
from tests.live.account import TAG, Account, Refused
from tests.live.masks import NAME as MASKED
from tests.live.question import Recording, Times
from tests.live.recorder import Recorder

NAME = "closeout-rec-0a1b2c"
BUCKET = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{NAME}-bucket"}}}
QUEUE = {"Queue": {"Type": "AWS::SQS::Queue"}}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """Yield an empty account that every AWS SDK of this process talks to."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with FakeAws(delete_seconds=0.1) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


def account() -> Account:
    """Return the recording's account."""
    return Account(None, REGION, NAME, Recorder())


def make(name: str, resources: dict[str, Any], tag: str | None = NAME) -> None:
    """Make a stack."""
    tags = [{"Key": TAG, "Value": tag}] if tag else []
    boto3.client("cloudformation", region_name=REGION).create_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": resources}), Tags=tags
    )


def options(into: Path) -> record.Options:
    """Return the options of a recording that asks one question."""
    return record.Options(profile=None, region=REGION, name=NAME, into=into, only=["stop"])


def test_full_buckets_are_emptied_and_every_stack_goes(aws: FakeAws) -> None:
    """Versions and delete markers go too."""
    make(NAME, QUEUE)
    make(f"{NAME}-watch", BUCKET)
    s3 = boto3.client("s3", region_name=REGION)
    s3.put_bucket_versioning(Bucket=f"{NAME}-bucket", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=f"{NAME}-bucket", Key="object", Body=body)
    s3.delete_object(Bucket=f"{NAME}-bucket", Key="object")
    assert removal.remove(account(), print, 30) == []
    assert s3.list_buckets()["Buckets"] == []


def test_stacks_without_the_tag_and_of_other_names_are_not_touched(aws: FakeAws) -> None:
    """The name alone does not make a stack ours; a stack that we leave is named, never called gone."""
    make(NAME, QUEUE, tag=None)
    make(f"{NAME}-probe", QUEUE, tag="closeout-rec-ffffff")
    make(f"{NAME}-another", QUEUE)
    left = removal.remove(account(), print, 30)
    assert [(one.stack, "not touched" in one.status) for one in left] == [
        (NAME, True),
        (f"{NAME}-probe", True),
    ]
    assert not [one for one in aws.requests() if one["operation"] == "DeleteStack"]


def test_what_cannot_be_removed_is_named_with_the_command_that_removes_it(
    aws: FakeAws, tmp_path: Path
) -> None:
    """Stack, status, resource, and a command that can be run again: it removes the rest once it can go."""
    make(NAME, QUEUE)
    aws.undeletable(NAME, "Queue", "a policy denies it")
    told: list[str] = []
    assert record.remove(account(), options(tmp_path), told.append) == record.LEFT
    (line,) = [line for line in told if line.startswith("LEFT")]
    assert line.startswith(f"LEFT: {NAME} (DELETE_FAILED): AWS::SQS::Queue ")
    assert told[-1] == (
        f"Remove it with: make record-live PROFILE=default REGION={REGION} ARGS='--remove {NAME}'"
    )
    aws.deletable()
    assert record.remove(account(), options(tmp_path), told.append) == record.RECORDED


def test_an_error_is_not_read_as_gone(aws: FakeAws, tmp_path: Path) -> None:
    """If AWS does not answer, the stacks may be there: they are named with the command, and the error is raised."""
    make(NAME, QUEUE)
    mine = account()
    aws.fault(operation="DescribeStacks", status=403, code="AccessDenied", times=100)
    told: list[str] = []
    with pytest.raises(ClientError):
        record.remove(mine, options(tmp_path), told.append)
    assert told[-2] == f"The removal did not end. These stacks may be there: {', '.join(mine.stacks)}"
    assert f"--remove {NAME}" in told[-1]


@pytest.mark.parametrize("part", ["", "-probe", "-watch"])
def test_a_name_that_is_taken_is_refused(aws: FakeAws, tmp_path: Path, part: str) -> None:
    """Whatever is there already would be overwritten, and removed with the rest."""
    make("CDKToolkit", QUEUE)
    make(f"{NAME}{part}", QUEUE)
    with pytest.raises(Refused, match=f"There is a stack {NAME}{part} already"):
        record.record(options(tmp_path), print, lambda: True)


def test_an_account_without_bootstrap_is_refused(aws: FakeAws, tmp_path: Path) -> None:
    """The message has the command."""
    with pytest.raises(Refused, match="cdk bootstrap aws://123456789012/"):
        record.record(options(tmp_path), print, lambda: True)


def test_nothing_is_done_without_a_yes(aws: FakeAws, tmp_path: Path) -> None:
    """Account, region and price are told before the question; a no changes nothing."""
    make("CDKToolkit", QUEUE)
    told: list[str] = []
    seen: list[str] = []

    def no() -> bool:
        seen.extend(told)
        return False

    assert record.record(options(tmp_path), told.append, no) == record.REFUSED
    assert seen[0].startswith(f"Account 123456789012, region {REGION}")
    assert any(line.startswith("Costs at most 0.0") for line in seen)
    changing = {one["operation"] for one in aws.requests()} - {"CreateStack"}
    assert changing <= {"GetCallerIdentity", "DescribeStacks", "CreateQueue"}


def test_credentials_that_do_not_work_are_refused_in_a_sentence(aws: FakeAws) -> None:
    """A profile that does not exist is the commonest of them."""
    with pytest.raises(Refused, match="AWS does not accept the credentials of profile nobody"):
        Account("nobody", REGION, NAME, Recorder())


def test_only_a_name_of_a_recording_can_be_removed(aws: FakeAws) -> None:
    """`--remove` of anything else is refused before AWS is asked for more than who asks."""
    with pytest.raises(Refused, match="begins with closeout-rec-"):
        Account(None, REGION, "closed-pr-event-stack", Recorder())


def test_a_fixture_that_would_name_the_recording_is_not_written(aws: FakeAws, tmp_path: Path) -> None:
    """Calls, events and letters are masked; what slips in by another way is found before the file is written."""
    recording = Recording(account(), Recorder(), Times(), tmp_path)
    question = record.ALL[0]
    record.write(recording, question, tmp_path, {"said": "nothing"}, None)
    record.write(recording, question, tmp_path, None, RuntimeError(f"{NAME} is gone"))
    kept = (tmp_path / f"{question.id}.json").read_text("utf-8")
    assert f'"failed": "{MASKED} is gone"' in kept
    with pytest.raises(Refused, match="holds the recording's name"):
        record.write(recording, question, tmp_path, {"said": f"no {NAME}"}, None)
    assert (tmp_path / f"{question.id}.json").read_text("utf-8") == kept
