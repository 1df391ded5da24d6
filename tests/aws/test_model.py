"""The model of patrol on AWS: the receiver's writer, the ledger in DynamoDB, patrol's function, and the worker's engine.

The same histories as in `tests/model`, over an emulated table. They take longer than all others together, so they are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.model.__main__ import effort
from tests.model.on_dynamodb import ClosingsOnDynamodb
from tests.model.test_model import spend_a_fortnight
from tests.stack_aws import StackAws


@pytest.fixture(scope="module")
def aws() -> Iterator[StackAws]:
    """An emulator in this process."""
    with StackAws() as server:
        yield server


@pytest.mark.timeout(1_200)
def test_every_closing_is_acted_upon_once_and_nothing_else_is_touched(aws: StackAws) -> None:
    """Twenty-five histories."""
    factory: Any = lambda: ClosingsOnDynamodb(aws)  # noqa: E731 - its type is a class, and a function does
    run_state_machine_as_test(factory, settings=effort(25, 12, known=True))


def test_a_fortnight_without_deliveries_and_every_seventh_call_failing(aws: StackAws) -> None:
    """What issue 10 calls done."""
    spend_a_fortnight(ClosingsOnDynamodb(aws))


@pytest.mark.parametrize("dies_in", range(8))
def test_a_receiver_that_is_killed_anywhere_is_made_up_for(aws: StackAws, dies_in: int) -> None:
    """Between the store and the start, too: patrol starts what was stored and never started."""
    machine = ClosingsOnDynamodb(aws)
    machine.begin()
    machine.close_pull(0, merged=False)
    machine.arrive(0, after=0, as_sent=True, dies_in=dies_in)
    machine.teardown()
