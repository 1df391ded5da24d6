"""The JSON of every answer, and what it must not reveal."""

from __future__ import annotations

import json

import pytest

from closeout.core.errors import (
    BadDelivery,
    CloseoutError,
    LedgerError,
    Overloaded,
    SecretError,
    StoreUnavailable,
    Unauthorized,
)
from closeout.core.records import Accepted
from closeout.intake import answers


def test_an_accepted_delivery_names_its_runs() -> None:
    """202 with the delivery's number and the run ids."""
    answer = answers.accepted(Accepted(7, ("aa", "bb"), False, ("aa-1", "bb-1")))
    assert (answer.status, json.loads(answer.body)) == (202, {"delivery": 7, "runs": ["aa", "bb"]})


def test_a_duplicate_names_the_originals_runs() -> None:
    """200, so that GitHub counts it as delivered."""
    answer = answers.accepted(Accepted(7, (), True, ()))
    assert (answer.status, json.loads(answer.body)) == (200, {"delivery": 7, "duplicate": True, "runs": []})


def test_a_senders_mistake_is_answered_with_its_error() -> None:
    """A 4xx has the code and the message."""
    answer = answers.refused(BadDelivery("the header X-GitHub-Event is missing"))
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "error": "bad-delivery",
        "message": "the header X-GitHub-Event is missing",
    }


def test_unauthorized_always_says_the_same() -> None:
    """There is one message for every invalid signature."""
    answer = answers.refused(Unauthorized("its signature matches no active secret"))
    assert json.loads(answer.body) == {"error": "unauthorized", "message": "Unauthorized request"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailable("disk I/O error in /var/lib/x.db"), 503, "store-unavailable"),
        (Overloaded("secret detail"), 503, "overloaded"),
        (LedgerError("/var/lib/x.db"), 500, "internal-error"),
        (SecretError("env:NAME"), 500, "internal-error"),
        (CloseoutError("internals"), 500, "internal-error"),
    ],
)
def test_our_own_errors_have_fixed_messages(error: CloseoutError, status: int, code: str) -> None:
    """No path, table or reference of ours reaches a caller."""
    answer = answers.refused(error)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, code)
    assert error.message.encode() not in answer.body
