"""The transaction that accepts a delivery stays within what DynamoDB takes at once."""

from __future__ import annotations

from closeout.core.ids import run_id
from closeout.core.records import NewDelivery, NewRun
from closeout.stack.closings import closing_items
from closeout.stack.table import MOST_RUNS, acceptance

MOST_ITEMS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""


def test_a_delivery_with_as_many_runs_as_are_taken_fits_a_transaction() -> None:
    """Delivery, body and closing, and of each run its row, its definition and its ticket: each another item."""
    delivery = NewDelivery(
        "1", "guid", "pull_request", "closed", "acme/shop", b"{}", False, 1.5, "github", 17
    )
    runs = [NewRun(run_id("guid", f"a{n}"), f"a{n}", f"a{n}|1", "{}", 60.0) for n in range(MOST_RUNS)]
    items = acceptance(delivery, runs, (), b"packed", 86_400)
    items += closing_items(delivery._asdict(), "d1", [run.run_id for run in runs], 86_400)
    assert len(items) == 3 + 3 * MOST_RUNS == 99 <= MOST_ITEMS
    assert len({(item["pk"]["S"], item["sk"]["S"]) for item in items}) == len(items)
