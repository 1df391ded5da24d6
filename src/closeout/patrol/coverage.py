"""Which repositories patrol reads, and for which automations: what the configuration says about closed pull requests.

Only names that are written out can be read. A pattern names repositories that nobody has listed, so patrol says that it
does not cover them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from closeout.core.automation import Automation
from closeout.core.patterns import compile_patterns, is_literal


class Coverage(NamedTuple):
    """What patrol can read."""

    repositories: Mapping[str, tuple[str, ...]]
    """By name, in the order of the file: the automations that listen there to closed pull requests."""
    patterns: tuple[tuple[str, str], ...]
    """Automation and pattern that patrol cannot follow; `*` where an automation names no repositories."""

    @property
    def owners(self) -> tuple[str, ...]:
        """Return the owners whose webhooks may bring closings, also of repositories that only a pattern names."""
        names = [*self.repositories, *(pattern for _, pattern in self.patterns)]
        owners = [name.partition("/")[0] for name in names if "/" in name]
        return tuple(dict.fromkeys(owner for owner in owners if is_literal(owner)))


def coverage(automations: Iterable[Automation]) -> Coverage:
    """Return the coverage of a configuration's automations."""
    listening = [automation for automation in automations if listens_to_closings(automation)]
    names: dict[str, str] = {}
    patterns: list[tuple[str, str]] = []
    for automation in listening:
        for pattern in automation.repositories or ("*",):
            if is_literal(pattern):
                names.setdefault(pattern.lower(), pattern)
            elif not pattern.startswith("!"):
                patterns.append((automation.name, pattern))
    found = {name: tuple(one.name for one in listening if _covers(one, name)) for name in names.values()}
    return Coverage({name: who for name, who in found.items() if who}, tuple(patterns))


def listens_to_closings(automation: Automation) -> bool:
    """Whether closed pull requests can start an automation."""
    return any(
        trigger["event"] == "pull_request" and "closed" in (trigger.get("types") or ())
        for trigger in automation.triggers
    )


def _covers(automation: Automation, name: str) -> bool:
    return not automation.repositories or compile_patterns(automation.repositories, "name").matches(name)
