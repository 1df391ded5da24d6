"""Sabotages that the stack's tests and the contracts with AWS notice. They need the AWS side's environments: `make mutants-aws`."""

from __future__ import annotations

import os
import sys

from tests.mutants import aws_patrol, aws_problems, aws_rechecks, deployment, stack_guard
from tests.mutants.mutant import Mutant
from tests.mutants.run import run_all

CONTRACTS = "tests/aws/contracts"
RECEIVER = f"{CONTRACTS}/test_receiver_requests.py::test_a_request_is_as_botocore_makes_it"
CODES = f"{CONTRACTS}/test_error_codes.py"

MUTANTS: tuple[Mutant, ...] = (
    *deployment.STACK,
    *aws_rechecks.STACK,
    *aws_patrol.STACK,
    *aws_problems.STACK,
    *stack_guard.STACK,
    Mutant(
        "a retry of a step is no operation",
        "tests/emulator/meter.py",
        '    "STEP": ("RETRY", "SUCCEED", "FAIL"),',
        '    "STEP": ("SUCCEED", "FAIL"),',
        (f"{CONTRACTS}/test_meter.py::test_what_counts_as_an_operation",),
    ),
    Mutant(
        "the emulator tries an invocation that crashes again and again",
        "tests/emulator/executions.py",
        "            if retries == RETRIES or not self._meters[arn].retry():",
        "            if not self._meters[arn].retry():",
        (f"{CONTRACTS}/test_retries.py::test_a_function_that_crashes_is_tried_again_and_not_for_ever",),
    ),
    Mutant(
        "the emulator ends no execution at its limit",
        "tests/emulator/executions.py",
        "        if execution is not None and not self._meters[arn].checkpoint(updates):",
        "        if execution is None and not self._meters[arn].checkpoint(updates):",
        (f"{CONTRACTS}/test_meter.py::test_an_execution_ends_at_its_limit_on_the_emulator",),
    ),
    Mutant(
        "the emulator forgets the state of a poll",
        "tests/emulator/executions.py",
        '        details["Result"] = update.get("Payload")',
        "        pass",
        (f"{CONTRACTS}/test_histories.py::test_a_poll_says_when_the_next_is_due",),
    ),
    Mutant(
        "the receiver starts runs at another version of the API",
        "src/closeout/lambdas/aws_client.py",
        '        path = f"/2015-03-31/functions/',
        '        path = f"/2015-03-30/functions/',
        (RECEIVER,),
    ),
    Mutant(
        "the token of a transaction is longer than DynamoDB takes",
        "src/closeout/lambdas/delivery_writer.py",
        "os.urandom(16).hex()",
        "os.urandom(20).hex()",
        (RECEIVER,),
    ),
    Mutant(
        "the error of a start that was made already is misspelt",
        "src/closeout/lambdas/delivery_writer.py",
        'STARTED = "DurableExecutionAlreadyStartedException"',
        'STARTED = "DurableExecutionAlreadyStarted"',
        (f"{CODES}::test_a_code_that_the_code_branches_on_is_of_the_service",),
    ),
    Mutant(
        "the error of a repository that is gone is misspelt",
        "src/closeout/actions/aws/physical.py",
        '        ("RepositoryNotFoundException",),',
        '        ("RepositoryNotFound",),',
        (f"{CODES}::test_a_code_for_what_is_absent_is_of_the_operation",),
    ),
    Mutant(
        "a secret's policy keeps CloudFormation from everything",
        "cdk/closeout_cdk/secrets.py",
        '                actions=["secretsmanager:GetSecretValue"],',
        '                actions=["secretsmanager:*"],',
        ("cdk/tests/test_registry.py::test_no_policy_keeps_cloudformation_from_what_its_handlers_do",),
    ),
)

if __name__ == "__main__":
    os.environ["CLOSEOUT_TEST_AWS"] = "1"
    raise SystemExit(run_all(MUTANTS, sys.argv[1:]))
