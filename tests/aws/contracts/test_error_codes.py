"""Each error of AWS that closeout's code branches on is one that AWS's model has: a misspelt one would never be met."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import botocore
import pytest
from botocore import xform_name

from closeout.actions.aws.physical import EXISTENCE_CHECKS
from closeout.actions.aws.tag_reads import READS
from closeout.adapters.aws import TRANSIENT_CODES
from closeout.lambdas.aws_client import _BUSY
from closeout.lambdas.delivery_writer import PASSING
from closeout.ledger.dynamodb.table import CONFLICTS, REFUSED
from tests.aws.contracts.models import error_codes, model

SOURCE = Path(__file__).parents[3] / "src/closeout"
SERVICES = {
    "actions/aws/buckets.py": ("s3",),
    "actions/aws/stacks.py": ("cloudformation",),
    "actions/aws/tags.py": ("cloudformation", "cloudcontrol"),
    "actions/aws/teardown.py": ("cloudformation",),
    "adapters/secrets.py": ("secretsmanager",),
    "adapters/sns.py": ("sns",),
    "checks/account.py": ("iam",),
    "checks/notifiers.py": ("sns",),
    "lambdas/delivery_writer.py": ("dynamodb", "lambda"),
    "lambdas/secret.py": ("secretsmanager",),
    "ledger/dynamodb/bodies.py": ("s3",),
    "ledger/dynamodb/logs.py": ("logs",),
    "ledger/dynamodb/starts.py": ("lambda",),
    "ledger/dynamodb/table.py": ("dynamodb",),
    "wiring/stack.py": ("cloudformation", "secretsmanager"),
    "wiring/stack_checking.py": ("iam",),
    "wiring/stack_rechecks.py": ("lambda",),
}
"""Which services the code of a module asks."""
NOT_IN_MODELS = {
    "ValidationError": "CloudFormation answers many things with it: a stack that is gone, one that is changing",
    "AccessDeniedException": "a common error of every service",
    "AccessDenied": "a common error of services whose answers are XML",
    "404": "a HEAD's answer has no body, so its status is all that there is",
    "NoSuchTagSet": "S3's list of error responses has it, its model lists few",
}
"""Codes that no model lists, and where they are from. EC2's model lists none at all."""
COMMON = frozenset(
    (
        "InternalFailure",
        "InternalServerError",
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "OperationAborted",
    )
)
"""Common errors of every service, and of S3: their pages list them, and no model."""


class Branch(NamedTuple):
    """A comparison of an error's code in a module."""

    file: str
    line: int
    code: str


def branches() -> Iterator[Branch]:
    """Yield each code that a module compares a `reason` or a `code` of an error of AWS with."""
    for file in SERVICES:
        tree = ast.parse((SOURCE / file).read_text("utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and _is_code(node.left):
                for side in node.comparators:
                    named = constants.get(side.id) if isinstance(side, ast.Name) else side
                    for code in _texts(named) if named is not None else ():
                        yield Branch(file, node.lineno, code)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the values of a module's constants by name, also of those that it takes from another module of the package."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("closeout."):
            path = (SOURCE.parent / node.module.replace(".", "/")).with_suffix(".py")
            if path.exists() and any(alias.name.isupper() for alias in node.names):
                theirs = _constants(ast.parse(path.read_text("utf-8")))
                found |= {alias.name: theirs[alias.name] for alias in node.names if alias.name in theirs}
    return found


def _is_code(node: ast.expr) -> bool:
    attribute = isinstance(node, ast.Attribute) and node.attr == "reason"
    called = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "error"
    return (attribute and called) or (isinstance(node, ast.Name) and node.id == "code")


def _texts(node: ast.expr) -> list[str]:
    return [
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


CANCELLATION = frozenset(
    re.findall(
        r"Code: <code>([A-Za-z]+)",
        str(model("dynamodb").shape_for("TransactionCanceledException").documentation),
    )
)
"""Reasons for which a transaction is canceled: the model documents them, and has no enum of them."""
BRANCHES = tuple(branches())


def test_every_module_that_looks_at_a_code_is_here() -> None:
    """A module of another service needs a line in the table."""
    asked = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "error.reason ==" in (text := path.read_text("utf-8")) or "error.reason !=" in text
        if not {"github", "cli", "patrol", "testing"} & set(path.parts)
    }
    assert asked - set(SERVICES) == set()
    assert {branch.file for branch in BRANCHES} >= asked


@pytest.mark.parametrize("branch", BRANCHES, ids=[f"{one.file}:{one.line}-{one.code}" for one in BRANCHES])
def test_a_code_that_the_code_branches_on_is_of_the_service(branch: Branch) -> None:
    """Or AWS documents it elsewhere."""
    known = {code for service in SERVICES[branch.file] for code in error_codes(service)}
    assert branch.code in known or branch.code in {*NOT_IN_MODELS, *CANCELLATION}


LOOKS = {kind: (check.service, check.operation, check.absent) for kind, check in EXISTENCE_CHECKS.items()}
TAGS = {f"tags of {kind}": (read.service, read.operation, read.untagged) for kind, read in READS.items()}


@pytest.mark.parametrize("kind", [*LOOKS, *TAGS])
def test_a_code_for_what_is_absent_is_of_the_operation(kind: str) -> None:
    """A resource whose absence answers otherwise would never be verified as gone. Codes of other operations do no harm."""
    service, operation, codes = {**LOOKS, **TAGS}[kind]
    if service == "ec2":
        assert all(
            code.startswith("Invalid") and code.endswith((".NotFound", ".Malformed")) for code in codes
        )
        return
    api = next(name for name in model(service).operation_names if xform_name(name) == operation)
    known = {*NOT_IN_MODELS, *error_codes(service, api)}
    assert not codes or codes & known


def test_a_code_after_which_a_call_is_tried_again_is_known_to_botocore_or_to_a_model() -> None:
    """The lists of throttling and passing errors, of the receiver and of everything else."""
    retries = Path(botocore.__file__).with_name("data") / "_retry.json"
    known = set(_texts(ast.parse(repr(json.loads(retries.read_text("utf-8"))), mode="eval").body))
    for service in ("dynamodb", "lambda", "secretsmanager", "s3"):
        known |= error_codes(service)
    assert (_BUSY | TRANSIENT_CODES) - known - COMMON == set()


def test_a_reason_for_which_a_transaction_is_canceled_is_documented() -> None:
    """And an error that is a conflict by itself is in the model."""
    assert PASSING | {REFUSED} | CONFLICTS <= CANCELLATION | error_codes("dynamodb")
