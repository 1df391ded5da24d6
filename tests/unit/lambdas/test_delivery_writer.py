"""Storing a delivery while others write, or one that can never fit."""

from __future__ import annotations

from typing import Any, cast

import pytest

from closeout.core.errors import ServiceError, StoreUnavailable
from closeout.core.records import NewDelivery, NewRun
from closeout.lambdas.delivery_writer import ATTEMPTS, DeliveryWriter, Destination
from closeout.stack import table

DELIVERY = NewDelivery("h1", "g1", "push", None, "acme/shop", b"{}", False, 990.0, "github", None)


def run(number: int) -> NewRun:
    """Return a run to be stored."""
    return NewRun(f"r{number}", f"a{number}", "acme/shop", "{}", 3600.0)


class Writer(DeliveryWriter):
    """A writer over a table with these answers to transactions."""

    def __init__(self, *codes: str | None, reason: str = "TransactionCanceledException") -> None:
        self.pauses: list[float] = []
        self.asked: list[str] = []
        self.consistent: list[bool] = []
        super().__init__(cast("Any", self), Destination("table", "bucket", "arn", 90.0), self.pauses.append)
        self._codes, self._reason = codes, reason

    def json_call(self, _service: str, target: str, request: Any) -> Any:
        """Answer as `AwsClient` does."""
        operation = target.partition(".")[2]
        self.asked.append(operation)
        if operation != "TransactWriteItems":
            self.consistent.append(request.get("ConsistentRead", False))
            return {}
        error = ServiceError("canceled", service="dynamodb", operation=operation, reason=self._reason)
        error.details = {"CancellationReasons": [{"Code": code} for code in self._codes]}
        raise error


def test_a_conflicting_transaction_is_repeated_after_growing_pauses() -> None:
    """In the end GitHub is asked to send the delivery again."""
    writer = Writer("TransactionConflict", "None")
    with pytest.raises(StoreUnavailable, match="again and again"):
        writer.accept(DELIVERY, [run(1)])
    assert writer.pauses == [0.05 * 2**tries for tries in range(ATTEMPTS)]
    assert writer.asked.count("TransactWriteItems") == ATTEMPTS


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ((), "TransactionCanceledException"),
        (("ValidationError", "None"), "TransactionCanceledException"),
        (("TransactionConflict",), "AccessDeniedException"),
    ],
)
def test_another_refusal_is_not_tried_again(codes: tuple[str, ...], reason: str) -> None:
    """It would be refused again."""
    writer = Writer(*codes, reason=reason)
    with pytest.raises(StoreUnavailable, match="canceled"):
        writer.accept(DELIVERY, [run(1)])
    assert writer.asked.count("TransactWriteItems") == 1
    assert writer.pauses == []


def test_a_delivery_with_too_many_runs_is_not_written() -> None:
    """A transaction has a limit."""
    writer = Writer("None")
    with pytest.raises(StoreUnavailable, match=f"starts {table.MOST_RUNS + 1} runs"):
        writer.accept(DELIVERY, [run(number) for number in range(table.MOST_RUNS + 1)])
    assert writer.asked == []


def test_a_stored_delivery_that_cannot_be_read_is_sent_again() -> None:
    """It is unknown whether its runs were started."""
    writer = Writer("ConditionalCheckFailed", "None")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        writer.accept(DELIVERY, [run(1)])
    assert writer.consistent == [True], "an older copy would say that nothing was started"
