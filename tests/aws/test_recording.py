"""The recording day against the emulated account, as whoever has a real one runs it: with the documented policy alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.aws.deployment import ROOT
from tests.aws.world import EMULATOR
from tests.emulator.launcher import Ministack
from tests.live import comparison, emulated, record

GONE = "Every stack of the recording is gone."
ACTIONS = {
    "lambda.Invoke": "lambda:InvokeFunction",
    "s3.ListObjectVersions": "s3:ListBucketVersions",
}
"""Operations whose action has another name: https://docs.aws.amazon.com/service-authorization/latest/reference."""
FREE = {"sts.GetCallerIdentity"}
"""What needs no permission."""
OTHERS = {
    "sts:AssumeRole",  # the CDK's command line
    "secretsmanager:DescribeSecret",  # CloudFormation's drift detection, with the caller's rights
    "secretsmanager:GetSecretValue",
    "s3:DeleteObjectVersion",  # DeleteObject of one version
}
"""Actions that no call of the recording's own has the name of."""


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield the command, just started; end it with the test."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.live", "--emulator", "--into", str(tmp_path / "answers")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield started
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read lines until one begins with these words; return all."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if line.startswith(words):
            return told
    raise AssertionError(told)


@pytest.mark.timeout(900)
def test_a_recording_asks_everything_and_leaves_nothing(
    recording: subprocess.Popen[str], tmp_path: Path
) -> None:
    """The emulator answers as its kept answers say; the policy allows each call; every stack is gone."""
    told, _ = recording.communicate(timeout=900)
    assert recording.returncode == record.RECORDED, told
    assert GONE in told
    lines = told.splitlines()
    begins = next(number for number, line in enumerate(lines) if line.startswith("Deploying"))
    assert any(line.startswith("Account 123456789012, region") for line in lines[:begins])
    assert any(line.startswith("Costs at most") for line in lines[:begins])
    kept = [question for question in record.ALL if question.id not in record.LONG]
    answers = comparison.summed_up(tmp_path / "answers", kept)
    assert answers == comparison.emulator(), "python -m tests.live --emulator --write keeps the new answers"
    statements = json.loads(emulated.POLICY.read_text("utf-8"))["Statement"]
    allowed = {
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    calls = json.loads((tmp_path / "answers" / record.CALLS).read_text("utf-8"))
    needed = {ACTIONS.get(call, call.replace(".", ":")) for call in set(calls) - FREE}
    assert needed | OTHERS == allowed


def test_a_recording_that_is_stopped_removes_what_it_made(recording: subprocess.Popen[str]) -> None:
    """Ctrl-C between two questions: the exit code says so, and every stack is gone."""
    told = read_until(recording, "start-twice:")
    recording.send_signal(signal.SIGINT)
    told += recording.communicate(timeout=120)[0]
    assert recording.returncode == record.INTERRUPTED, told
    assert told.count("removing closeout-rec-") >= 2, told
    assert GONE in told


def test_the_policy_allows_nothing_outside_of_the_recording(tmp_path: Path) -> None:
    """The emulator enforces it: without that, a recording which passes there would say nothing of the policy."""
    with Ministack(EMULATOR, tmp_path) as cloud:
        keys = emulated.user(cloud)
        credentials = {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
        cloudformation = cloud.client("cloudformation", **credentials)
        with pytest.raises(ClientError, match="does not exist"):
            cloudformation.describe_stacks(StackName="CDKToolkit")
        refused: list[tuple[str, Callable[[], object]]] = [
            ("another stack", lambda: cloudformation.delete_stack(StackName="closed-pr-event-stack")),
            ("a stack of one's own", lambda: cloudformation.create_stack(StackName="closeout-rec-x")),
            ("another function", lambda: cloud.client("lambda", **credentials).invoke(FunctionName="worker")),
            ("a bucket", lambda: cloud.client("s3", **credentials).create_bucket(Bucket="another")),
            ("users", lambda: cloud.client("iam", **credentials).list_users()),
        ]
        for what, call in refused:
            with pytest.raises(ClientError, match="AccessDenied"):
                pytest.fail(f"{what}: {call()}")
