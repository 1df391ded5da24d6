"""Ids of runs and executions."""

from __future__ import annotations

import base64
import hashlib

import pytest

from closeout.core.errors import UsageError
from closeout.core.ids import execution_id, parse_execution, run_id

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


def test_a_run_id_is_base32_of_a_digest() -> None:
    """Another implementation yields the same: RFC 4648, lower case, the first 26 characters."""
    digest = hashlib.sha256(f"{GUID}\npreview-cleanup".encode()).digest()
    assert run_id(GUID, "preview-cleanup") == base64.b32encode(digest).decode().lower()[:26]


def test_a_run_id_depends_on_both_parts() -> None:
    """The parts are separated: moving text from one to the other yields another id."""
    ids = {run_id(GUID, "a"), run_id(GUID, "b"), run_id("x", "a"), run_id("ab", "c"), run_id("a", "bc")}
    assert len(ids) == 5


def test_an_execution_names_run_and_attempt() -> None:
    """The name can be parsed, and fits AWS: up to 64 letters, digits, dashes and underscores."""
    run = run_id(GUID, "a")
    name = execution_id(run, 12)
    assert parse_execution(name) == (run, 12)
    assert len(name) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a-1",
        "a" * 26,
        "a" * 26 + "-0",
        "a" * 26 + "-01",
        "A" * 26 + "-1",
        "a" * 26 + "-1\n",
        "1" * 26 + "-1",
    ],
)
def test_an_invalid_execution_name_is_refused(text: str) -> None:
    """The error says what a valid one looks like."""
    with pytest.raises(UsageError, match="not an execution"):
        parse_execution(text)
