"""What AWS refuses when a log or a body is read: never taken for an empty one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from closeout.core.errors import LedgerError, NotFound, ServiceError, StoreUnavailable
from closeout.ledger.dynamodb.bodies import Bodies
from closeout.ledger.dynamodb.logs import CloudWatchLogs
from closeout.ledger.dynamodb.views import _between
from closeout.ports import RunFilter
from closeout.stack.table import listed_at, to_item

RUN = "r" * 26
EXECUTION = f"{RUN}-1"


def refuses(code: str) -> Any:
    """Return a call that AWS refuses."""

    def call(**_arguments: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "No"}}, "Operation")

    return call


def line(at: float, **more: Any) -> dict[str, str]:
    """Return an event of CloudWatch Logs."""
    return {"message": json.dumps({"run": RUN, "execution": EXECUTION, "at": at, "text": "x", **more})}


def logs(call: Any) -> CloudWatchLogs:
    """Return the log of a function."""
    return CloudWatchLogs(SimpleNamespace(filter_log_events=call), "group", now=lambda: 0.0)


def test_a_function_that_never_ran_has_no_log_and_another_refusal_is_an_error() -> None:
    """Lambda makes the group with the first line."""
    assert logs(refuses("ResourceNotFoundException")).lines(RUN, EXECUTION, 0.0) == []
    with pytest.raises(ServiceError, match="AccessDenied"):
        logs(refuses("AccessDeniedException")).lines(RUN, EXECUTION, 0.0)


def test_lines_are_those_of_the_attempt_in_order_over_all_pages() -> None:
    """Two of one microsecond get ids one apart; Lambda's own lines and a run's end are not part of it."""
    pages = {
        None: {"events": [line(5.0, step="b"), {"message": "START RequestId"}], "nextToken": "2"},
        "2": {
            "events": [
                line(5.0, step="a"),
                line(2.5),
                line(3.0, execution=f"{RUN}-2"),
                line(4.0, run="another"),
                line(6.0, verdict="success"),
            ]
        },
    }
    asked: list[dict[str, Any]] = []

    def call(**arguments: Any) -> Any:
        asked.append(arguments)
        return pages[arguments.get("nextToken")]

    found = logs(call).lines(RUN, EXECUTION, 10.0)
    assert [(one.id, one.step, one.at) for one in found] == [
        (2_500_000, None, 2.5),
        (5_000_000, "b", 5.0),
        (5_000_001, "a", 5.0),
    ]
    assert [one["startTime"] for one in asked] == [9_000, 9_000]


def test_an_old_log_does_not_begin_at_a_negative_time() -> None:
    """CloudWatch would refuse it."""
    asked: list[int] = []

    def call(**arguments: Any) -> Any:
        asked.append(arguments["startTime"])
        return {}

    assert logs(call).lines(RUN, EXECUTION, 0.5) == []
    assert asked == [0]


def bodies(call: Any, item: Any) -> Bodies:
    """Return the bodies of a table with one item, and of a bucket that answers so."""
    table = SimpleNamespace(get=lambda _key: item)
    bucket = SimpleNamespace(get_object=call, copy_object=call)
    return Bodies(cast("Any", table), lambda: bucket, "bodies", now=lambda: 0.0)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("NoSuchKey", LedgerError),
        ("NoSuchBucket", LedgerError),
        ("404", LedgerError),
        ("SlowDown", StoreUnavailable),
    ],
)
def test_a_missing_body_differs_from_one_that_cannot_be_read(code: str, error: type[Exception]) -> None:
    """The first is permanent, the second may be transient."""
    large = bodies(refuses(code), to_item({"object": "a"}))
    for read in (large.text, large.renew):
        with pytest.raises(error):
            read("d1")


def test_a_body_in_the_table_is_not_renewed_and_a_damaged_one_is_refused() -> None:
    """It expires with its item."""
    small = bodies(refuses("AccessDenied"), to_item({"data": b"no zlib"}))
    small.renew("d1")
    with pytest.raises(LedgerError, match="damaged"):
        small.text("d1")
    with pytest.raises(NotFound):
        bodies(refuses("AccessDenied"), None).text("d1")
    bodies(refuses("AccessDenied"), None).renew("d1")


def test_a_filter_with_a_time_limits_the_listing() -> None:
    """On its side, a millisecond wider."""
    assert _between(RunFilter()) is None
    first, last = _between(RunFilter(since=100.0)) or ("", "")
    assert listed_at(99.999, "") == first
    assert last > listed_at(4_000_000_000.0, "")
    first, last = _between(RunFilter(until=100.0)) or ("", "")
    assert (first, last) == (listed_at(0.0, ""), listed_at(100.001, ""))
