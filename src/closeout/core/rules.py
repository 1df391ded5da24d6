"""What the receiver needs of an automation, and nothing else: triggers, key, and the text that a run keeps.

A value of its own, so that the receiver on AWS reads it from a file that was compiled when the stack was made: it
imports no configuration, and matches by the same code as everybody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from closeout.core.automation import Automation


class Rule(NamedTuple):
    """One automation, as far as the receiver needs it."""

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
    """Return rules and status contexts from what `compile_rules` gave."""
    value = json.loads(text)
    tuples = ("triggers", "repositories", "senders")
    rules = [Rule(**{**rule, **{key: tuple(rule[key]) for key in tuples}}) for rule in value["rules"]]
    return tuple(rules), tuple(value["contexts"])
