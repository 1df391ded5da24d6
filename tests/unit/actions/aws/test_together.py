"""Reads that run concurrently."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, cast

import pytest

from closeout.actions.aws import stacks
from closeout.actions.aws.together import AT_ONCE, each
from closeout.core.errors import ServiceError


@pytest.mark.parametrize(("at_once", "items"), [(2, 2), (AT_ONCE, 3 * AT_ONCE)])
def test_reads_run_concurrently_and_their_results_keep_the_order(at_once: int, items: int) -> None:
    """Each waits until as many as allowed are there: one after the other, the first would wait in vain."""
    together = threading.Barrier(at_once, timeout=20)

    def read(item: int) -> int:
        together.wait()
        return item * 2

    assert each(read, range(items)) == [item * 2 for item in range(items)]


def test_concurrent_reads_are_limited() -> None:
    """To the number that a service accepts."""
    lock, more = threading.Lock(), threading.Event()
    state = {"now": 0, "most": 0}

    def read(_item: int) -> None:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        if state["most"] > AT_ONCE:
            more.set()
        more.wait(0.05)
        with lock:
            state["now"] -= 1

    each(read, range(4 * AT_ONCE))
    assert 1 <= state["most"] <= AT_ONCE


def test_the_error_of_the_first_item_counts() -> None:
    """As if they ran one after the other, whichever fails first in time."""
    second = threading.Event()

    def read(item: int) -> int:
        if item == 1:
            second.wait(20)
            raise ValueError("first")
        second.set()
        if item == 2:
            raise ValueError("second")
        return item

    with pytest.raises(ValueError, match="first"):
        each(read, range(4))


def throttled() -> ServiceError:
    """The answer of AWS to too many requests."""
    return ServiceError("later", service="lambda", operation="ListTags", reason="Throttling", transient=True)


def test_throttled_reads_are_repeated_one_after_the_other() -> None:
    """A plan that starts again at the same pace would be throttled again, however often it is tried."""
    reading = threading.Semaphore(2)

    def read(item: int) -> int:
        if not reading.acquire(blocking=False):
            raise throttled()
        try:
            time.sleep(0.002)
            return item * 2
        finally:
            reading.release()

    assert each(read, range(100)) == [item * 2 for item in range(100)]


def test_a_service_that_does_not_answer_is_not_called_for_every_item() -> None:
    """Each call would use up its time-out. What cannot be read never counts as read."""
    asked: list[int] = []

    def read(item: int) -> int:
        asked.append(item)
        raise throttled()

    with pytest.raises(ServiceError, match="later"):
        each(read, range(100))
    assert len(asked) <= AT_ONCE + 1


def test_none_and_one_need_no_thread() -> None:
    """The common case: a bucket, or a stack without nested ones."""
    assert each(lambda item: (item, threading.current_thread()), ["x"]) == [("x", threading.main_thread())]
    assert each(lambda item: item, []) == []


class Nested:
    """CloudFormation with a stack of four stacks that have four stacks each; `most` calls ran at once."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def describe_stacks(self, StackName: str) -> Mapping[str, Any]:  # noqa: N803
        """Return a stack after a while."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        with self._lock:
            self._now -= 1
        return {"Stacks": [stack(StackName)]}

    def list_stack_resources(self, StackName: str) -> Mapping[str, Any]:  # noqa: N803
        """Return four nested stacks, or a bucket in the third level."""
        kind = stacks.BUCKET_TYPE if len(StackName) == 3 else stacks.STACK_TYPE
        names = [StackName + letter for letter in ("a" if kind == stacks.BUCKET_TYPE else "abcd")]
        rows = [
            {"LogicalResourceId": one, "PhysicalResourceId": one, "ResourceType": kind, "ResourceStatus": "CREATE_COMPLETE"}
            for one in names
        ]  # fmt: skip
        return {"StackResourceSummaries": rows}

    def get_template(self, StackName: str, TemplateStage: str) -> Mapping[str, Any]:  # noqa: N803
        """Return a template that keeps what is in the second nested stack."""
        kept = {f"{StackName}b": {"DeletionPolicy": "Retain"}} if len(StackName) == 1 else {}
        return {"TemplateBody": {"Resources": kept}}


def stack(name: str) -> dict[str, str]:
    """Return a stack as DescribeStacks does."""
    return {"StackId": name, "StackName": name, "StackStatus": "CREATE_COMPLETE"}


def test_nested_stacks_are_read_concurrently_within_the_same_limit() -> None:
    """After their stack, in its order; what the parent keeps is kept with everything in it."""
    client = Nested()
    found = stacks.resources(cast("Any", client), stack("x"))
    names = [
        f"x{one}{rest}"
        for one in "abcd"
        for rest in ("", *(two + end for two in "abcd" for end in ("", "a")))
    ]
    assert [resource.physical_id for resource in found] == names
    assert {name for name in names if name[1] == "b"} == {one.physical_id for one in found if one.kept}
    assert 1 < client.most <= AT_ONCE
