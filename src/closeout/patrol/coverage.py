"""Which repositories patrol reads, and for which automations: what the configuration says about closed pull requests.

Full names are read directly. A pattern with a fixed owner (`acme/*`) means the repositories that GitHub lists for that owner
(`owners`). Any other pattern may match all of GitHub, so patrol reports that it does not cover it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from closeout.core.automation import Automation
from closeout.core.patterns import compile_patterns, is_literal


class Coverage(NamedTuple):
    """What patrol can read."""

    repositories: Mapping[str, tuple[str, ...]]
    """By name, in the order of the file: the automations that listen to closed pull requests there."""
    patterns: tuple[tuple[str, str], ...]
    """Automation and pattern that patrol cannot follow; `*` if an automation names no repositories."""
    listed: tuple[str, ...] = ()
    """Owners whose list of repositories is needed, because a pattern names them."""
    listening: tuple[Automation, ...] = ()
    """The automations that listen to closed pull requests."""

    @property
    def owners(self) -> tuple[str, ...]:
        """Return the owners whose webhooks may deliver closings."""
        names = [name.partition("/")[0] for name in self.repositories]
        return tuple(dict.fromkeys([*names, *self.listed]))

    def listeners(self, name: str) -> tuple[str, ...]:
        """Return the automations that listen to a repository of a listed owner."""
        if name.partition("/")[0].lower() not in {owner.lower() for owner in self.listed}:
            return ()
        return tuple(one.name for one in self.listening if covers(one, name))

    def with_listed(self, names: Iterable[str]) -> Coverage:
        """Return the coverage with those repositories of the listed owners that match a pattern."""
        known = {name.lower() for name in self.repositories}
        found = {name: self.listeners(name) for name in names if name.lower() not in known}
        return self._replace(
            repositories={**self.repositories, **{name: who for name, who in found.items() if who}}
        )


def coverage(automations: Iterable[Automation]) -> Coverage:
    """Return the coverage of a configuration's automations."""
    listening = tuple(automation for automation in automations if listens_to_closings(automation))
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    patterns: list[tuple[str, str]] = []
    for automation in listening:
        for pattern in automation.repositories or ("*",):
            owner, slash, _ = pattern.partition("/")
            if is_literal(pattern):
                names.setdefault(pattern.lower(), pattern)
            elif slash and is_literal(owner) and not pattern.startswith("!"):
                owners.setdefault(owner.lower(), owner)
            elif not pattern.startswith("!"):
                patterns.append((automation.name, pattern))
    found = {name: tuple(one.name for one in listening if covers(one, name)) for name in names.values()}
    return Coverage(
        {name: who for name, who in found.items() if who},
        tuple(patterns),
        tuple(owners.values()),
        listening,
    )


def listens_to_closings(automation: Automation) -> bool:
    """Whether closed pull requests can start an automation."""
    return any(
        trigger["event"] == "pull_request" and "closed" in (trigger.get("types") or ())
        for trigger in automation.triggers
    )


def covers(automation: Automation, name: str) -> bool:
    """Whether an automation names this repository, in full or with a pattern."""
    return not automation.repositories or compile_patterns(automation.repositories, "name").matches(name)
