"""Reading one trigger as the loader does."""

from __future__ import annotations

from typing import Any

from closeout.config.document import from_value
from closeout.config.findings import Findings
from closeout.config.triggers import read_on
from closeout.config.values import ConfigNode


def faults(trigger: dict[str, Any]) -> list[tuple[str, str]]:
    """The key and the sentence of each error about a trigger."""
    findings = Findings("closeout.yaml")
    filters = {key: value for key, value in trigger.items() if key != "event" and value is not None}
    read_on(ConfigNode(node=from_value({trigger["event"]: filters}, 1, 1), path="on", findings=findings))
    errors = [one.message.partition(": ") for one in findings.all() if one.severity == "error"]
    return [(path.split(".")[-1].partition("[")[0], text) for path, _, text in errors]
