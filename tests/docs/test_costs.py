"""The page of costs is the output of its program, and what the program counts is what the code uses and the stack has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench import costs, usage
from tests.docs.pages import ROOT

CDK = ROOT / "cdk" / "closeout_cdk"
NEAR = 0.02
"""How far the bytes that are stored may be from the kept ones: a body is compressed, and not every zlib gives the same."""


def test_the_page_holds_what_the_program_prints() -> None:
    """A price, a count or a formula that changes changes the page."""
    written = costs.PAGE.read_text("utf-8").split(costs.BEGIN)[1].split(costs.END)[0].strip()
    assert written == costs.tables(costs.kept()), "run `python -m bench.costs --write`"


def test_a_run_uses_what_was_counted() -> None:
    """Counted again over the emulator, a run and a poll use what the page says: units, bytes of log and invocations."""
    fresh, kept = costs.count(), costs.kept()

    def exact(found: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{name}, {part}, {what}": amount
            for name, parts in found.items()
            for part, used in parts.items()
            for what, amount in used.items()
            if what != "stored"
        }

    again = "run `python -m bench.costs --measure --write`"
    assert exact(fresh) == exact(kept), again
    for name, parts in fresh.items():
        for part, used in parts.items():
            assert used["stored"] == pytest.approx(kept[name][part]["stored"], rel=NEAR), again


def test_units_are_those_of_dynamodb() -> None:
    """A kilobyte to write, four to read, whole units; and an item's size is names and values."""
    assert [usage.write_units(size) for size in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
    assert [usage.read_units(size) for size in (0, 4096, 4097)] == [1, 1, 2]
    item = {"pk": {"S": "abc"}, "n": {"N": "1200"}, "raw": {"B": b"12"}, "l": {"L": [{"S": "xy"}]}}
    assert usage.item_bytes(item) == (2 + 3) + (1 + 2) + (3 + 2) + (1 + 3 + 1 + 2)


def test_alarms_metrics_and_memory_are_those_of_the_stack() -> None:
    """The monthly part counts what the stack's source has."""
    alarms = (CDK / "alarms.py").read_text("utf-8")
    calls = re.findall(r"self\._alarm\(", alarms)
    over_several = re.findall(r'expression="(FILL.*?)"', alarms)
    counted = len(calls) + sum(one.count(" + ") for one in over_several)
    assert counted == costs.ALARM_METRICS + costs.NOTIFY_METRICS
    memory = [
        int(size) for size in re.findall(r"memory_size=(\d+)", (CDK / "functions.py").read_text("utf-8"))
    ]
    assert {costs.RECEIVER_GB * 1024, costs.WORKER_GB * 1024} <= set(memory)
    assert f"memory_size={costs.LOOK_GB * 1024:.0f}," in (CDK / "notify.py").read_text("utf-8")
