"""Every boto3 call of closeout's own code beside AWS's model, in a run of the tests of what makes them, over moto."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore import xform_name

from tests.aws.contracts.models import model

ROOT = Path(__file__).parents[3]
TESTS = (
    "tests/contract/test_remote_engine.py::test_the_leftovers_of_a_run_that_is_over_do_not_hold_a_key",
    "tests/contract/test_remote_queues.py",
    "tests/unit/actions/aws/test_codebuild_moto.py",
    "tests/unit/actions/aws/test_delete_stack_moto.py",
    "tests/unit/actions/aws/test_physical_moto.py",
    "tests/unit/actions/aws/test_s3_delete_objects_moto.py",
    "tests/unit/actions/aws/test_tags_moto.py",
    "tests/unit/ledger/dynamodb/test_requests.py",
    "tests/unit/ledger/dynamodb/test_views.py",
    "tests/unit/wiring/test_stack_notifying.py",
    "tests/unit/wiring/test_stack_runtime.py",
    "tests/aws/contracts/unseen_calls.py",
)
SERVICES = [
    "cloudcontrol",
    "cloudformation",
    "codebuild",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "events",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "rds",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
]
NO_CALLS = {
    "get_resource": "of Cloud Control, which moto does not have: its tests answer for it",
    "create_connection": "of a socket",
    "list_commands": "of the command line",
    "put_object": "of the receiver's own client",
    "simulate_principal_policy": "of IAM, which simulates nothing in moto: the doctor's tests answer for it",
    "sign": "of a token, and of the receiver's own client",
    "verify": "of a signature",
}
"""Names that are an operation's by chance, and two operations that no emulator answers."""


class Recording(NamedTuple):
    """What the plugin saw: operations of services, and constraints that a call broke, with the test."""

    seen: set[tuple[str, str]]
    broken: dict[str, str]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run the tests with the plugin, once."""
    folder = tmp_path_factory.mktemp("recorded")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "tests.aws.contracts.recorder", *TESTS],
        cwd=ROOT,
        env={**os.environ, "RECORDED": str(folder), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[
        -3_000:
    ]  # an exception in the plugin might pass for an error of AWS
    found: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    seen = {(service, operation) for one in found for service, operation in one["seen"]}
    return Recording(seen, {problem: test for one in found for problem, test in one["broken"].items()})


@pytest.mark.timeout(600)
def test_no_call_breaks_a_constraint_of_its_model(recording: Recording) -> None:
    """Patterns, lengths, ranges and enums, which botocore does not check."""
    assert recording.broken == {}


def called() -> set[str]:
    """Return the names of these services' operations that closeout's code calls, or names in a table of calls."""
    known = {xform_name(name) for service in SERVICES for name in model(service).operation_names}
    found = set()
    for path in (ROOT / "src/closeout").rglob("*.py"):
        if "testing" in path.parts or "demo" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found.add(node.func.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "_" in node.value:
                found.add(node.value)
    return found & known


@pytest.mark.timeout(600)
def test_each_operation_that_the_code_calls_was_seen(recording: Recording) -> None:
    """A call that no test makes would be checked by nobody."""
    assert called() - NO_CALLS.keys() - {xform_name(operation) for _, operation in recording.seen} == set()
