"""What a configuration expects of GitHub and AWS, as the checks compare it with what is there.

Only names that are written out can be asked about; a pattern does not say which repositories there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from closeout.config.load import Loaded
from closeout.core.automation import Automation
from closeout.core.patterns import is_literal
from closeout.patrol.coverage import covers
from closeout.ports import AwsTarget


def repositories(automations: Iterable[Automation]) -> tuple[str, ...]:
    """Return the repositories that automations name in full, in the order of the file."""
    found: dict[str, str] = {}
    for automation in automations:
        for name in filter(is_literal, automation.repositories):
            found.setdefault(name.lower(), name)
    return tuple(found.values())


def events(automations: Iterable[Automation], repository: str | None) -> tuple[str, ...]:
    """Return the events that start an automation for a repository, or for any of an organization (None), in order."""
    matching = [
        automation for automation in automations if repository is None or covers(automation, repository)
    ]
    return tuple(sorted({str(trigger["event"]) for one in matching for trigger in one.triggers}))


def targets(loaded: Loaded) -> tuple[AwsTarget, ...]:
    """Return the accounts, regions and roles that steps act in."""
    found = (
        AwsTarget(step.account, step.region, step.assume_role)
        for automation in loaded.automations
        for step in automation.steps
        if step.account and step.region
    )
    return tuple(dict.fromkeys(found))
