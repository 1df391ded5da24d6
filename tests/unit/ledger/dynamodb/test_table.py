"""One table: pages, conditions by part, repeated conflicts, and errors that are never taken for answers."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from closeout.core.errors import StoreUnavailable
from closeout.core.records import NewRun
from closeout.engine.lambda_ import DONE
from closeout.ledger.dynamodb.attempts import Attempts
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.ledger.dynamodb.table import TRIES, Table, delete, put, update
from closeout.ports import Ending
from closeout.stack import table as layout
from closeout.stack.table import to_item
from tests.contract.remote_harness import RemoteBench


class Scripted:
    """boto3's client with a script: each call returns or raises the next of `answers`, then it works."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            answer = self.answers.pop(0) if self.answers else {}
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def cancelled(*reasons: str) -> ClientError:
    """A transaction that was cancelled, with the reason for each part."""
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(answer, "TransactWriteItems")


def failed(code: str) -> ClientError:
    """A call that the service refused."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetItem")


def item(name: str) -> dict[str, Any]:
    """An item of a partition."""
    return {"pk": {"S": "p"}, "sk": {"S": name}}


def table(client: Scripted, pauses: list[float] | None = None) -> Table:
    """A table over a script."""
    return Table(client, "ledger", now=lambda: 0.0, pause=(pauses if pauses is not None else []).append)


def test_a_conflict_with_another_transaction_is_tried_again() -> None:
    """It says nothing about the condition; the same token marks it as the same write."""
    client = Scripted(cancelled("None", "TransactionConflict"), failed("TransactionInProgressException"))
    pauses: list[float] = []
    assert table(client, pauses).write([put(item("a")), put(item("b"))]) == ()
    assert len(client.calls) == 3
    assert len({arguments["ClientRequestToken"] for _, arguments in client.calls}) == 1
    assert pauses == sorted(pauses)
    assert pauses[0] > 0


def test_a_permanent_conflict_is_an_error() -> None:
    """The caller tries again later."""
    client = Scripted(*[failed("TransactionConflictException")] * TRIES)
    with pytest.raises(StoreUnavailable, match="busy with other writes"):
        table(client).change(put(item("a")))
    assert len(client.calls) == TRIES


def test_a_refused_transaction_names_the_parts_that_refused() -> None:
    """A failed condition is an answer."""
    client = Scripted(cancelled("None", "ConditionalCheckFailed", "ConditionalCheckFailed"))
    assert table(client).write([put(item(name)) for name in "abc"]) == (1, 2)


@pytest.mark.parametrize(
    "error",
    [
        failed("AccessDeniedException"),
        failed("ResourceNotFoundException"),
        failed("ProvisionedThroughputExceededException"),
        cancelled("ThrottlingError"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    ],
    ids=["denied", "no table", "throttled", "throttled transaction", "unreachable"],
)
def test_any_other_error_is_not_an_answer(error: Exception) -> None:
    """Never "not there", and never "refused"."""
    for call in (
        lambda t: t.get(item("a")),
        lambda t: t.get_all([item("a")]),
        lambda t: list(t.query("p", "x")),
        lambda t: t.write([put(item("a"))]),
        lambda t: t.change(put(item("a"))),
    ):
        with pytest.raises(StoreUnavailable):
            call(table(Scripted(error)))


def test_different_writes_have_different_tokens_and_some_have_none() -> None:
    """A write that may be intended twice must not be taken for a repetition."""
    client = Scripted()
    written = table(client)
    written.write([put(item("a"))])
    written.write([put(item("b"))])
    written.write([put(item("a"))], token=False)
    tokens = [arguments.get("ClientRequestToken") for _, arguments in client.calls]
    assert tokens[0] != tokens[1]
    assert tokens[2] is None
    assert all(len(token) <= 36 for token in tokens if token)


def test_marks_and_further_attempts_have_no_token(bench: RemoteBench) -> None:
    """A mark may return to a value of the last ten minutes, and two people may request the same at once."""
    tokens: list[bool] = []

    class Noting:
        """boto3's client, which records whether a transaction has a token."""

        def transact_write_items(self, **arguments: Any) -> Any:
            tokens.append("ClientRequestToken" in arguments)
            return bench.dynamo.transact_write_items(**arguments)

        def __getattr__(self, operation: str) -> Any:
            return getattr(bench.dynamo, operation)

    execution = bench.accept("a")
    bench.functions["a"] = lambda _durable, _execution: Ending("success", "done")
    assert bench.engine.advance(execution, lambda: 900.0) == DONE
    noted = bench.table._replace(client=Noting())
    DynamoMarks(noted).save_mark("report", "lists", {"ended_at": 1.0})
    attempts = Attempts(noted, bench.store, bench.clock)
    attempts.new_attempt(execution[:-2], "{}", "ada", key=None, queue_timeout=1.0)
    new = NewRun("b" * 26, "b", None, "{}", 1.0)
    attempts.add_runs(layout.delivery_id("1", "guid-a"), [new], "ada")
    assert tokens == [False, False, False]


def test_reads_are_consistent_and_lists_are_not() -> None:
    """An index cannot be read consistently, so nothing is decided with it."""
    client = Scripted({}, {"Items": []}, {"Items": []}, {"Responses": {}})
    reader = table(client)
    reader.get(item("a"))
    list(reader.query("p", "x"))
    list(reader.listed("runs"))
    reader.get_all([item("a")])
    *others, (_, batch) = client.calls
    assert [arguments.get("ConsistentRead") for _, arguments in others] == [True, True, None]
    assert batch["RequestItems"]["ledger"]["ConsistentRead"]


def test_several_items_are_read_at_once_in_the_order_of_their_keys() -> None:
    """DynamoDB answers in any order, and may leave some for the next request."""
    client = Scripted(
        {
            "Responses": {"ledger": [item("c"), item("a")]},
            "UnprocessedKeys": {"ledger": {"Keys": [item("b"), item("d")], "ConsistentRead": True}},
        },
        {"Responses": {"ledger": [item("d")]}, "UnprocessedKeys": {}},
    )
    pauses: list[float] = []
    keys = [item(name) for name in "abcd"]
    assert table(client, pauses).get_all(keys) == [item("a"), None, item("c"), item("d")]
    assert client.calls[1][1]["RequestItems"]["ledger"]["Keys"] == [item("b"), item("d")]
    assert len(pauses) == 1


def test_items_without_an_answer_are_not_absent() -> None:
    """The caller tries again later."""
    left = {"Responses": {}, "UnprocessedKeys": {"ledger": {"Keys": [item("a")]}}}
    client = Scripted(*[left] * TRIES)
    with pytest.raises(StoreUnavailable, match="DynamoDB returned only parts of a read"):
        table(client).get_all([item("a")])
    assert len(client.calls) == TRIES


@pytest.mark.parametrize(
    ("limit", "names", "calls"), [(None, "abcd", 3), (3, "abc", 2), (2, "ab", 1), (0, "", 1)]
)
def test_pages_are_read_as_far_as_needed(limit: int | None, names: str, calls: int) -> None:
    """A page may be short, or empty, without being the last."""
    pages = [
        {"Items": [item("a"), item("b")], "LastEvaluatedKey": item("b")},
        {"Items": [item("c")], "LastEvaluatedKey": item("c")},
        {"Items": [item("d")]},
    ]
    client = Scripted(*pages)
    found = [each["sk"]["S"] for each in table(client).query("p", "x", limit=limit)]
    assert "".join(found) == names
    assert len(client.calls) == calls
    assert [arguments.get("ExclusiveStartKey") for _, arguments in client.calls][1:2] == [item("b")][
        : calls - 1
    ]


def test_updates_set_and_remove_under_their_condition(bench: RemoteBench) -> None:
    """None removes an attribute; no change at all only checks the condition."""
    bench.table.change(put(item("a") | to_item({"state": "queued", "wake": 1.5, "cancel": "dev"})))
    condition = ("#state = :was", {":was": "queued"}, {"#state": "state"})
    assert bench.table.write([update(item("a"), {"wake": None, "turn": "own"}, *condition)]) == ()
    assert bench.table.write([update(item("a"), {}, *condition)]) == ()
    assert bench.table.write(
        [update(item("a"), {}, "#state = :was", {":was": "no"}, {"#state": "state"})]
    ) == (0,)
    found = bench.table.get(item("a"))
    assert found is not None
    assert layout.from_item(found) == {
        "pk": "p",
        "sk": "a",
        "state": "queued",
        "cancel": "dev",
        "turn": "own",
    }


def test_a_condition_may_fail_a_whole_transaction(bench: RemoteBench) -> None:
    """All of it or nothing."""
    bench.table.change(put(item("a")))
    assert bench.table.write([put(item("b"), layout.NEW), put(item("a"), layout.NEW)]) == (1,)
    assert bench.table.get(item("b")) is None
    assert not bench.table.change(put(item("a"), layout.NEW))
    assert bench.table.change(delete(item("a")))
    assert bench.table.get(item("a")) is None


def test_permanent_conflicts_are_given_up_after_growing_pauses() -> None:
    """None follows the last attempt, and none is longer than half a second."""
    pauses: list[float] = []
    client = Scripted(*(cancelled("TransactionConflict") for _ in range(TRIES)))
    with pytest.raises(StoreUnavailable, match="the ledger is busy with other writes"):
        table(client, pauses).change(put(item("a")))
    assert len(client.calls) == TRIES
    assert len(pauses) == TRIES - 1
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * pauses[0]
    assert max(pauses) <= 0.5
