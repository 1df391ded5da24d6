"""The parts of an automation that the receiver needs: triggers, key, and the text that a run stores.

It is a separate value so that the receiver on AWS can read it from a file that was compiled at deployment. The receiver
then imports no configuration and still matches with the same code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from closeout.core.automation import Automation


class Rule(NamedTuple):
    """The parts of one automation that the receiver needs."""

    name: str
    triggers: tuple[Mapping[str, Any], ...]
    repositories: tuple[str, ...]
    senders: tuple[str, ...]
    concurrency: str | None
    queue_timeout: float
    definition: str
    """The automation as canonical JSON: what a run stores and replays."""
    bases: str = "at-close"


def rules_of(automations: Iterable[Automation]) -> tuple[Rule, ...]:
    """Return the rules of automations, in their order."""
    return tuple(
        Rule(
            automation.name,
            tuple(automation.triggers),
            tuple(automation.repositories),
            tuple(automation.senders),
            automation.concurrency,
            automation.queue_timeout,
            automation.canonical(),
            automation.bases,
        )
        for automation in automations
    )


def compile_rules(automations: Iterable[Automation], contexts: Iterable[str]) -> str:
    """Return the JSON text that `read_rules` reads; `contexts` are the status contexts that closeout itself sets."""
    value = {"rules": [rule._asdict() for rule in rules_of(automations)], "contexts": list(contexts)}
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_rules(text: str) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Return rules and status contexts from what `compile_rules` returned."""
    value = json.loads(text)
    tuples = ("triggers", "repositories", "senders")
    rules = [Rule(**{**rule, **{key: tuple(rule[key]) for key in tuples}}) for rule in value["rules"]]
    return tuple(rules), tuple(value["contexts"])
